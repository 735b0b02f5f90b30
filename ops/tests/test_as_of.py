"""The past of an account: what is read of it now is what was read then, after a restart too."""

import time
from datetime import datetime, timezone
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, order, resting

# What belongs to the moment of the reading and not to the journal.
PRESENT = ("equity", "unrealized_pnl", "partial", "journal", "venue_connected", "as_of_ns",
           "valuation", "margin", "attribution", "attribution_partial")


def state(client, as_of_ns=0):
    """Everything that can be read of the account, without what no journal holds."""
    then = {"as_of_ns": as_of_ns}
    account = client.call("AccountService", "GetAccount", {"account_id": ACCOUNT, **then})
    positions = trading.pages(client, "AccountService", "ListPositions", "positions",
                              {"account_id": ACCOUNT, "include_flat": True, **then})
    for one in positions:
        one.pop("unrealized_pnl")
    return {
        "account": {name: value for name, value in account.items() if name not in PRESENT},
        "positions": positions,
        "orders": trading.orders(client, **then),
    }


def moment(client):
    """A state as it is read live, and a time at which it is the whole truth."""
    for _ in range(100):
        trading.settled(client)
        before = state(client)
        now = time.time_ns()
        if state(client) == before:
            return now, before
    raise AssertionError("the account never stood still")


def submit(client, request):
    return client.call("OrderService", "SubmitOrder", request)


def trade(client, at, name):
    """Buys, and leaves an order at the venue and one that waits for its price."""
    submit(client, order(f"{name}-buy", BTC, "BUY", 3 * at.quantity))
    trading.when_order(client, f"{name}-buy", "ORDER_STATUS_FILLED")
    submit(client, resting(f"{name}-rest", at, tags=name))
    stop = order(f"{name}-stop", BTC, "SELL", at.quantity, stop_price=at.price("0.8"))
    submit(client, {**stop, "order_type": "ORDER_TYPE_STOP"})


def test_the_past_is_what_was_read_then_and_stays_so_after_a_restart(server, cli):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        trade(client, at, "a")
        first, before = moment(client)
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "a-rest"})
        trade(client, at, "b")
        submit(client, order("sold", BTC, "SELL", at.quantity))
        trading.when_order(client, "sold", "ORDER_STATUS_FILLED")
        second, after = moment(client)
        assert before != after
        assert [state(client, one) for one in (first, second, first)] == [before, after, before]

    server.restart()
    with server.grpc() as client:
        trade(client, at, "c")
        trading.settled(client)
        for then, read in ((second, after), (first, before)):
            assert state(client, then) == read
            for one in read["orders"]:
                again = client.call("OrderService", "GetOrder", {
                    "account_id": ACCOUNT, "client_order_id": one["client_order_id"],
                    "as_of_ns": then})
                assert again == one
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "GetOrder", {
                "account_id": ACCOUNT, "client_order_id": "c-buy", "as_of_ns": second})
        assert refusal.value.code() == grpc.StatusCode.NOT_FOUND

        # Equity is cash and what is held at the newest price that the journal has.
        then = client.call("AccountService", "GetAccount",
                           {"account_id": ACCOUNT, "as_of_ns": second})
        assert int(then["as_of_ns"]) == second and then["valuation"] == "VALUATION_JOURNAL"
        assert not then["partial"]
        held = sum(Decimal(one["quantity"]) for one in after["positions"])
        fills = [one for one in trading.executions(client) if one["client_order_id"] == "sold"]
        price = Decimal(fills[-1]["last_price"])
        assert Decimal(then["equity"]) == Decimal(then["cash"][at.quote]) + held * price

    check_command_line(server, cli, first, before)


def check_command_line(server, cli, then, read):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    seconds, rest = divmod(then, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime(f"%Y-%m-%dT%H:%M:%S.{rest:09}Z")
    for as_of in (str(then), text):
        said = ("--as-of", as_of, "--json", *link)
        listed = cli("orders", *said).json["orders"]
        assert [one["status"] for one in listed] == [one["status"] for one in read["orders"]]
        (account,) = cli("accounts", *said).json["accounts"]
        assert account["sequence"] == int(read["account"]["sequence"])
        assert account["state_hash"] == read["account"]["state_hash"]
        assert account["as_of_ns"] == then
        held = cli("positions", *said).json["positions"]
        assert [one["quantity"] for one in held] == [one["quantity"] for one in read["positions"]]
        one = cli("orders", "get", "a-rest", *said).json
        assert one["status"] == "ORDER_STATUS_ACCEPTED"
    shown = cli("accounts", "--as-of", text, *link).stdout
    assert "valued by the newest price of each instrument in the account's journal" in shown


def test_times_that_cannot_be_shown_are_refused_with_what_to_do(server, cli):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    future = time.time_ns() + 3_600_000_000_000
    with server.grpc() as client:
        for as_of_ns in (-1, future):
            with pytest.raises(grpc.RpcError) as refusal:
                trading.orders(client, as_of_ns=as_of_ns)
            assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            bad = apexlib.error_details(refusal.value)["BadRequest"]
            assert [one["field"] for one in bad["field_violations"]] == ["as_of_ns"]
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("AccountService", "GetAccount", {"account_id": ACCOUNT, "as_of_ns": 1})
        assert refusal.value.code() == grpc.StatusCode.NOT_FOUND
        told = apexlib.error_details(refusal.value)["ErrorInfo"]
        assert told["reason"] == "BEFORE_ACCOUNT_OPENED"
        opened = int(told["metadata"]["opened_ns"])
        first = client.call("AccountService", "GetAccount",
                            {"account_id": ACCOUNT, "as_of_ns": opened})
        assert int(first["sequence"]) >= 1 and first["orders"] == 0
        assert client.call("AccountService", "ListAccounts", {"as_of_ns": 1})["accounts"] == []
    early = cli("accounts", "--account", ACCOUNT, "--as-of", "1999-01-01T00:00:00Z", *link,
                check=False)
    assert early.returncode == 1 and "was opened at" in early.stderr
    assert cli("positions", "--as-of", "yesterday", *link, check=False).returncode == 2
