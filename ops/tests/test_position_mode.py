"""Net or hedged: which orders an account takes, and when its mode may change."""

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, order

PERP = "BTCUSDT-PERP.SIM"


def set_mode(client, mode, request_id):
    return client.call("AccountService", "SetPositionMode", {
        "account_id": ACCOUNT, "request_id": request_id,
        "position_mode": f"POSITION_MODE_{mode}"})


def refused(call):
    """The code and the reason of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    return refusal.value.code(), apexlib.error_details(refusal.value)["ErrorInfo"]["reason"]


def submit(client, client_order_id, instrument, side, at, **more):
    return client.call("OrderService", "SubmitOrder",
                       order(client_order_id, instrument, side, at.quantity, **more))


def side_of(name):
    return {"position_side": f"POSITION_SIDE_{name}"}


def test_each_mode_takes_its_own_orders_and_changes_only_when_flat(server):
    rule = grpc.StatusCode.FAILED_PRECONDITION
    with server.grpc() as client:
        at = trading.market(client, PERP)
        assert trading.account(client)["position_mode"] == "POSITION_MODE_NETTING"
        found = refused(lambda: submit(client, "n-long", PERP, "BUY", at, **side_of("LONG")))
        assert found == (rule, "POSITION_SIDE_IN_NETTING")

        changed = set_mode(client, "HEDGING", "hedge")
        assert changed["position_mode"] == "POSITION_MODE_HEDGING"
        again = set_mode(client, "HEDGING", "hedge")
        assert again["sequence"] == changed["sequence"]
        assert refused(lambda: submit(client, "h-net", PERP, "BUY", at)) == (
            rule, "POSITION_SIDE_REQUIRED")
        spot = trading.market(client, BTC)
        submit(client, "spot", BTC, "BUY", spot)
        trading.when_order(client, "spot", "ORDER_STATUS_FILLED")
        submit(client, "long", PERP, "BUY", at, **side_of("LONG"))
        submit(client, "short", PERP, "SELL", at, **side_of("SHORT"))
        for name in ("long", "short"):
            trading.when_order(client, name, "ORDER_STATUS_FILLED")
        assert refused(lambda: set_mode(client, "NETTING", "net")) == (
            rule, "POSITION_MODE_IN_USE")

        client.call("OrderService", "FlattenAccount",
                    {"account_id": ACCOUNT, "request_id": "flat"})
        apexlib.until("nothing is held", lambda: not client.call(
            "AccountService", "ListPositions", {"account_id": ACCOUNT}).get("positions"))
        apexlib.until("nothing works",
                      lambda: int(trading.account(client)["working_orders"]) == 0)
        assert set_mode(client, "NETTING", "net")["position_mode"] == "POSITION_MODE_NETTING"


def test_the_mode_outlives_a_kill(make_server):
    server = make_server("up", "--feed", "sim").start()
    with server.grpc() as client:
        set_mode(client, "HEDGING", "hedge")
    server.kill()
    server.start()
    with server.grpc() as client:
        assert trading.account(client)["position_mode"] == "POSITION_MODE_HEDGING"


def test_a_mode_that_is_missing_is_refused_with_its_field(server):
    with server.grpc() as client:
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("AccountService", "SetPositionMode",
                        {"account_id": ACCOUNT, "request_id": "a"})
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    fields = apexlib.error_details(refusal.value)["BadRequest"]["field_violations"]
    assert [one["field"] for one in fields] == ["position_mode"]
