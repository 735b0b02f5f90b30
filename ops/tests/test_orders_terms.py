"""The terms of single orders: what is taken, kept and previewed."""

import time
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


@pytest.fixture
def at(client):
    return trading.market(client, BTC)


def denied(client, request):
    """Submits an order that breaks a rule, and returns it with its reason code."""
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "SubmitOrder", request)
    assert refusal.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    reason = apexlib.error_details(refusal.value)["ErrorInfo"]["reason"]
    kept = trading.get_order(client, request["client_order_id"])
    assert kept["status"] == "ORDER_STATUS_DENIED" and kept["reason_code"] == reason
    return kept


def test_what_an_order_says_is_shown_again(client, at):
    end = time.time_ns() + 3_600_000_000_000
    request = resting("terms", at, time_in_force="TIME_IN_FORCE_GTD",
                      expire_at_ns=end, display_quantity=str(at.quantity), post_only=True,
                      self_trade_prevention="SELF_TRADE_PREVENTION_CANCEL_OLDEST",
                      extended_hours=True, tags="a b")
    shown = client.call("OrderService", "SubmitOrder", request)
    for field in ("time_in_force", "post_only", "self_trade_prevention", "extended_hours", "tags"):
        assert shown[field] == request[field], field
    assert Decimal(shown["display_quantity"]) == at.quantity
    assert int(shown["expire_at_ns"]) == int(shown["ts_expires_ns"]) == end
    assert shown["position_side"] == "POSITION_SIDE_NET"
    assert shown["trigger_type"] == "TRIGGER_TYPE_UNSPECIFIED"
    again = client.call("OrderService", "SubmitOrder", request)
    assert again["order_id"] == shown["order_id"]
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "SubmitOrder", {**request, "extended_hours": False})
    assert refusal.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_an_order_in_money_buys_what_it_pays_for(client, at):
    money = 3 * at.quantity * at.ask
    request = {**order("money", BTC, "BUY", "1"), "notional": str(money.quantize(Decimal("0.01")))}
    request["quantity"] = ""
    client.call("OrderService", "SubmitOrder", request)
    filled = trading.when_order(client, "money", "ORDER_STATUS_FILLED")
    quantity = Decimal(filled["quantity"])
    assert at.quantity <= quantity <= 3 * at.quantity
    assert quantity % at.quantity_step == 0
    assert filled["notional"] == request["notional"].rstrip("0").rstrip(".")


@pytest.mark.parametrize("kind, field, value, code", [
    ("ORDER_TYPE_STOP", "stop_price", "0.0000001", "PRICE_INCREMENT"),
    ("ORDER_TYPE_STOP_LIMIT", "stop_price", "70000.001", "PRICE_INCREMENT"),
    ("ORDER_TYPE_TRAILING_STOP", "trailing_offset", "0.0000001", "PRICE_INCREMENT"),
    ("ORDER_TYPE_TRAILING_STOP", "activation_price", "70000.001", "PRICE_INCREMENT"),
    ("ORDER_TYPE_LIMIT", "display_quantity", "0.0000001", "QUANTITY_INCREMENT"),
])
def test_a_number_off_its_increment_is_denied_and_kept(kind, field, value, code, client, at):
    request = {**resting("off", at), "order_type": kind}
    if kind in ("ORDER_TYPE_STOP", "ORDER_TYPE_TRAILING_STOP"):
        request["limit_price"] = ""
    if kind == "ORDER_TYPE_TRAILING_STOP":
        request |= {"trailing_offset": "100", "trailing_offset_type": "TRAILING_OFFSET_TYPE_PRICE"}
    kept = denied(client, {**request, field: value})
    assert kept["reason_code"] == code
    assert kept[field] == value


def test_a_preview_tells_what_an_order_would_do_and_keeps_nothing(client, at):
    before = trading.account(client)
    request = order("preview", BTC, "BUY", 2 * at.quantity)
    preview = client.call("OrderService", "PreviewOrder", request)
    assert preview["failed_checks"] == [] and preview["currency"] == at.quote
    price, quantity = Decimal(preview["estimated_price"]), Decimal(preview["quantity"])
    assert quantity == 2 * at.quantity and price > 0
    assert Decimal(preview["notional"]) == price * quantity
    assert Decimal(preview["initial_margin"]) == price * quantity
    assert Decimal(preview["worst_position"]) == quantity
    vast = client.call("OrderService", "PreviewOrder", {**request, "quantity": "5000"})
    assert "INSUFFICIENT_BUYING_POWER" in [one["reason_code"] for one in vast["failed_checks"]]
    after = trading.account(client)
    assert after["sequence"] == before["sequence"] and after["orders"] == before["orders"]
    client.call("OrderService", "SubmitOrder", request)


def test_the_command_line_says_every_term(server, cli, client, at):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    made = cli("orders", "submit", BTC, "buy", 4 * at.quantity, "--limit-price", at.price("0.9"),
               "--display-quantity", at.quantity, "--time-in-force", "day", "--post-only",
               "--self-trade-prevention", "cancel-both", "--strategy", "desk", "--tags", "t",
               "--client-order-id", "cli-terms", "--json", *link).json
    assert made["time_in_force"] == "TIME_IN_FORCE_DAY" and made["ts_expires_ns"] > 0
    assert made["strategy_id"] == "desk" and Decimal(made["display_quantity"]) == at.quantity
    narrow = cli("orders", *link).stdout
    assert "day" in narrow and "desk" not in narrow
    wide = cli("orders", "--wide", *link).stdout
    for word in ("desk", "post-only", "cancel_both", made["order_id"]):
        assert word in wide, word
    shown = dict(line.split(maxsplit=1) for line in
                 cli("orders", "get", "cli-terms", *link).stdout.splitlines())
    assert shown["strategy"] == "desk" and shown["tags"] == "t" and shown["tif"] == "day"
    assert Decimal(shown["display"]) == at.quantity
    end = cli("orders", "submit", BTC, "buy", at.quantity, "--limit-price", at.price("0.9"),
              "--time-in-force", "gtd", "--expire-at", "2037-01-01T01:00:00+01:00", "--json",
              *link).json
    assert end["expire_at_ns"] == 2_114_380_800 * 1_000_000_000
    preview = cli("orders", "preview", BTC, "buy", "--notional", "1000", "--json", *link).json
    assert Decimal(preview["notional"]) <= 1000
    failing = cli("orders", "preview", BTC, "buy", at.quantity / 1000, *link, check=False)
    assert failing.returncode == 1 and "QUANTITY_INCREMENT" in failing.stdout
    denied_ = cli("orders", "submit", BTC, "sell", at.quantity, "--stop-price", "1.00001", *link,
                  check=False)
    assert denied_.returncode == 1 and "PRICE_INCREMENT" in denied_.stderr
