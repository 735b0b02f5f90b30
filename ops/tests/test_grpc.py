"""`up` without arguments, as a gRPC client sees it that knows nothing but the address and token."""

import stat
from decimal import Decimal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

import apexlib
import trading
from trading import AAPL, ACCOUNT, BTC, ETH, order, resting

PUBLIC = ("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection")
# How a token is got.
OPEN_METHODS = (("apextrade.v1.AuthService", "Login"), ("apextrade.v1.AuthService", "Refresh"))


@pytest.fixture
def client(server):
    with server.grpc() as one:
        yield one


def code_of(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as refusal:
        call(*arguments, **options)
    return refusal.value.code()


def test_the_first_start_leaves_a_token_only_for_its_owner(server):
    path = server.data_dir / "admin.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(server.token) >= 20
    first = server.token
    server.restart()
    assert server.token == first
    assert trading.account(server.grpc())["account_id"] == ACCOUNT


def ask_reflection(client, version):
    """The services that this version of the protocol lists, without its own name, which differs."""
    ask = client.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(ask(iter([request]), timeout=apexlib.CALL_SECONDS)))
    names = [one.name for one in answer.list_services_response.service]
    return [name for name in names if not name.startswith("grpc.reflection.")]


def test_reflection_and_health_need_no_token(server):
    with apexlib.Grpc(server.address) as stranger:
        services = stranger.services()
        for version in ("v1", "v1alpha"):
            assert set(ask_reflection(stranger, version)) < set(services)
        assert "grpc.health.v1.Health" in services
        for name in ("OrderService", "MarketDataService", "AccountService", "InstrumentService",
                     "RiskService", "SystemService"):
            assert f"apextrade.v1.{name}" in services
        health = health_pb2_grpc.HealthStub(stranger.channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    status, body = server.get("/health")
    assert status == 200 and b'"ok"' in body


@pytest.mark.parametrize("token", ["", "wrong", "apx_" + "A" * 43, "x" * 7000])
def test_everything_else_is_unauthenticated_without_a_good_token(server, token):
    with apexlib.Grpc(server.address, token) as stranger:
        asked = 0
        for service in stranger.services():
            if service in PUBLIC:
                continue
            for method in stranger.methods(service):
                if (service, method.name) in OPEN_METHODS:
                    continue
                if method.client_streaming:
                    call = lambda: next(stranger.session(service, method.name, [{}]))
                elif method.server_streaming:
                    call = lambda: next(stranger.stream(service, method.name, {}))
                else:
                    call = lambda: stranger.call(service, method.name, {})
                code = code_of(call)
                assert code == grpc.StatusCode.UNAUTHENTICATED, (service, method.name, code)
                asked += 1
        assert asked >= 20


KINDS = {AAPL: "EQUITY", "MSFT.SIM": "EQUITY", "BTCUSDT-20301227.SIM": "FUTURE"}


def test_instruments_and_accounts_are_listed(client):
    found = client.call("InstrumentService", "ListInstruments", {})["instruments"]
    assert {BTC, ETH, AAPL} <= {one["instrument_id"] for one in found}
    for one in found:
        at = trading.market(client, one["instrument_id"])
        # The smallest order is always an order.
        assert at.quantity * at.bid >= Decimal(one["min_notional"])
        assert at.bid < at.ask
        kind = KINDS.get(one["instrument_id"], "CRYPTO")
        assert one["asset_class"] == f"ASSET_CLASS_{kind}"
    accounts = client.call("AccountService", "ListAccounts", {})["accounts"]
    (paper,) = [one for one in accounts if one["account_id"] == ACCOUNT]
    assert paper["mode"] == "ACCOUNT_MODE_PAPER"
    assert paper["trading_state"] == "TRADING_STATE_ACTIVE"
    quotes = {one["quote_currency"] for one in found}
    assert {key: Decimal(value) for key, value in paper["cash"].items() if key in quotes} == {
        quote: Decimal(10_000_000) for quote in quotes}


def test_lists_go_by_pages_without_loss_or_repetition(client):
    at = trading.market(client, BTC)
    names = [f"page-{i}" for i in range(7)]
    for name in names:
        client.call("OrderService", "SubmitOrder", resting(name, at))
    found, token = [], ""
    while True:
        page = client.call("OrderService", "ListOrders",
                           {"account_id": ACCOUNT, "page_size": 3, "page_token": token})
        assert len(page["orders"]) <= 3
        found += [one["client_order_id"] for one in page["orders"]]
        token = page["next_page_token"]
        if not token:
            break
    assert found == names[::-1]


def test_an_order_is_submitted_amended_and_canceled(client):
    at = trading.market(client, BTC)
    request = resting("life-1", at)
    placed = client.call("OrderService", "SubmitOrder", request)
    for key in ("client_order_id", "account_id", "instrument_id", "side", "order_type"):
        assert placed[key] == request[key]
    assert Decimal(placed["leaves_quantity"]) == at.quantity
    accepted = trading.when_order(client, "life-1", "ORDER_STATUS_ACCEPTED")
    assert accepted["venue_order_id"]
    assert accepted["order_id"] == placed["order_id"]
    more = str(at.quantity + at.quantity_step)
    client.call("OrderService", "AmendOrder",
                {"account_id": ACCOUNT, "client_order_id": "life-1", "request_id": "amend-1",
                 "quantity": more, "limit_price": at.price("0.91")})
    amended = trading.when_order(client, "life-1", "ORDER_STATUS_ACCEPTED")
    assert Decimal(amended["quantity"]) == Decimal(more)
    assert Decimal(amended["limit_price"]) == Decimal(at.price("0.91"))
    client.call("OrderService", "CancelOrder",
                {"account_id": ACCOUNT, "client_order_id": "life-1", "request_id": "cancel-1"})
    canceled = trading.when_order(client, "life-1", "ORDER_STATUS_CANCELED")
    assert Decimal(canceled["leaves_quantity"]) == 0
    assert Decimal(canceled["canceled_quantity"]) == Decimal(more)
    assert canceled["sequence"] > amended["sequence"] > accepted["sequence"]


def test_an_amend_from_a_stale_sequence_is_aborted(client):
    at = trading.market(client, BTC)
    client.call("OrderService", "SubmitOrder", resting("stale-1", at))
    accepted = trading.when_order(client, "stale-1", "ORDER_STATUS_ACCEPTED")
    amend = {"account_id": ACCOUNT, "client_order_id": "stale-1", "request_id": "stale-a",
             "limit_price": at.price("0.91"), "expected_sequence": accepted["sequence"] - 1}
    code = code_of(client.call, "OrderService", "AmendOrder", amend)
    assert code == grpc.StatusCode.ABORTED
    client.call("OrderService", "AmendOrder",
                {**amend, "request_id": "stale-b", "expected_sequence": accepted["sequence"]})


def test_the_same_request_id_amends_once(client):
    at = trading.market(client, BTC)
    client.call("OrderService", "SubmitOrder", resting("once-1", at))
    trading.when_order(client, "once-1", "ORDER_STATUS_ACCEPTED")
    amend = {"account_id": ACCOUNT, "client_order_id": "once-1", "request_id": "once-a",
             "limit_price": at.price("0.92")}
    client.call("OrderService", "AmendOrder", amend)
    after = trading.when_order(client, "once-1", "ORDER_STATUS_ACCEPTED")
    client.call("OrderService", "AmendOrder", amend)
    again = trading.when_order(client, "once-1", "ORDER_STATUS_ACCEPTED")
    assert again["sequence"] == after["sequence"]


def test_a_market_order_fills_into_position_and_cash(client):
    at = trading.market(client, ETH)
    cash = Decimal(trading.account(client)["cash"][at.quote])
    client.call("OrderService", "SubmitOrder", order("fill-1", ETH, "BUY", at.quantity))
    filled = trading.when_order(client, "fill-1", "ORDER_STATUS_FILLED")
    assert Decimal(filled["filled_quantity"]) == at.quantity
    fills = [one for one in trading.executions(client) if one["client_order_id"] == "fill-1"]
    paid = sum(Decimal(one["last_quantity"]) * Decimal(one["last_price"]) for one in fills)
    fees = sum(Decimal(one["fee"]) for one in fills)
    assert sum(Decimal(one["last_quantity"]) for one in fills) == at.quantity
    (position,) = [one for one in trading.positions(client) if one["instrument_id"] == ETH]
    assert Decimal(position["quantity"]) == at.quantity
    assert Decimal(trading.account(client)["cash"][at.quote]) == cash - paid - fees
    client.call("OrderService", "SubmitOrder", order("fill-2", ETH, "SELL", at.quantity))
    trading.when_order(client, "fill-2", "ORDER_STATUS_FILLED")
    assert not [one for one in trading.positions(client)
                if one["instrument_id"] == ETH and Decimal(one["quantity"])]


def test_the_same_order_again_is_the_same_order_and_another_is_refused(client):
    at = trading.market(client, BTC)
    request = resting("again-1", at)
    first = client.call("OrderService", "SubmitOrder", request)
    again = client.call("OrderService", "SubmitOrder", request)
    assert again["order_id"] == first["order_id"]
    other = {**request, "quantity": str(at.quantity * 2)}
    code = code_of(client.call, "OrderService", "SubmitOrder", other)
    assert code == grpc.StatusCode.ALREADY_EXISTS
    assert len(trading.orders(client)) == 1


def events_of(answers, count):
    """The next `count` events, and the resume token behind the last."""
    found, token = [], ""
    while len(found) < count:
        message = next(answers)
        token = message["resume_token"] or token
        if "event" in message:
            found.append(message["event"])
    return found, token


def test_stream_orders_tells_everything_and_resumes_without_a_gap(client):
    at = trading.market(client, BTC)
    live = client.stream("OrderService", "StreamOrders", {"account_id": ACCOUNT}, seconds=60)
    assert "heartbeat" in next(live)  # From here on nothing is missed.
    for i in range(5):
        client.call("OrderService", "SubmitOrder", resting(f"stream-{i}", at))
        trading.when_order(client, f"stream-{i}", "ORDER_STATUS_ACCEPTED")
    cut, token = events_of(live, 6)
    live.cancel()
    for i in range(5, 8):
        client.call("OrderService", "SubmitOrder", resting(f"stream-{i}", at))
        trading.when_order(client, f"stream-{i}", "ORDER_STATUS_ACCEPTED")
    # All there is, from the beginning of the account.
    last = max(one["sequence"] for one in trading.orders(client))
    everything = []
    whole = client.stream("OrderService", "StreamOrders",
                          {"account_id": ACCOUNT, "from_sequence": 1}, seconds=60)
    while not everything or everything[-1]["sequence"] < last:
        everything += events_of(whole, 1)[0]
    whole.cancel()
    for told, live_told in zip(everything, cut):
        assert told == live_told
    rest = len(everything) - len(cut)
    for how in ({"resume_token": token}, {"from_sequence": cut[-1]["sequence"] + 1}):
        resumed = client.stream("OrderService", "StreamOrders", {"account_id": ACCOUNT, **how},
                                seconds=60)
        assert events_of(resumed, rest)[0] == everything[len(cut):], how
        resumed.cancel()
    sequences = [one["sequence"] for one in everything]
    assert sequences == sorted(set(sequences))
    for i in range(8):
        kinds = [one["kind"] for one in everything
                 if one["order"]["client_order_id"] == f"stream-{i}"]
        assert kinds[0] == "ORDER_EVENT_KIND_INITIALIZED"
        assert kinds[-1] == "ORDER_EVENT_KIND_ACCEPTED"


def test_stream_orders_resumes_over_a_restart(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        live = client.stream("OrderService", "StreamOrders", {"account_id": ACCOUNT}, seconds=60)
        assert "heartbeat" in next(live)
        client.call("OrderService", "SubmitOrder", resting("over-1", at))
        seen, token = events_of(live, 1)
        trading.when_order(client, "over-1", "ORDER_STATUS_ACCEPTED")
        live.cancel()
    server.restart()
    with server.grpc() as client:
        resumed = client.stream("OrderService", "StreamOrders",
                                {"account_id": ACCOUNT, "resume_token": token}, seconds=60)
        (following,), _ = events_of(resumed, 1)
        resumed.cancel()
        assert following["sequence"] > seen[-1]["sequence"]
        assert following["order"]["client_order_id"] == "over-1"


def test_subscribe_sends_the_newest_of_each_and_then_ticks(client):
    answers = client.stream("MarketDataService", "Subscribe", {"instrument_ids": [BTC, ETH]},
                            seconds=60)
    scales, kinds, expected = {}, set(), 1
    first = next(answers)
    assert first["snapshot"] is True

    def take(batch):
        nonlocal expected
        assert batch["batch_sequence"] == expected
        expected += 1
        for scale in batch["instruments"]:
            scales[scale["instrument"]] = scale
        for kind in ("quotes", "trades", "books", "bars"):
            for tick in batch[kind]:
                assert tick["instrument"] in scales
                kinds.add(kind)

    take(first)
    while not {"quotes", "trades", "books"} <= kinds:
        take(next(answers))
    answers.cancel()
    assert {one["instrument_id"] for one in scales.values()} == {BTC, ETH}
    for scale in scales.values():
        assert scale["price_exponent"] == -2


def test_the_ticks_agree_with_the_book_that_is_asked_for(client):
    answers = client.stream("MarketDataService", "Subscribe",
                            {"instrument_ids": [BTC], "kinds": ["MARKET_DATA_KIND_BOOK"]},
                            seconds=60)
    updates = {}
    for batch in answers:
        for book in batch["books"]:
            updates[book["update_id"]] = book
        assert not batch["quotes"] and not batch["trades"]
        asked = client.call("MarketDataService", "GetBook", {"instrument_id": BTC, "depth": 5})
        same = updates.get(asked["update_id"])
        if same:
            break
    answers.cancel()
    tops = [(Decimal(level["price"]).scaleb(2), Decimal(level["quantity"]).scaleb(5))
            for level in asked["bids"]]
    assert tops == [(level["price"], level["quantity"]) for level in same["bids"]][: len(tops)]


def test_halt_refuses_new_orders_lets_cancels_pass_and_survives_a_restart(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("halt-1", at))
        trading.when_order(client, "halt-1", "ORDER_STATUS_ACCEPTED")
        client.call("RiskService", "Halt",
                    {"account_id": ACCOUNT, "request_id": "halt", "reason": "test"})
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "SubmitOrder", resting("halt-2", at))
        assert refusal.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert apexlib.error_details(refusal.value)["ErrorInfo"]["reason"] == "TRADING_HALTED"
    server.restart()
    with server.grpc() as client:
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "halt-1"})
        trading.when_order(client, "halt-1", "ORDER_STATUS_CANCELED")
        client.call("RiskService", "Resume",
                    {"account_id": ACCOUNT, "request_id": "resume", "reason": "test"})
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("halt-3", at))


def test_system_status_names_mode_and_components(client):
    status = client.call("SystemService", "GetSystemStatus", {})
    assert status["mode"] == "RUN_MODE_SIMULATED"
    assert status["ready"] is True
    assert status["components"] and all(one["ok"] for one in status["components"])
    assert {one["policy"] for one in status["topics"]} <= {"block", "conflate", "gap", "halt"}


def test_metrics_are_text_that_prometheus_reads(server):
    status, body = server.get("/metrics")
    assert status == 200
    lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
    assert lines and all(line.startswith("apex_") or line.startswith("process_")
                         for line in lines), lines[:3]


def test_the_command_line_speaks_the_same(server, cli):
    link = ("--gateway", server.url, "--data-dir", server.data_dir, "--json")
    with server.grpc() as client:
        at = trading.market(client, BTC)
    placed = cli("orders", "submit", BTC, "buy", at.quantity, "--limit-price", at.price("0.9"),
                 "--client-order-id", "cli-1", *link).json
    assert placed["client_order_id"] == "cli-1" and placed["side"] == "SIDE_BUY"
    made = cli("orders", "submit", "BTCUSDT", "sell", at.quantity, "--limit-price",
               at.price("1.1"), *link, check=False)
    listed = cli("orders", *link).json["orders"]
    assert listed[-1]["order_id"] == placed["order_id"]
    if made.returncode == 0:
        assert len(listed[0]["client_order_id"]) <= 36
    with server.grpc() as client:
        trading.when_order(client, "cli-1", "ORDER_STATUS_ACCEPTED")
    amended = cli("orders", "amend", "cli-1", "--limit-price", at.price("0.91"), *link).json
    assert amended["client_order_id"] == "cli-1"
    with server.grpc() as client:
        trading.when_order(client, "cli-1", "ORDER_STATUS_ACCEPTED")
    cli("orders", "cancel", "cli-1", *link)
    with server.grpc() as client:
        canceled = trading.when_order(client, "cli-1", "ORDER_STATUS_CANCELED")
    assert cli("orders", "get", "cli-1", *link).json == canceled
    accounts = cli("accounts", *link).json["accounts"]
    assert [one["account_id"] for one in accounts] == [ACCOUNT]
    assert BTC in [one["instrument_id"] for one in cli("instruments", *link).json["instruments"]]
    assert isinstance(cli("positions", *link).json["positions"], list)
    assert cli("risk", "state", *link).json["accounts"][0]["account_id"] == ACCOUNT
    halted = cli("risk", "halt", "--reason", "test", *link).json["accounts"]
    assert halted[0]["trading_state"] == "TRADING_STATE_HALTED"
    refused = cli("orders", "submit", BTC, "buy", at.quantity, *link[:-1], check=False)
    assert refused.returncode == 1 and "TRADING_HALTED" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    cli("risk", "resume", "--reason", "test", *link)
    for table in (["orders"], ["positions"], ["accounts"], ["instruments"], ["risk", "state"]):
        printed = cli(*table, *link[:-1])
        assert printed.stdout and not printed.stderr


def test_the_command_line_refuses_in_one_line(server, cli, tmp_path):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    for words, wanted in [
        (("orders", "get", "nothing", *link), "NOT_FOUND"),
        (("orders", "submit", BTC, "buy", "NaN", *link), "quantity"),
        (("orders", "--gateway", server.url, "--data-dir", tmp_path), "apextrade up"),
        (("orders", "--gateway", f"http://127.0.0.1:{apexlib.free_port()}",
          "--data-dir", server.data_dir), "cannot be reached"),
    ]:
        done = cli(*words, check=False)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and wanted in done.stderr, done.stderr
    wrong = tmp_path / "token"
    wrong.write_text("wrong\n")
    done = cli("orders", "--gateway", server.url, "--token-file", wrong, check=False)
    assert done.returncode == 1 and "UNAUTHENTICATED" in done.stderr
    assert cli("orders", "submit", check=False).returncode == 2
