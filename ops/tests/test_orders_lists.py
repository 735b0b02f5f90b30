"""Lists and batches of orders, closing and the kill switch, against the running platform."""

from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, order, resting


@pytest.fixture
def client(server):
    with server.grpc() as one:
        yield one


def submit_list(client, contingency, orders, list_id="list-1", **more):
    return client.call("OrderService", "SubmitOrderList", {
        "account_id": ACCOUNT, "order_list_id": list_id,
        "contingency": f"CONTINGENCY_{contingency}", "orders": orders, **more})


def refused(client, method, request, service="OrderService"):
    with pytest.raises(grpc.RpcError) as refusal:
        client.call(service, method, request)
    return refusal.value


def held(client, instrument_id=BTC):
    """The position of all strategies together."""
    return sum(Decimal(one["quantity"]) for one in trading.positions(client)
               if one["instrument_id"] == instrument_id)


def buy(client, at, name, times=4):
    client.call("OrderService", "SubmitOrder",
                order(name, at.instrument_id, "BUY", times * at.quantity))
    trading.when_order(client, name, "ORDER_STATUS_FILLED")


def test_one_order_of_a_pair_cancels_the_other(client):
    at = trading.market(client, BTC)
    orders = [resting("oco-1", at), resting("oco-2", at)]
    answer = submit_list(client, "OCO", orders)
    assert [one["client_order_id"] for one in answer["outcomes"]] == ["oco-1", "oco-2"]
    assert all(one["order"]["order_list_id"] == "list-1" for one in answer["outcomes"])
    for name in ("oco-1", "oco-2"):
        trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
    client.call("OrderService", "CancelOrder", {"account_id": ACCOUNT, "client_order_id": "oco-1"})
    other = trading.when_order(client, "oco-2", "ORDER_STATUS_CANCELED")
    assert other["reason_code"] == "CONTINGENCY"

    before = trading.account(client)["sequence"]
    again = submit_list(client, "OCO", orders)
    assert [one["order_id"] for one in again["outcomes"]] == [
        one["order_id"] for one in answer["outcomes"]]
    assert trading.account(client)["sequence"] == before
    error = refused(client, "SubmitOrderList", {
        "account_id": ACCOUNT, "order_list_id": "list-1", "contingency": "CONTINGENCY_OCO",
        "orders": [orders[0], resting("oco-3", at)]})
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS
    assert apexlib.error_details(error)["ErrorInfo"]["reason"] == "ORDER_LIST_ID_REUSED"


def test_the_children_of_an_order_wait_for_its_fill_over_a_restart(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        child = resting("child", at, side="SELL")
        submit_list(client, "OTO", [resting("parent", at), child])
        trading.when_order(client, "parent", "ORDER_STATUS_ACCEPTED")
        assert trading.get_order(client, "child")["venue_order_id"] == ""
    server.restart()
    with server.grpc() as client:
        waiting = trading.get_order(client, "child")
        assert waiting["status"] not in trading.DONE and waiting["venue_order_id"] == ""
        trading.when_order(client, "parent", "ORDER_STATUS_ACCEPTED")
        client.call("OrderService", "AmendOrder", {
            "account_id": ACCOUNT, "client_order_id": "parent", "request_id": "through",
            "limit_price": at.price("1.05")})
        trading.when_order(client, "parent", "ORDER_STATUS_FILLED")
        trading.when_order(client, "child", "ORDER_STATUS_ACCEPTED")
        told = client.stream("OrderService", "StreamOrders",
                             {"account_id": ACCOUNT, "from_sequence": 1})
        kinds = []
        while "ORDER_EVENT_KIND_ACCEPTED" not in kinds:
            event = next(told).get("event")
            if event and event["order"]["client_order_id"] == "child":
                kinds.append(event["kind"])
                if event["kind"] == "ORDER_EVENT_KIND_HELD":
                    assert event["hold"] == "HOLD_PARENT"
        assert kinds == [f"ORDER_EVENT_KIND_{kind}" for kind in (
            "INITIALIZED", "HELD", "SUBMITTED", "ACCEPTED")]


def test_a_child_says_that_it_waits_for_its_parent(server, cli, client):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    at = trading.market(client, BTC)
    parent = resting("parent", at)
    child = resting("child", at, side="SELL")
    submit_list(client, "OTO", [parent, child])
    waits = trading.get_order(client, "child")
    assert (waits["status"], waits["held_for"]) == ("ORDER_STATUS_PENDING_NEW", "HOLD_PARENT")
    assert trading.get_order(client, "parent")["held_for"] == "HOLD_UNSPECIFIED"
    for words in ((), ("get", "child")):
        assert "pending_new (held for its parent)" in cli("orders", *words, *link).stdout
    client.call("OrderService", "CancelOrder",
                {"account_id": ACCOUNT, "client_order_id": "parent"})
    ended = trading.when_order(client, "child", "ORDER_STATUS_CANCELED")
    assert ended["held_for"] == "HOLD_UNSPECIFIED"


def test_a_list_is_denied_as_one(client):
    at = trading.market(client, BTC)
    wrong = {**resting("deny-2", at), "quantity": str(at.quantity / 1000)}
    outcomes = submit_list(client, "OUO", [resting("deny-1", at), wrong])["outcomes"]
    assert [one["error"]["reason"] for one in outcomes] == ["LIST_DENIED", "QUANTITY_INCREMENT"]
    assert all(one["error"]["code"] == grpc.StatusCode.FAILED_PRECONDITION.value[0]
               for one in outcomes)
    for name in ("deny-1", "deny-2"):
        assert trading.get_order(client, name)["status"] == "ORDER_STATUS_DENIED"


def test_each_order_of_a_batch_and_each_cancel_has_its_own_outcome(client):
    at = trading.market(client, BTC)
    wrong = {**resting("batch-2", at), "limit_price": at.price("0.90") + "0001"}
    outcomes = submit_list(client, "NONE", [resting("batch-1", at), wrong, resting("batch-3", at)],
                           list_id="")["outcomes"]
    assert "error" not in outcomes[0] and "error" not in outcomes[2]
    assert outcomes[1]["error"]["reason"] == "PRICE_INCREMENT"
    for name in ("batch-1", "batch-3"):
        trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
    canceled = client.call("OrderService", "CancelOrders", {
        "account_id": ACCOUNT, "request_id": "cancel-1",
        "orders": [{"client_order_id": "batch-1"}, {"client_order_id": "batch-2"},
                   {"order_id": outcomes[2]["order_id"]}, {"client_order_id": "nobody"}]})
    reasons = [one.get("error") and one["error"]["reason"] for one in canceled["outcomes"]]
    assert reasons == [None, "ORDER_CLOSED", None, "ORDER_NOT_FOUND"]
    for name in ("batch-1", "batch-3"):
        trading.when_order(client, name, "ORDER_STATUS_CANCELED")


def test_a_repeated_cancel_all_spares_what_came_behind_it(client):
    at = trading.market(client, BTC)
    client.call("OrderService", "SubmitOrder", resting("all-1", at))
    everything = {"account_id": ACCOUNT, "request_id": "all"}
    assert len(client.call("OrderService", "CancelAllOrders", everything)["orders"]) == 1
    trading.when_order(client, "all-1", "ORDER_STATUS_CANCELED")
    client.call("OrderService", "SubmitOrder", resting("all-2", at))
    again = client.call("OrderService", "CancelAllOrders", everything)["orders"]
    assert [order["client_order_id"] for order in again] == ["all-1"]
    trading.when_order(client, "all-2", "ORDER_STATUS_ACCEPTED")


def test_a_position_is_closed_with_what_is_in_its_way(client):
    at = trading.market(client, BTC)
    buy(client, at, "close-buy")
    client.call("OrderService", "SubmitOrder", resting("close-rest", at))
    trading.when_order(client, "close-rest", "ORDER_STATUS_ACCEPTED")
    close = {"account_id": ACCOUNT, "instrument_id": BTC, "request_id": "close",
             "client_order_id": "closing"}
    client.call("OrderService", "ClosePosition", close)
    trading.when_order(client, "close-rest", "ORDER_STATUS_CANCELED")
    trading.when_order(client, "closing", "ORDER_STATUS_FILLED")
    assert held(client) == 0
    trading.settled(client)
    before = trading.account(client)["sequence"]
    client.call("OrderService", "ClosePosition", close)
    assert trading.account(client)["sequence"] == before


def test_a_halt_that_flattens_ends_flat_and_stays_halted(client, server, cli):
    at = trading.market(client, BTC)
    buy(client, at, "halt-buy")
    client.call("OrderService", "SubmitOrder", resting("halt-rest", at))
    halt = {"account_id": ACCOUNT, "flatten": True, "reason": "test", "request_id": "halt"}
    answer = client.call("RiskService", "Halt", halt)["accounts"][0]
    assert answer["trading_state"] == "TRADING_STATE_HALTED"
    assert int(answer["cancels_requested"]) == 1
    apexlib.until("a flat account", lambda: held(client) == 0)
    error = refused(client, "SubmitOrder", resting("halt-new", at))
    assert apexlib.error_details(error)["ErrorInfo"]["reason"] == "TRADING_HALTED"
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    cli("risk", "resume", "--reason", "looked at it", *link)
    changes = cli("risk", "changes", "--json", *link).json["changes"]
    assert [(one["trading_state"], one["by"], one["reason"]) for one in changes] == [
        ("TRADING_STATE_HALTED", "admin", "test"), ("TRADING_STATE_ACTIVE", "admin", "looked at it")]
    # The halt was answered before: it does not come again.
    client.call("RiskService", "Halt", halt)
    assert trading.account(client)["trading_state"] == "TRADING_STATE_ACTIVE"


def test_the_command_line_lists_closes_and_limits(server, cli, tmp_path):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    with server.grpc() as client:
        at = trading.market(client, BTC)
        file = tmp_path / "list.json"
        rows = ", ".join(
            f'{{"client_order_id": "{name}", "instrument_id": "{BTC}", "side": "BUY", '
            f'"order_type": "LIMIT", "quantity": "{at.quantity}", '
            f'"limit_price": "{at.price("0.9")}"}}' for name in ("cli-a", "cli-b"))
        file.write_text(f'{{"order_list_id": "cli", "contingency": "OCO", "orders": [{rows}]}}')
        made = cli("orders", "submit-list", file, "--json", *link).json
        assert [one["error"] for one in made["outcomes"]] == [None, None]
        again = cli("orders", "submit-list", file, *link)
        assert "cli-a" in again.stdout and "cli-b" in again.stdout
        for name in ("cli-a", "cli-b"):
            trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
        cli("orders", "cancel-all", "--side", "buy", *link)
        for name in ("cli-a", "cli-b"):
            trading.when_order(client, name, "ORDER_STATUS_CANCELED")
        both = cli("orders", "cancel", "cli-a", "cli-b", *link, check=False)
        assert both.returncode == 1 and both.stdout.count("ORDER_CLOSED") == 2
        buy(client, at, "cli-buy")
        cli("positions", "close", BTC, *link)
        apexlib.until("a closed position", lambda: held(client) == 0)
        buy(client, at, "cli-buy-2")
        assert cli("accounts", "flatten", "--json", *link).json["account_id"] == ACCOUNT
        apexlib.until("a flat account", lambda: held(client) == 0)
    limits = cli("risk", "limits", "set", "--max-open-orders", "3", "--max-drawdown", "0.5",
                 "--instrument-exposure", f"{BTC}=1000", "--json", *link).json
    assert (limits["max_open_orders"], limits["max_drawdown"]) == (3, "0.5")
    assert limits["instrument_exposure"] == {BTC: "1000"}
    limits = cli("risk", "limits", "set", "--max-open-orders", "none", "--json", *link).json
    assert limits["max_open_orders"] is None and limits["max_drawdown"] == "0.5"
    assert cli("risk", "limits", "get", "--json", *link).json == limits
    bad = cli("orders", "submit-list", "-", *link, check=False)
    assert bad.returncode == 1 and len(bad.stderr.splitlines()) == 1


def test_a_loss_limit_halts_by_itself(client):
    at = trading.market(client, BTC)
    limits = client.call("RiskService", "GetLimits", {"account_id": ACCOUNT})
    client.call("RiskService", "SetLimits", {
        "account_id": ACCOUNT, "request_id": "loss",
        "limits": {**limits, "max_daily_loss": "0.01"}})
    numbers = iter(range(100))

    def halted():
        # Each round trip costs spread and fees; the account is valued once a second.
        if trading.account(client)["trading_state"] == "TRADING_STATE_HALTED":
            return True
        try:
            for side in ("BUY", "SELL"):
                client.call("OrderService", "SubmitOrder",
                            order(f"loss-{next(numbers)}", BTC, side, at.quantity))
        except grpc.RpcError as error:
            assert apexlib.error_details(error)["ErrorInfo"]["reason"] in (
                "TRADING_HALTED", "INSUFFICIENT_BUYING_POWER")
        return False

    apexlib.until("a halt", halted, pause=0.3)
    (change,) = client.call("RiskService", "ListTradingStateChanges",
                            {"account_id": ACCOUNT})["changes"]
    assert change["by"] == "system" and change["reason"].startswith("LOSS_LIMIT")
