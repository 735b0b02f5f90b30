"""The exposure limit over all accounts, at a node that runs one: orders beyond it are denied, what
fits is taken without a word, it outlives a kill, and taking it away frees the account."""

from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, resting


def limits(client):
    return client.call("RiskService", "GetPlatformLimits", {})


def set_limit(client, request_id, amount="", **more):
    currency = {"currency": "USDT"} if amount else {}
    return client.call("RiskService", "SetPlatformLimits",
                       {"request_id": request_id, "max_exposure": str(amount), **currency, **more})


def submit(client, client_order_id, at, lots):
    request = resting(client_order_id, at)
    return client.call("OrderService", "SubmitOrder",
                       {**request, "quantity": str(at.quantity * lots)})


def refused(call):
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    return refusal.value.code(), apexlib.error_details(refusal.value)


def denied(client, client_order_id, at, lots):
    code, details = refused(lambda: submit(client, client_order_id, at, lots))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert details["ErrorInfo"]["reason"] == "EXPOSURE_LIMIT"
    found = trading.get_order(client, client_order_id)
    assert found["status"] == "ORDER_STATUS_DENIED"
    assert "platform's exposure limit" in found["reason"], found["reason"]


def own(found):
    (share,) = found["accounts"]
    assert share["account_id"] == ACCOUNT
    return Decimal(share["share"] or 0), Decimal(share["exposure"] or 0)


def test_a_limit_over_all_accounts_denies_outlives_a_kill_and_is_taken_away(make_server, tmp_path):
    folder = tmp_path / "data"
    server = make_server("up", data_dir=folder).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        lot = at.quantity * (at.bid + at.ask) / 2
        before = limits(client)
        assert (before["max_exposure"], int(before["sequence"])) == ("", 0)
        # Ten and a half lots: the price may move a little before another number fits.
        amount = (lot * Decimal("10.5")).quantize(Decimal("0.01"))
        first = set_limit(client, "first", amount)
        assert first["in_force"] and Decimal(first["max_exposure"]) == amount
        # Far more than the share that an idle account keeps: more of it comes with the order.
        assert own(first)[0] < 9 * lot
        submit(client, "fits", at, 9)
        assert trading.get_order(client, "fits")["status"] != "ORDER_STATUS_DENIED"
        denied(client, "over", at, 3)
        submit(client, "rest", at, 1)
        found = apexlib.until("the exposure is told", lambda: (
            lambda seen: seen if own(seen)[1] > 9 * lot else None)(limits(client)))
        assert own(found)[0] == Decimal(found["handed_out"]) <= amount
        # The same request again changes nothing; another sequence is another limit.
        assert set_limit(client, "first", amount)["sequence"] == found["sequence"]
        code, _ = refused(lambda: set_limit(client, "stale", amount, expected_sequence=77))
        assert code == grpc.StatusCode.ABORTED
        code, _ = refused(lambda: set_limit(client, "negative", "-1"))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
    server.kill()
    again = make_server("up", data_dir=folder).start()
    with again.grpc() as client:
        found = apexlib.until("the limit is in force", lambda: (
            lambda seen: seen if seen["in_force"] else None)(limits(client)))
        assert Decimal(found["max_exposure"]) == amount
        assert Decimal(found["handed_out"]) <= amount
        denied(client, "still", trading.market(client, BTC), 3)
        # What ends gives its part back to whoever asks next.
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "fits"})
        trading.when_order(client, "fits", "ORDER_STATUS_CANCELED")
        submit(client, "after", trading.market(client, BTC), 8)
        # Lowered below what is used: nothing is canceled, and nothing is added.
        lowered = set_limit(client, "lower", lot)
        assert lowered["in_force"] and own(lowered)[0] > lot
        denied(client, "more", trading.market(client, BTC), 1)
        assert trading.get_order(client, "after")["status"] == "ORDER_STATUS_ACCEPTED"
        free = set_limit(client, "none")
        assert (free["max_exposure"], free["in_force"]) == ("", True)
        submit(client, "free", trading.market(client, BTC), 20)
    again.stop()


def test_the_limit_from_the_command_line(server, cli):
    link = ["--gateway", server.url, "--data-dir", server.data_dir, "--json"]

    def platform(*words, **more):
        return cli("risk", "limits", "platform", *words, *link, **more)

    assert platform("get").json["max_exposure"] == ""
    without = platform("set", "--max-exposure", "1000000", check=False)
    assert without.returncode != 0 and "--currency" in without.stderr
    found = platform("set", "--max-exposure", "1000000", "--currency", "USDT").json
    assert (found["max_exposure"], found["in_force"]) == ("1000000", True)
    assert platform("set", "--max-exposure", "2000000").json["currency"] == "USDT"
    assert platform("set", "--max-exposure", "none").json["max_exposure"] == ""
