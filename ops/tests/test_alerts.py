"""Alerts from outside: a rule fires once, people hear of it by webhook, mail and Telegram, and what
was said is neither lost by a kill nor repeated by a restart."""

import hashlib
import hmac
import json
import socketserver
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest

import apexlib
from trading import ACCOUNT, BTC, market

SECRET = "a-secret-of-more-than-16-bytes"
BOT = "12345:bot-token"


class Receiver:
    """An HTTP server that notes what is posted, or answers with `status`, or does not answer."""

    def __init__(self):
        self.got, self.status = [], 200
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append((self.path, dict(self.headers.items()), body))
                outer.hold.wait(30)
                self.send_response(outer.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def messages(self):
        return [json.loads(body) for _, _, body in list(self.got)]

    def of(self, kind):
        return [message for message in self.messages() if message.get("type") == kind]

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as takes a letter."""

    def handle(self):
        say = lambda line: self.wfile.write(line.encode() + b"\r\n")
        say("220 test")
        letter = None
        for line in self.rfile:
            line = line.decode().rstrip("\r\n")
            if letter is not None:
                if line == ".":
                    self.server.letters.append("\n".join(letter))
                    letter = None
                    say("250 taken")
                else:
                    letter.append(line)
            elif line.upper().startswith("DATA"):
                letter = []
                say("354 go on")
            elif line.upper().startswith("QUIT"):
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def mail():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.daemon_threads, server.letters = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def alarmed(binary, data_dir, receiver):
    made = []

    def make(**more):
        env = {"APEX_ALERTS_WEBHOOK_URL": receiver.url + "/hook",
               "APEX_ALERTS_WEBHOOK_SECRET": SECRET, **more}
        server = apexlib.Server(binary, data_dir, env=env)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.kill()


def price_rule(rule_id, level="1", condition="ALERT_CONDITION_ABOVE", **more):
    return {"rule_id": rule_id, "enabled": True, **more,
            "price": {"instrument_id": BTC, "side": "ALERT_PRICE_SIDE_MID",
                      "condition": condition, "level": level}}


def set_rule(client, rule, version=0, request_id=None, **more):
    return client.call("SystemService", "SetAlertRule", {
        "rule": rule, "expected_version": str(version),
        "request_id": request_id or f"set-{rule['rule_id']}-{version}", **more})


def alerts(client, **filters):
    return client.call("SystemService", "ListAlerts", filters).get("alerts", [])


def told(alert, channel="webhook"):
    states = [it["state"] for it in alert["deliveries"]
              if it["channel"] == channel and not it.get("resolved")]
    return states[0] if states else None


def sent(client, rule_id):
    """The alert of a rule, once the webhook has taken it durably."""
    def look():
        found = alerts(client, rule_id=rule_id)
        return found and told(found[0]) == "ALERT_DELIVERY_STATE_SENT" and found[0]

    return apexlib.until(f"an alert of {rule_id} that was sent", look)


def next_alert(client, token):
    """The first alert of a stream behind a token."""
    stream = client.stream("SystemService", "StreamAlerts", {"resume_token": token})
    try:
        return next(message for message in stream if "alert" in message)
    finally:
        stream.cancel()


def cli(server, *arguments, code=0):
    done = subprocess.run(
        [server.binary, "alerts", *arguments, "--gateway", server.url,
         "--data-dir", str(server.data_dir), "--json"],
        capture_output=True, text=True, timeout=60, env=apexlib.environment())
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_a_price_rule_fires_once_is_acknowledged_and_not_repeated_by_a_restart(alarmed, receiver):
    server = alarmed()
    with server.grpc() as client:
        market(client, BTC)
        assert set_rule(client, price_rule("high", title="BTC is up"))["rule"]["version"] == 1
        alert = sent(client, "high")
        assert alert["state"] == "ALERT_STATE_FIRING" and alert["subject"] == BTC
        path, headers, body = receiver.got[0]
        headers = {name.lower(): value for name, value in headers.items()}
        assert path == "/hook"
        signed = f"{headers['x-apex-timestamp']}.".encode() + body
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-apex-signature"] == f"v1={expected}"
        assert abs(time.time() - int(headers["x-apex-timestamp"])) < 60
        message = json.loads(body)
        assert message["alert_id"] == alert["alert_id"] and headers["x-apex-id"] == message["id"]
        assert "BTC is up" in message["text"]
        seen = cli(server, "ack", alert["alert_id"], "--note", "mine", "--request-id", "ack-1")
        assert (seen["state"], seen["note"]) == ("ALERT_STATE_ACKNOWLEDGED", "mine")
        again = cli(server, "ack", alert["alert_id"], "--note", "mine", "--request-id", "ack-1")
        assert again == seen
        with pytest.raises(grpc.RpcError) as refused:
            set_rule(client, price_rule("high"), request_id="stale")
        assert refused.value.code() == grpc.StatusCode.ABORTED
    server.restart()
    with server.grpc() as client:
        market(client, BTC)
        # The engine looks four times a second: a rule of later fires, and that one does not again.
        set_rule(client, price_rule("later"))
        sent(client, "later")
        kept = alerts(client, rule_id="high")
        assert [it["state"] for it in kept] == ["ALERT_STATE_ACKNOWLEDGED"]
        assert [it["rule_id"] for it in receiver.of("alert.fired")] == ["high", "later"]
        gone = set_rule(client, {"rule_id": "high"}, version=1, request_id="gone", delete=True)
        assert "rule" not in gone
        assert alerts(client, rule_id="high")[0]["resolution"] == "its rule was removed"
    status, metrics = server.get("/metrics")
    assert status == 200 and b'apex_alerts_open{severity="warning"} 1' in metrics
    assert SECRET.encode() not in server.stderr_path.read_bytes()


def test_a_kill_between_firing_and_its_acceptance_loses_nothing(alarmed, receiver):
    receiver.hold.clear()
    server = alarmed()
    with server.grpc() as client:
        market(client, BTC)
        set_rule(client, price_rule("high"))
        apexlib.until("the message on its way", lambda: receiver.got)
    first = receiver.messages()[0]
    server.kill()
    receiver.hold.set()
    server.start()
    with server.grpc() as client:
        sent(client, "high")
        assert len(alerts(client)) == 1
    ids = [message["id"] for message in receiver.of("alert.fired")]
    # At least once, under one id, so that a receiver can tell.
    assert len(ids) == 2 and set(ids) == {first["id"]}


def test_a_channel_that_is_down_is_told_everything_once_it_is_up(alarmed, receiver):
    receiver.status = 503
    server = alarmed()
    with server.grpc() as client:
        market(client, BTC)
        for name in ("a", "b"):
            set_rule(client, price_rule(name))

        def channel():
            found = client.call("SystemService", "ListAlertRules", {})["channels"][0]
            return found.get("failures", 0) >= 2 and found

        assert apexlib.until("two failures", channel)["last_error"] == "its server answered 503"
        parts = client.call("SystemService", "GetSystemStatus", {})["components"]
        part = [it for it in parts if it["name"] == "alerts"][0]
        assert not part.get("ok") and "webhook" in part["detail"]
        assert server.get("/ready")[0] == 200, "trading does not wait for it"
        receiver.status = 200
        for name in ("a", "b"):
            sent(client, name)


def test_more_than_the_rate_is_a_summary_and_a_mute_sends_nothing(alarmed, receiver):
    server = alarmed(APEX_ALERTS_PER_MINUTE="1")
    with server.grpc() as client:
        market(client, BTC)
        muted = cli(server, "mute", "--for", "10m", "--reason", "known")
        assert (muted["rule_id"], muted["by"]) == ("", "admin")
        set_rule(client, price_rule("quiet"))
        found = apexlib.until("a muted alert", lambda: alerts(client, rule_id="quiet"))
        assert told(found[0]) == "ALERT_DELIVERY_STATE_MUTED"
        cli(server, "mute", "--for", "0s")
        set_rule(client, price_rule("first"))
        sent(client, "first")
        for name in ("second", "third"):
            set_rule(client, price_rule(name))

        def held():
            found = client.call("SystemService", "ListAlertRules", {})["channels"][0]
            return found.get("held_back") == 2

        apexlib.until("two that are held back", held)
        apexlib.until("their summary", lambda: receiver.of("alert.held_back"), seconds=90)
        assert receiver.of("alert.held_back")[0]["held_back"] == 2
        assert [it["rule_id"] for it in receiver.of("alert.fired")] == ["first"]


def test_mail_telegram_and_the_test_command(alarmed, receiver, mail):
    server = alarmed(
        APEX_ALERTS_EMAIL_HOST="127.0.0.1", APEX_ALERTS_EMAIL_TLS="none",
        APEX_ALERTS_EMAIL_PORT=str(mail.server_address[1]),
        APEX_ALERTS_EMAIL_FROM="apex@example.com", APEX_ALERTS_EMAIL_TO="desk@example.com",
        APEX_ALERTS_TELEGRAM_URL=receiver.url, APEX_ALERTS_TELEGRAM_TOKEN=BOT,
        APEX_ALERTS_TELEGRAM_CHAT="-100")
    for name in ("webhook", "email", "telegram"):
        assert cli(server, "test", "--channel", name)["delivered"], name
    refused = cli(server, "test", "--channel", "pager", code=1)
    assert "there are email, telegram, webhook" in refused
    assert "Subject: [TEST]" in mail.letters[0] and "To: desk@example.com" in mail.letters[0]
    path, _, body = [it for it in receiver.got if it[0] != "/hook"][0]
    assert path == f"/bot{BOT}/sendMessage"
    assert json.loads(body)["chat_id"] == "-100"
    with server.grpc() as client:
        market(client, BTC)
        rule = price_rule("mail-only", channels=["email"], severity="ALERT_SEVERITY_CRITICAL")
        set_rule(client, rule)
        apexlib.until("a letter", lambda: len(mail.letters) == 2)
        alert = alerts(client)[0]
        assert told(alert) is None and f"<{alert['alert_id']}.fired@apextrade>" in mail.letters[1]
        assert "[CRITICAL]" in mail.letters[1]
    receiver.status = 500
    failed = cli(server, "test", "--channel", "telegram", code=1)
    assert failed["error"] == "its server answered 500"
    assert BOT.encode() not in server.stderr_path.read_bytes()


def test_denied_orders_parts_and_certificates_raise_alerts(alarmed, receiver, tmp_path):
    (tmp_path / "old.pem").write_text("no certificate")
    server = alarmed(APEX_ALERTS_CERTIFICATES=str(tmp_path / "old.pem"))
    with server.grpc() as client:
        at = market(client, BTC)
        set_rule(client, {"rule_id": "denied", "enabled": True, "rejects": {
            "account_id": ACCOUNT, "count": 2, "window_ns": str(60 * 10**9)}})
        set_rule(client, {"rule_id": "cert", "enabled": True, "certificate": {"days": 14}})
        set_rule(client, {"rule_id": "disk", "enabled": True, "disk": {"free_bytes": str(2**63)}})
        for number in range(2):
            with pytest.raises(grpc.RpcError):
                client.call("OrderService", "SubmitOrder", {
                    "account_id": ACCOUNT, "client_order_id": f"bad-{number}",
                    "instrument_id": BTC, "side": "SIDE_BUY", "order_type": "ORDER_TYPE_LIMIT",
                    "quantity": str(at.quantity), "limit_price": str(at.bid + at.tick / 2)})
        for name in ("denied", "cert", "disk"):
            sent(client, name)
        assert alerts(client, rule_id="denied")[0]["account_id"] == ACCOUNT
        assert alerts(client, rule_id="disk")[0]["subject"] == str(server.data_dir)


def test_a_stream_tells_what_is_open_then_what_changes_and_resumes(alarmed, receiver):
    server = alarmed()
    with server.grpc() as client:
        market(client, BTC)
        set_rule(client, price_rule("first"))
        first = sent(client, "first")
        opened = next_alert(client, "")
        assert opened["alert"]["alert_id"] == first["alert_id"]
        set_rule(client, price_rule("second"))
        second = sent(client, "second")
        news = next_alert(client, opened["resume_token"])
        assert news["alert"]["alert_id"] == second["alert_id"]


def test_preferences_change_from_what_was_read_and_survive_a_restart(alarmed):
    server = alarmed()
    wish = {"name": "layout", "value": "eyJhIjoxfQ==", "request_id": "p-1"}
    with server.grpc() as client:
        made = client.call("PreferencesService", "Set", wish)
        assert (made["version"], made["value"]) == (1, b'{"a":1}')
        assert client.call("PreferencesService", "Set", wish) == made
        with pytest.raises(grpc.RpcError) as stale:
            client.call("PreferencesService", "Set", {**wish, "request_id": "p-2"})
        assert stale.value.code() == grpc.StatusCode.ABORTED
    server.restart()
    with server.grpc() as client:
        assert client.call("PreferencesService", "Get", {})["preferences"] == [made]
