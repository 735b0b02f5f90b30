"""An account and its venue from outside: orders that are not ours, balances that differ, and data
folders that belong to another venue."""

import json
import socket
from contextlib import contextmanager
from decimal import Decimal

import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC

STRANGER = "stranger"


@contextmanager
def session(venue, next_report=1):
    """A session with the venue as the account's own, as somebody else with its login holds it."""
    host, port = venue.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        lines = link.makefile("rb")

        def say(message):
            link.sendall(json.dumps(message).encode() + b"\n")

        def hear(kind):
            for line in lines:
                message = json.loads(line)
                if isinstance(message, dict) and kind in message:
                    return message[kind]
            raise AssertionError(f"the venue closed before {kind}")

        say({"logon": {"protocol": 3, "account_id": ACCOUNT, "next_report_sequence": next_report,
                       "heartbeat_ms": 1000}})
        yield say, hear, hear("logged_on")


def place_strangers_order(venue):
    """A limit order far from the market, of which our journal knows nothing."""
    with session(venue) as (say, hear, logged_on):
        (btc,) = [one for one in logged_on["instruments"] if one["instrument_id"] == BTC]
        say({"command": {"New": {
            "client_order_id": STRANGER, "instrument_id": BTC, "side": "Buy",
            "order_type": "Limit", "quantity": btc["min_quantity"] * 10,
            "limit_price": btc["price_increment"] * 1000, "time_in_force": "Gtc",
            "post_only": False, "reduce_only": False}}})
        return hear("report")["report"]["Accepted"]["venue_order_id"]


def reconciliation(client):
    return client.call("AccountService", "GetReconciliation", {"account_id": ACCOUNT})


def link_of(server):
    return ("--gateway", server.url, "--data-dir", server.data_dir)


def test_a_strangers_order_is_listed_and_canceled_once(venue, make_server, cli):
    venue_order_id = place_strangers_order(venue)
    server = make_server("up", "--venue", venue.address).start()
    link = link_of(server)
    with server.grpc() as client:
        listed = apexlib.until("the stranger's order", lambda: reconciliation(client).get(
            "foreign_orders"))
        assert [one["venue_order_id"] for one in listed] == [venue_order_id]
        shown = cli("accounts", "differences", *link)
        assert venue_order_id in shown.stdout and "order_unknown_here" in shown.stdout
        wrong = cli("accounts", "cancel-foreign", "V-none", "--reason", "x", *link, check=False)
        assert wrong.returncode == 1 and "FOREIGN_ORDER_NOT_FOUND" in wrong.stderr
        assert "accounts differences" in wrong.stderr
        before = trading.account(client)["sequence"]
        cancel = ("accounts", "cancel-foreign", venue_order_id, "--reason", "left over",
                  "--request-id", "once", "--json", *link)
        for _ in range(2):
            (order,) = cli(*cancel).json["orders"]
            assert order["client_order_id"] == STRANGER
        apexlib.until("no order of a stranger",
                      lambda: not reconciliation(client).get("foreign_orders"))
        # The intent and its end.
        assert int(trading.account(client)["sequence"]) == int(before) + 2
        other = cli("accounts", "cancel-foreign", "--all", "--reason", "left over",
                    "--request-id", "once", *link, check=False)
        assert "ALREADY_EXISTS REQUEST_ID_REUSED" in other.stderr
    with session(venue) as (say, hear, _):
        say({"command": {"Query": {"client_order_id": STRANGER, "instrument_id": BTC}}})
        while True:
            report = hear("report")["report"]
            if "Status" in report:
                break
        assert report["Status"]["status"] == "Canceled"


def test_a_cancel_that_was_decided_is_sent_after_a_kill(venue, make_server, cli):
    """The venue answers nothing while it is muted: what is left of the intent is the journal."""
    venue_order_id = place_strangers_order(venue)
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        apexlib.until("the stranger's order",
                      lambda: reconciliation(client).get("foreign_orders"))
    venue.kill()
    cli("accounts", "cancel-foreign", "--all", "--reason", "left over", *link_of(server))
    server.kill()
    venue.start()
    server.start()
    with server.grpc() as client:
        apexlib.until("no order of a stranger", lambda: (
            int(reconciliation(client)["ts_ns"]) > 0
            and not reconciliation(client).get("foreign_orders")))
    assert venue_order_id


def test_an_account_agrees_with_the_balances_of_its_venue(venue, make_server):
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for number, side in enumerate(("BUY", "SELL", "BUY")):
            client.call("OrderService", "SubmitOrder",
                        trading.order(f"trade-{number}", BTC, side, at.quantity))
            trading.when_order(client, f"trade-{number}", "ORDER_STATUS_FILLED")
        compared = int(reconciliation(client)["ts_ns"])
        apexlib.until("a later comparison",
                      lambda: int(reconciliation(client)["ts_ns"]) > compared, seconds=60)
        found = reconciliation(client)
        assert found["reconciled"] and not found.get("differences"), found


def test_a_balance_that_differs_is_found_and_brought_in_line(binary, tmp_path, make_server):
    from venuesim import VenueSim

    folder = tmp_path / "venue"
    folder.mkdir()
    venue = VenueSim(binary, folder, apexlib.free_port())
    venue.start("--cash", "USDT=9999995")
    try:
        server = make_server("up", "--venue", venue.address).start()
        with server.grpc() as client:
            apexlib.until("the venue's balance", lambda: (
                Decimal(trading.account(client)["cash"]["USDT"]) == Decimal("9999995")))
    finally:
        venue.kill()


@pytest.mark.parametrize("first", ["inside", "venue"])
def test_a_folder_of_one_venue_is_not_opened_at_another(first, venue, make_server, cli, tmp_path):
    folder = tmp_path / "mixed"
    at_venue, inside = ("up", "--venue", venue.address), ("up",)
    made, asked = (inside, at_venue) if first == "inside" else (at_venue, inside)
    with make_server(*made, data_dir=folder).start():
        pass
    refused = cli(*asked, "--listen", "127.0.0.1:0", "--data-dir", folder, check=False)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()[-1:]
    for word in ("market inside", "venue-sim", "--data-dir", str(folder)):
        assert word in line, line
    with make_server(*made, data_dir=folder).start() as again, again.grpc() as client:
        assert trading.account(client)["account_id"] == ACCOUNT


def test_a_close_waits_for_its_end_and_says_how_it_ended(server, cli):
    link = link_of(server)
    with server.grpc() as client:
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", trading.order("buy", BTC, "BUY", at.quantity))
        trading.when_order(client, "buy", "ORDER_STATUS_FILLED")
        closed = cli("positions", "close", BTC, "--json", *link).json
        assert closed["state"] == "CLOSING_STATE_FLAT" and closed["positions"] == []
        assert [one["status"] for one in closed["orders"]] == ["ORDER_STATUS_FILLED"]
        got = client.call("OrderService", "GetClosing", {
            "account_id": ACCOUNT, "request_id": closed["request_id"]})
        assert int(got["ended_sequence"]) == closed["ended_sequence"] > 0
        shown = cli("accounts", "flatten", *link)
        assert "flat" in shown.stdout


def test_names_that_are_mistyped_are_refused_with_the_nearest(server, cli):
    link = link_of(server)
    for words, near in [
            (("orders", "cancel-all", "--instrument", "BTCUSD"), BTC),
            (("orders", "cancel-all", "--strategy", "MANUEL"), "MANUAL"),
            (("orders", "cancel-all", "--account", "papr"), "\"paper\""),
            (("orders", "list", "--account", "papr"), "\"paper\""),
            (("positions", "close", "BTCUSTD"), BTC),
            (("risk", "limits", "set", "--instrument-exposure", "BTCUSD=5"), BTC),
            (("risk", "halt", "--account", "papr", "--reason", "x"), "\"paper\"")]:
        refused = cli(*words, *link, check=False)
        assert refused.returncode == 1, words
        (line,) = refused.stderr.splitlines()
        assert "NOT_FOUND" in line or "INVALID_ARGUMENT: instrument_id" in line, line
        assert near in line, line
    nothing = cli("risk", "limits", "set", *link, check=False)
    assert nothing.returncode == 1 and "--max-open-orders" in nothing.stderr
    told = cli("risk", "limits", "set", "--strategy-exposure", "not-yet=5", *link)
    assert "not-yet" in told.stderr
