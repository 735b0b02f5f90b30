"""Orders by a trading calendar: DAY, AT_OPEN and AT_CLOSE, at a venue that has them and at one that
lacks them, where the account holds them."""

import json
import socket
import threading

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, AAPL, BTC, ETH
from venuesim import VenueSim
from watching import Watch

SECOND_NS = 1_000_000_000
# As docs/guide/orders.md says.
OPEN_WINDOW_NS, CLOSE_LEAD_NS = 60 * SECOND_NS, 5 * SECOND_NS
NAMES = ("XNYS", "XLON")


class Lacking:
    """Stands between an account and its venue, and says that BTC trades by a calendar there and is
    taken no orders for the opening and the close."""

    def __init__(self, venue, calendar):
        self.venue, self.calendar = venue, calendar
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sent = []  # Orders that the venue was sent.
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                account, _ = self.listener.accept()
            except OSError:
                return
            host, port = self.venue.address.split(":")
            venue = socket.create_connection((host, int(port)))
            for source, sink, change in ((account, venue, self._note),
                                         (venue, account, self._take_away)):
                threading.Thread(target=self._carry, args=(source, sink, change),
                                 daemon=True).start()

    @staticmethod
    def _carry(source, sink, change):
        try:
            for line in source.makefile("rb"):
                message = json.loads(line)
                change(message)
                sink.sendall(json.dumps(message).encode() + b"\n")
        except (OSError, ValueError):
            pass  # One side has gone; the other is told by the end of its stream.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _note(self, message):
        command = message.get("command") if isinstance(message, dict) else None
        if isinstance(command, dict) and "New" in command:
            self.sent.append(command["New"]["client_order_id"])

    def _take_away(self, message):
        logged_on = message.get("logged_on") if isinstance(message, dict) else None
        for instrument in (logged_on or {}).get("instruments", ()):
            if instrument["instrument_id"] == BTC:
                instrument["rules"]["calendar"] = self.calendar
                lacks = instrument["rules"]["lacks"]
                lacks["times_in_force"] = ["AtOpen", "AtClose"]

    def close(self):
        self.listener.close()


def submit(client, client_order_id, instrument_id, time_in_force, **more):
    """A limit order far below the market, of a size that every instrument takes."""
    price = {BTC: "30000", ETH: "1500", AAPL: "100"}[instrument_id]
    return client.call("OrderService", "SubmitOrder", trading.order(
        client_order_id, instrument_id, "BUY", "1", price,
        time_in_force=f"TIME_IN_FORCE_{time_in_force}", **more))


@pytest.mark.parametrize("name", NAMES)
def test_a_venue_with_sessions_takes_orders_by_its_calendar(
        name, binary, tmp_path, make_server, calendar):
    folder = tmp_path / "venue"
    folder.mkdir()
    venue = VenueSim(binary, folder, apexlib.free_port())
    try:
        venue.start("--calendar", name)
        server = make_server("up", "--venue", venue.address).start()
        with server.grpc() as client:
            found = client.call("InstrumentService", "GetInstrument", {"instrument_id": AAPL})
            assert found["calendar"] == name
            now = calendar(name)
            day = submit(client, "day", AAPL, "DAY")
            assert int(day["ts_expires_ns"]) == now["day_order_expiry_ns"]
            for client_order_id, time_in_force in (("open", "AT_OPEN"), ("close", "AT_CLOSE")):
                submit(client, client_order_id, AAPL, time_in_force)
            for client_order_id in ("day", "open", "close"):
                shown = trading.when_order(client, client_order_id, "ORDER_STATUS_ACCEPTED")
                assert shown["held_for"] == "HOLD_UNSPECIFIED"
                assert shown["venue_order_id"]
    finally:
        venue.kill()


@pytest.mark.parametrize("name", NAMES)
def test_orders_that_the_venue_lacks_wait_in_the_account_for_their_session(
        name, venue, make_server, cli, calendar):
    lacking = Lacking(venue, name)
    server = make_server("up", "--venue", lacking.address).start()
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    expected = {}
    try:
        with Watch(server) as watch, server.grpc() as client:
            now = calendar(name)
            expected = {
                "open": (now["next_open_ns"], now["next_open_ns"] + OPEN_WINDOW_NS),
                "close": (now["next_close_ns"] - CLOSE_LEAD_NS, now["next_close_ns"])}
            for client_order_id in expected:
                submit(client, client_order_id, BTC, f"AT_{client_order_id.upper()}")
            for client_order_id, (leaves, ends) in expected.items():
                shown = trading.get_order(client, client_order_id)
                assert shown["status"] == "ORDER_STATUS_PENDING_NEW"
                assert shown["held_for"] == "HOLD_SESSION"
                assert int(shown["ts_expires_ns"]) == ends
                watched = apexlib.until("its events", lambda: watch.events.get(client_order_id))
                (held,) = apexlib.until("it is held", lambda: [
                    one for one in watched if one["kind"] == "ORDER_EVENT_KIND_HELD"])
                assert held["hold"] == "HOLD_SESSION"
                assert int(held["release_at_ns"]) == leaves
            # What trades around the clock has no sessions to wait for.
            with pytest.raises(grpc.RpcError) as refusal:
                submit(client, "never", ETH, "AT_OPEN")
            assert apexlib.error_details(refusal.value)["ErrorInfo"]["reason"] == "UNSUPPORTED"
        table = cli("orders", *link).stdout
        assert table.count("held for its session") == 2

        server.kill()
        server.start()
        with server.grpc() as client:
            for client_order_id, (_, ends) in expected.items():
                shown = trading.get_order(client, client_order_id)
                assert (shown["held_for"], int(shown["ts_expires_ns"])) == ("HOLD_SESSION", ends)
            # One that reaches the venue shows that the others would have.
            submit(client, "plain", BTC, "GTC")
            trading.when_order(client, "plain", "ORDER_STATUS_ACCEPTED")
            for client_order_id in expected:
                client.call("OrderService", "CancelOrder",
                            {"account_id": ACCOUNT, "client_order_id": client_order_id})
                ended = trading.get_order(client, client_order_id)
                assert ended["status"] == "ORDER_STATUS_CANCELED"
        assert lacking.sent == ["plain"]
    finally:
        lacking.close()
