"""Bad input: a typed error that names the field, no panic, and no journal record but for orders
that are well formed and break a rule, which are kept as DENIED."""

from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import AAPL, ACCOUNT, BTC, order, resting

NO_NUMBERS = {
    "NaN": "NaN", "nan": "nan", "infinity": "inf", "Infinity": "Infinity", "-inf": "-inf",
    "exponent": "1e5", "29 decimals": "1." + "0" * 28 + "1", "10^38": "1" + "0" * 38,
    "zero": "0", "zeros": "0.000", "minus zero": "-0", "negative": "-1", "plus": "+1",
    "space": " 1", "space behind": "1 ", "comma": "1,5", "hexadecimal": "0x10", "empty": "",
    "dot": ".", "dot first": ".5", "dot last": "5.", "two dots": "1.2.3", "underscore": "1_000",
    "full width": "\uff11", "arabic": "\u0661", "word": "one", "10 kB": "1" * 10_240,
    "10 kB of zeros": "0" * 10_240 + "1", "control": "1\x00", "line end": "1\n", "bell": "\x07",
    "19 decimals": "0." + "1" * 19, "21 digits": "1" * 21,
}
BAD_TEXTS = {
    "10 kB": "x" * 10_240, "control": "a\x00b", "line end": "a\nb", "escape": "\x1b[2J",
    "delete": "a\x7fb", "c1 control": "a\u0085b", "space": "a b", "slash": "../../etc/passwd",
    "wide": "\u2603" * 20, "right to left": "\u202eabc",
}


@pytest.fixture(scope="module")
def client(binary, tmp_path_factory):
    """One server for all: what one case leaves behind, the next one's check would find."""
    data_dir = tmp_path_factory.mktemp("bad_input") / "data"
    data_dir.mkdir()
    with apexlib.Server(binary, data_dir) as server, server.grpc() as one:
        trading.market(one, BTC)
        yield one
        assert "panicked" not in server.stderr_path.read_text(errors="replace")
        assert server.process.poll() is None


@pytest.fixture
def at(client):
    return trading.market(client, BTC)


@pytest.fixture
def untouched(client):
    """Fails when the test leaves a record in the account's journal."""
    before = trading.account(client)
    yield
    after = trading.account(client)
    assert after["sequence"] == before["sequence"], "there is a record in the journal"
    assert after["state_hash"] == before["state_hash"]


def refused(client, service, method, request, code, field):
    """Checks status code and the named field of a refusal."""
    with pytest.raises(grpc.RpcError) as refusal:
        client.call(service, method, request)
    error = refusal.value
    codes = code if isinstance(code, tuple) else (code,)
    assert error.code().name in codes, (error.code(), error.details())
    assert len(error.details()) < 2_000, "the caller's text comes back"
    assert all(letter.isprintable() for letter in error.details()), error.details()
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
        violations = apexlib.error_details(error)["BadRequest"]["field_violations"]
        assert field in [one["field"] for one in violations], violations
        assert all(one["description"] for one in violations)


@pytest.mark.parametrize("field", ["quantity", "limit_price"])
@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_number_of_an_order_is_invalid(name, field, client, at, untouched):
    request = {**resting("bad-number", at), field: NO_NUMBERS[name]}
    refused(client, "OrderService", "SubmitOrder", request, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize("field", ["account_id", "client_order_id", "instrument_id",
                                   "strategy_id"])
@pytest.mark.parametrize("name", BAD_TEXTS)
def test_what_is_no_id_is_invalid(name, field, client, at, untouched):
    request = {**resting("bad-text", at), field: BAD_TEXTS[name]}
    refused(client, "OrderService", "SubmitOrder", request,
            ("INVALID_ARGUMENT", "NOT_FOUND"), field)


@pytest.mark.parametrize("name", ["10 kB", "control", "line end", "escape", "delete",
                                  "c1 control"])
def test_tags_are_short_and_printable(name, client, at, untouched):
    request = {**resting("bad-tags", at), "tags": BAD_TEXTS[name]}
    refused(client, "OrderService", "SubmitOrder", request, "INVALID_ARGUMENT", "tags")


@pytest.mark.parametrize("field, value", [
    ("account_id", ""), ("account_id", "nobody"), ("client_order_id", ""),
    ("client_order_id", "x" * 37), ("instrument_id", ""), ("instrument_id", "NOPE.SIM"),
    ("instrument_id", "NOPE"), ("instrument_id", "BTCUSDT.NOPE"), ("instrument_id", ".SIM"),
    ("strategy_id", "x" * 65),
    ("side", 0), ("side", 3), ("side", -1), ("side", 2**31 - 1),
    ("order_type", 0), ("order_type", 99), ("order_type", -1),
    ("time_in_force", 99), ("time_in_force", -5),
    ("trigger_type", 77), ("position_side", 9), ("self_trade_prevention", 9),
    ("trailing_offset_type", 9),
    ("notional", "100"), ("stop_price", "100"), ("trailing_offset", "1"),
    ("activation_price", "1"), ("expire_at_ns", -1), ("expire_at_ns", 1),
    ("trigger_type", 1), ("trailing_offset_type", 1),
    ("display_quantity", "NaN"), ("display_quantity", "0"), ("display_quantity", "1e20"),
])
def test_what_an_order_may_not_say_is_named(field, value, client, at, untouched):
    request = {**resting("bad-field", at), field: value}
    refused(client, "OrderService", "SubmitOrder", request,
            ("INVALID_ARGUMENT", "NOT_FOUND"), field)


def test_every_wrong_field_is_named_at_once(client, at, untouched):
    request = {"account_id": ACCOUNT, "quantity": "NaN", "side": 9}
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "SubmitOrder", request)
    named = {one["field"] for one in
             apexlib.error_details(refusal.value)["BadRequest"]["field_violations"]}
    assert {"client_order_id", "instrument_id", "side", "quantity"} <= named


def test_fields_that_exclude_each_other_are_named(client, at, untouched):
    market = order("bad-pair", BTC, "BUY", at.quantity)
    for request, field in [
        ({**market, "limit_price": str(at.bid)}, "limit_price"),
        ({**market, "post_only": True}, "post_only"),
        ({**resting("bad-pair", at), "limit_price": ""}, "limit_price"),
        ({**resting("bad-pair", at), "post_only": True,
          "time_in_force": "TIME_IN_FORCE_IOC"}, "post_only"),
        ({**resting("bad-pair", at), "notional": "100"}, "notional"),
        ({**resting("bad-pair", at), "order_type": "ORDER_TYPE_STOP_LIMIT"}, "stop_price"),
        ({**resting("bad-pair", at), "time_in_force": "TIME_IN_FORCE_GTD"}, "expire_at_ns"),
        ({**resting("bad-pair", at), "time_in_force": "TIME_IN_FORCE_GTD",
          "expire_at_ns": 1}, "expire_at_ns"),
        ({**resting("bad-pair", at), "display_quantity": "99999"}, "display_quantity"),
        ({**market, "order_type": "ORDER_TYPE_TRAILING_STOP", "trailing_offset": "10000",
          "trailing_offset_type": "TRAILING_OFFSET_TYPE_BPS"}, "trailing_offset"),
        ({**market, "order_type": "ORDER_TYPE_MARKET_TO_LIMIT",
          "time_in_force": "TIME_IN_FORCE_AT_OPEN"}, "time_in_force"),
    ]:
        refused(client, "OrderService", "SubmitOrder", request, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize("service, method, request_, field", [
    ("OrderService", "AmendOrder", {"quantity": "NaN"}, "quantity"),
    ("OrderService", "AmendOrder", {"limit_price": "-1"}, "limit_price"),
    ("OrderService", "AmendOrder", {}, "quantity"),
    ("OrderService", "AmendOrder", {"quantity": "1", "request_id": ""}, "request_id"),
    ("OrderService", "AmendOrder", {"quantity": "1", "request_id": "a b"}, "request_id"),
    ("OrderService", "AmendOrder", {"quantity": "1", "request_id": "x" * 65}, "request_id"),
    ("OrderService", "CancelOrder", {"client_order_id": ""}, "order_id"),
    ("OrderService", "CancelOrder", {"client_order_id": "a\x00"}, "client_order_id"),
    ("OrderService", "CancelOrder", {"request_id": "x" * 10_240}, "request_id"),
    ("OrderService", "CancelAllOrders", {"side": 9}, "side"),
    ("OrderService", "CancelAllOrders", {"instrument_id": "a b"}, "instrument_id"),
    ("OrderService", "GetOrder", {"client_order_id": "x" * 10_240}, "client_order_id"),
    ("OrderService", "ListOrders", {"page_size": -1}, "page_size"),
    ("OrderService", "ListOrders", {"page_token": "nonsense"}, "page_token"),
    ("OrderService", "ListOrders", {"page_token": "\x00" * 10_240}, "page_token"),
    ("OrderService", "ListExecutions", {"page_token": "-1"}, "page_token"),
    ("AccountService", "GetAccount", {"account_id": "\x07"}, "account_id"),
    ("AccountService", "ListPositions", {"page_size": -1}, "page_size"),
    ("AccountService", "SetPositionMode", {"request_id": "a", "position_mode": 9}, "position_mode"),
    ("AccountService", "SetPositionMode", {"position_mode": 2}, "request_id"),
    ("AccountService", "AdjustCash", {"request_id": "a", "currency": "USDT", "amount": "NaN"},
     "amount"),
    ("AccountService", "AdjustCash", {"request_id": "a", "currency": "USDT", "amount": "0"},
     "amount"),
    ("AccountService", "AdjustCash", {"request_id": "a", "currency": "\x00", "amount": "1"},
     "currency"),
    ("AccountService", "AdjustCash", {"currency": "USDT", "amount": "1"}, "request_id"),
    ("AccountService", "AdjustCash",
     {"request_id": "a", "currency": "USDT", "amount": "1", "reason": "x" * 257}, "reason"),
    ("RiskService", "Halt", {"request_id": "x" * 65}, "request_id"),
    ("RiskService", "Halt", {"request_id": "a", "reason": "a\x00"}, "reason"),
    ("OrderService", "AmendOrder", {"stop_price": "0"}, "stop_price"),
    ("OrderService", "SubmitOrderList", {"contingency": 99}, "contingency"),
    ("OrderService", "SubmitOrderList", {"contingency": "CONTINGENCY_OCO"}, "order_list_id"),
    ("OrderService", "SubmitOrderList", {"order_list_id": "a"}, "order_list_id"),
    ("OrderService", "SubmitOrderList", {"orders": []}, "orders"),
    ("OrderService", "SubmitOrderList", {"orders": [{}] * 101}, "orders"),
    ("OrderService", "SubmitOrderList", {"orders": [{"side": 9}]}, "orders[0].side"),
    ("OrderService", "CancelOrders", {"orders": []}, "orders"),
    ("OrderService", "CancelOrders", {"orders": [{}]}, "orders[0].order_id"),
    ("OrderService", "CancelOrders", {"orders": [{"client_order_id": "a\x00"}]},
     "orders[0].client_order_id"),
    ("OrderService", "CancelAllOrders", {"request_id": "a b"}, "request_id"),
    ("OrderService", "ClosePosition", {"request_id": "a"}, "instrument_id"),
    ("OrderService", "ClosePosition", {"request_id": "a", "instrument_id": "NOPE.SIM"},
     "instrument_id"),
    ("OrderService", "ClosePosition", {"instrument_id": BTC}, "request_id"),
    ("OrderService", "FlattenAccount", {}, "request_id"),
    ("OrderService", "PreviewOrder", {}, "client_order_id"),
    ("RiskService", "ListTradingStateChanges", {"page_size": -1}, "page_size"),
    ("RiskService", "ListTradingStateChanges", {"page_token": "nonsense"}, "page_token"),
    ("RiskService", "SetLimits",
     {"request_id": "a", "limits": {"strategy_exposure": {"a b": "1"}}},
     "limits.strategy_exposure"),
    ("RiskService", "SetLimits",
     {"request_id": "a", "limits": {"max_order_notional": "NaN"}}, "limits.max_order_notional"),
    ("RiskService", "SetLimits",
     {"request_id": "a", "limits": {"max_reference_age_ns": -1}}, "limits.max_reference_age_ns"),
    ("RiskService", "SetLimits", {"request_id": "a"}, "limits"),
    ("MarketDataService", "GetBook", {"instrument_id": BTC, "depth": -1}, "depth"),
    ("MarketDataService", "GetBook", {"instrument_id": "x" * 10_240}, "instrument_id"),
    ("InstrumentService", "GetInstrument", {"instrument_id": ""}, "instrument_id"),
    ("InstrumentService", "ListInstruments", {"page_size": -1}, "page_size"),
])
def test_other_methods_name_the_field_too(service, method, request_, field, client, untouched):
    usual = {"account_id": ACCOUNT} if service in (
        "OrderService", "AccountService", "RiskService") else {}
    if method in ("AmendOrder", "CancelOrder", "GetOrder"):
        usual |= {"client_order_id": "some-id"}
    if method == "AmendOrder":
        usual |= {"request_id": "bad-amend"}
    refused(client, service, method, {**usual, **request_}, "INVALID_ARGUMENT", field)


@pytest.mark.parametrize("service, method, request_, field", [
    ("OrderService", "StreamOrders", {"account_id": ACCOUNT, "resume_token": "nonsense"},
     "resume_token"),
    ("OrderService", "StreamOrders", {"from_sequence": 5}, "account_id"),
    ("MarketDataService", "Subscribe", {"instrument_ids": ["NOPE.SIM"]}, "instrument_ids"),
    ("MarketDataService", "Subscribe", {"kinds": [99]}, "kinds"),
])
def test_streams_name_the_field_too(service, method, request_, field, client, untouched):
    with pytest.raises(grpc.RpcError) as refusal:
        next(client.stream(service, method, request_))
    assert refusal.value.code().name in ("INVALID_ARGUMENT", "NOT_FOUND")
    if refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT:
        named = [one["field"].split("[")[0] for one in
                 apexlib.error_details(refusal.value)["BadRequest"]["field_violations"]]
        assert field in named or (field == "account_id" and "from_sequence" in named)


def test_unknown_ids_are_not_found(client, untouched):
    for method, request in [
        ("GetOrder", {"account_id": ACCOUNT, "client_order_id": "nothing"}),
        ("GetOrder", {"order_id": "nothing"}),
        ("CancelOrder", {"account_id": ACCOUNT, "client_order_id": "nothing"}),
        ("AmendOrder", {"account_id": ACCOUNT, "client_order_id": "nothing", "quantity": "1",
                        "request_id": "nothing"}),
        ("ListOrders", {"account_id": "nobody"}),
    ]:
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", method, request)
        assert refusal.value.code() == grpc.StatusCode.NOT_FOUND, (method, refusal.value.details())


@pytest.mark.parametrize("body", [
    b"\xff\xff\xff\xff", b"\x0a\xff", b"\x12\x02\xff\xfe", bytes(range(256)) * 40, b"\x0a\x85",
    b"\x12\x80\x80\x80\x80\x10",
], ids=["tag", "length", "no utf-8", "noise", "cut", "huge length"])
def test_bytes_that_are_no_message_are_the_caller_s_fault(body, client, untouched):
    with pytest.raises(grpc.RpcError) as refusal:
        client.raw("OrderService", "SubmitOrder", body)
    assert refusal.value.code().name not in ("UNKNOWN", "INTERNAL"), refusal.value.details()


def test_a_message_beyond_the_limit_is_refused(client, untouched):
    with pytest.raises(grpc.RpcError) as refusal:
        client.raw("OrderService", "SubmitOrder", b"\x12" + b"\x80\x80\x80\x08" + b"x" * (16 << 20))
    assert refusal.value.code().name in ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "INVALID_ARGUMENT",
                                         "UNAVAILABLE", "CANCELLED")
    assert trading.account(client)["account_id"] == ACCOUNT


def denials(client):
    """Well formed, and against a rule: (id, request, reason code)."""
    btc, aapl = trading.market(client, BTC), trading.market(client, AAPL)
    half_tick = str(Decimal(btc.price("0.9")) + btc.tick / 2)
    return [
        ("off-tick", {**resting("off-tick", btc), "limit_price": half_tick}, "PRICE_INCREMENT"),
        ("18-decimals", {**resting("18-decimals", btc),
                         "limit_price": btc.price("0.9") + "0" * 15 + "1"}, "PRICE_INCREMENT"),
        ("off-step", {**resting("off-step", btc),
                      "quantity": str(btc.quantity + btc.quantity_step / 10)},
         "QUANTITY_INCREMENT"),
        ("fraction", order("fraction", AAPL, "BUY", "1.5", aapl.price("0.9")),
         "QUANTITY_INCREMENT"),
        ("too-small", {**resting("too-small", btc), "quantity": str(btc.quantity_step)},
         "MIN_QUANTITY"),
        ("too-large", {**resting("too-large", btc), "quantity": "1000000"}, "MAX_QUANTITY"),
        ("too-dear", order("too-dear", BTC, "BUY", "99", btc.price("0.9")) |
         {"quantity": "100"} | {"limit_price": btc.price("100")}, "INSUFFICIENT_BUYING_POWER"),
        ("too-little", {**resting("too-little", btc), "limit_price": "0.01"}, "MIN_NOTIONAL"),
        ("nothing-to-reduce", {**resting("nothing-to-reduce", btc), "reduce_only": True},
         "REDUCE_ONLY"),
    ]


@pytest.mark.parametrize("number", range(9))
def test_an_order_against_a_rule_is_kept_as_denied_and_answers_the_same(number, client):
    name, request, reason = denials(client)[number]
    before = trading.account(client)["sequence"]

    def submit():
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "SubmitOrder", request)
        details = apexlib.error_details(refusal.value)["ErrorInfo"]
        return refusal.value.code().name, refusal.value.details(), details

    first = submit()
    assert first[0] == "FAILED_PRECONDITION"
    assert first[2]["reason"] == reason, first
    assert first[2]["metadata"]["client_order_id"] == name
    kept = trading.get_order(client, name)
    assert kept["status"] == "ORDER_STATUS_DENIED"
    assert kept["reason_code"] == reason and kept["reason"]
    assert kept["order_id"] == first[2]["metadata"]["order_id"]
    assert Decimal(kept["leaves_quantity"]) == 0
    sequence = trading.account(client)["sequence"]
    assert sequence > before
    assert submit() == first
    assert trading.account(client)["sequence"] == sequence, "the same answer made a record"
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "SubmitOrder", {**request, "tags": "another"})
    assert refusal.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert trading.account(client)["sequence"] == sequence


def test_an_amend_off_the_tick_is_refused_and_changes_nothing(client, at):
    client.call("OrderService", "SubmitOrder", resting("amend-off", at))
    before = trading.when_order(client, "amend-off", "ORDER_STATUS_ACCEPTED")
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "AmendOrder", {
            "account_id": ACCOUNT, "client_order_id": "amend-off", "request_id": "amend-off",
            "limit_price": str(Decimal(at.price("0.9")) + at.tick / 2)})
    assert refusal.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert apexlib.error_details(refusal.value)["ErrorInfo"]["reason"] == "PRICE_INCREMENT"
    after = trading.get_order(client, "amend-off")
    assert after["limit_price"] == before["limit_price"]
    client.call("OrderService", "CancelOrder",
                {"account_id": ACCOUNT, "client_order_id": "amend-off"})
    trading.when_order(client, "amend-off", "ORDER_STATUS_CANCELED")
