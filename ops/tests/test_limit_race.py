"""Clients that submit at the same time against a limit: as many orders are taken as fit, never one
more, and at no moment does the venue hold more than the limit allows."""

import threading
import time
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, check_against_venue, order, resting

CLIENTS, ORDERS = 3, 1_000
# Calls that one client has under way.
UNDER_WAY = 32
# So many orders fit under the position limit. Half an order more is left over, so that the price
# may move by more than a hundredth before another number fits.
FIT = 40
OPEN_ORDERS = 75


def outcome(pending):
    """What became of one order: empty when it was taken, else why not."""
    try:
        pending.result()
    except grpc.RpcError as refusal:
        assert refusal.code() == grpc.StatusCode.FAILED_PRECONDITION, refusal
        return apexlib.error_details(refusal)["ErrorInfo"]["reason"]
    return ""


def race(server, requests):
    """Every client submits its share as fast as it is answered, all from the same moment on.
    Returns what became of each order by name."""
    outcomes = {}
    begin = threading.Barrier(CLIENTS)

    def run(number):
        share = requests[number::CLIENTS]
        under_way = []
        with server.grpc() as client:
            client.methods("OrderService")  # Connected, and the types are known.
            begin.wait(30)
            for request in share:
                pending = client.future("OrderService", "SubmitOrder", request, seconds=60)
                under_way.append((request["client_order_id"], pending))
                if len(under_way) == UNDER_WAY:
                    name, first = under_way.pop(0)
                    outcomes[name] = outcome(first)
            for name, pending in under_way:
                outcomes[name] = outcome(pending)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a client hangs"
    assert len(outcomes) == len(requests)
    return outcomes, len(requests) / (time.monotonic() - began)


def set_limits(client, **limits):
    found = client.call("RiskService", "GetLimits", {"account_id": ACCOUNT})
    client.call("RiskService", "SetLimits", {
        "account_id": ACCOUNT, "request_id": "race", "limits": {**found, **limits}})


def exposures(truth, at):
    """Over the venue's journal, line by line: how many orders work, and the quantity that would
    be held if all of the buys filled, or all of the sells, the farther one from zero."""
    position, working, found = Decimal(0), {}, []
    for kind, content in truth.steps:
        if kind == "order":
            side = 1 if content["side"] == "Buy" else -1
            working[content["client_order_id"]] = side * truth.quantity(content)
        elif kind == "Filled":
            signed = truth.quantity(content, "last_quantity")
            signed = signed if content["side"] == "Buy" else -signed
            position += signed
            working[content["client_order_id"]] -= signed
        elif kind == "Ended":
            working.pop(content["client_order_id"])
        working = {name: left for name, left in working.items() if left}
        buys = sum(left for left in working.values() if left > 0)
        sells = sum(left for left in working.values() if left < 0)
        found.append((len(working), max(abs(position + buys), abs(position + sells))))
    return found


@pytest.fixture
def platform(make_server, venue):
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        yield server, client


def finish(client, venue, at, cash):
    client.call("OrderService", "CancelAllOrders", {"account_id": ACCOUNT})
    apexlib.until("no working order", lambda: trading.settled(client) == [])
    check_against_venue(client, venue.truth([at]), cash)


def cash_of(client):
    return {key: Decimal(value) for key, value in trading.account(client)["cash"].items()}


def mixed(at):
    """Buys and sells that rest, in turn: each side may reach the limit by itself."""
    return [resting(f"race-{n}", at, "BUY" if n % 2 else "SELL") for n in range(ORDERS)]


def buying(at):
    """Buys that trade at once and buys that rest: what was bought and what works count alike."""
    return [resting(f"race-{n}", at) if n % 2 else
            order(f"race-{n}", BTC, "BUY", at.quantity) for n in range(ORDERS)]


@pytest.mark.parametrize("requests, sides", [(mixed, 2), (buying, 1)], ids=["rest", "trade"])
def test_orders_that_race_stop_at_the_position_limit(requests, sides, platform, venue, capsys):
    server, client = platform
    at, cash = trading.market(client, BTC), cash_of(client)
    limit = (FIT + Decimal("0.5")) * at.quantity * at.ask
    set_limits(client, max_position_notional=str(limit.quantize(Decimal("0.01"))),
               allow_short_spot=True)
    outcomes, rate = race(server, requests(at))
    after = trading.market(client, BTC)
    trading.settled(client)
    taken = [name for name, reason in outcomes.items() if not reason]
    assert set(outcomes.values()) == {"", "POSITION_LIMIT"}
    # Neither before nor behind is the price so far away that another number would fit.
    for price in (at.bid, at.ask, after.bid, after.ask):
        assert limit // (at.quantity * price) == FIT, f"the market leapt: {at} to {after}"
    assert len(taken) == sides * FIT
    truth = venue.truth([at])
    assert set(truth.taken) == set(taken)
    worst = max(quantity for _, quantity in exposures(truth, at))
    assert worst == FIT * at.quantity
    assert worst * max(at.ask, after.ask) <= limit
    for name, reason in outcomes.items():
        if reason:
            kept = trading.get_order(client, name)
            assert (kept["status"], kept["reason_code"]) == ("ORDER_STATUS_DENIED", reason)
    finish(client, venue, at, cash)
    with capsys.disabled():
        print(f"\n{len(taken)} of {ORDERS} orders taken, {rate:.0f} orders a second")


def test_orders_that_race_stop_at_the_number_of_open_orders(platform, venue, capsys):
    server, client = platform
    at, cash = trading.market(client, BTC), cash_of(client)
    set_limits(client, max_open_orders=OPEN_ORDERS)
    outcomes, rate = race(server, [resting(f"race-{n}", at) for n in range(ORDERS)])
    trading.settled(client)
    taken = [name for name, reason in outcomes.items() if not reason]
    assert set(outcomes.values()) == {"", "OPEN_ORDER_LIMIT"}
    assert len(taken) == OPEN_ORDERS
    truth = venue.truth([at])
    assert set(truth.taken) == set(taken)
    assert max(count for count, _ in exposures(truth, at)) == OPEN_ORDERS
    # A place that becomes free is filled again, by one.
    client.call("OrderService", "CancelOrder",
                {"account_id": ACCOUNT, "client_order_id": taken[0]})
    trading.when_order(client, taken[0], "ORDER_STATUS_CANCELED")
    outcomes, _ = race(server, [resting(f"again-{n}", at) for n in range(100)])
    assert sorted(outcomes.values()) == [""] + 99 * ["OPEN_ORDER_LIMIT"]
    trading.settled(client)
    assert max(count for count, _ in exposures(venue.truth([at]), at)) == OPEN_ORDERS
    finish(client, venue, at, cash)
    with capsys.disabled():
        print(f"\n{len(taken)} of {ORDERS} orders taken, {rate:.0f} orders a second")
