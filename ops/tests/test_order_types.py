"""Every type, time in force and term of single orders, and every kind of list, from the request
to the end: the events that `StreamOrders` tells, the final order, and the venue's own journal.

The market moves by its simulated traders. What waits for a price gets one that the next trades
reach; an order that the market ran away from is canceled and tried again at the new price.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, check_against_venue
from watching import Watch, check_again, check_kinds

BEGIN = "INITIALIZED SUBMITTED ACCEPTED"
HELD = "INITIALIZED HELD SUBMITTED ACCEPTED"
# How long a price that the next trades should reach may take, and how often it is tried.
REACH_SECONDS, TRIES = 12.0, 6
GTD_NS = 2_000_000_000
DAY_NS = 86_400_000_000_000
# Far more than the simulated traders ever offer within a few ticks.
VAST = Decimal(30)


class Desk:
    """A platform on a venue of its own, watched from its first order on."""

    def __init__(self, server, venue):
        self.server, self.venue = server, venue
        self.client = server.grpc()
        trading.market(self.client, BTC)  # Once there is a book.
        self.cash = {key: Decimal(value)
                     for key, value in trading.account(self.client)["cash"].items()}
        self.watch = Watch(server).__enter__()

    def stock(self):
        """Buys what is there to be sold."""
        self.submit("stock", order_type="MARKET", quantity=50 * self.market().quantity)
        self.watch.when_done("stock")

    def close(self):
        self.watch.__exit__()
        self.client.close()

    def market(self):
        return trading.market(self.client, BTC)

    def request(self, name, *, side="BUY", quantity=None, order_type, **terms):
        for field in ("time_in_force", "trigger_type", "trailing_offset_type"):
            if field in terms:
                terms[field] = f"{field.upper()}_{terms[field]}"
        if "notional" not in terms:
            terms["quantity"] = quantity or 2 * self.market().quantity
        terms = {key: value if isinstance(value, (bool, int)) else str(value)
                 for key, value in terms.items()}
        return {"account_id": ACCOUNT, "client_order_id": name, "instrument_id": BTC,
                "side": f"SIDE_{side}", "order_type": f"ORDER_TYPE_{order_type}", **terms}

    def submit(self, name, **terms):
        """Returns the reason code where the order is denied."""
        try:
            self.client.call("OrderService", "SubmitOrder", self.request(name, **terms))
        except grpc.RpcError as refusal:
            assert refusal.code() == grpc.StatusCode.FAILED_PRECONDITION, refusal
            return apexlib.error_details(refusal)["ErrorInfo"]["reason"]
        return ""

    def submit_list(self, contingency, orders, **more):
        answer = self.client.call("OrderService", "SubmitOrderList", {
            "account_id": ACCOUNT, "order_list_id": "list", "orders": orders,
            "contingency": f"CONTINGENCY_{contingency}", **more})
        for outcome in answer["outcomes"]:
            assert "error" not in outcome, outcome
        return answer

    def cancel(self, name):
        """Asks for the cancel; that the order has ended meanwhile is no failure."""
        self._change("CancelOrder", name)

    def amend(self, name, **change):
        self._change("AmendOrder", name, request_id=f"amend-{name}", **change)

    def _change(self, method, name, **more):
        request = {"account_id": ACCOUNT, "client_order_id": name, **more}
        try:
            self.client.call("OrderService", method, request)
        except grpc.RpcError as refusal:
            assert apexlib.error_details(refusal)["ErrorInfo"]["reason"] == "ORDER_CLOSED"

    def check(self, name, events, status, filled="all", reason=None):
        """Checks an order that has ended: its events, and what it came to."""
        found = self.watch.when_done(name)
        check_kinds(self.watch.kinds(name), events)
        assert found["status"] == f"ORDER_STATUS_{status}", found
        if reason is not None:
            assert found["reason_code"] == reason, found
        quantity, done = Decimal(found["quantity"]), Decimal(found["filled_quantity"])
        wanted = {"all": done == quantity, "none": done == 0, "part": 0 < done < quantity}
        assert wanted[filled], f"{filled} of it should be filled: {found}"
        assert Decimal(found["canceled_quantity"]) == quantity - done
        assert found == trading.get_order(self.client, name)
        return found

    def finish(self):
        """Ends what works, and compares everything with the venue's journal."""
        self.client.call("OrderService", "CancelAllOrders", {"account_id": ACCOUNT})
        apexlib.until("no working order", lambda: trading.settled(self.client) == [])
        last = max(one["sequence"] for one in trading.orders(self.client))
        events, sequence = self.watch.when_all(last), 0
        for event in events:
            parts = [Decimal(event["order"][f"{part}_quantity"])
                     for part in ("filled", "leaves", "canceled")]
            assert sum(parts) == Decimal(event["order"]["quantity"]), event
            assert event["sequence"] > sequence, event
            sequence = event["sequence"]
        check_again(self.client, events)
        truth = self.venue.truth([self.market()])
        return check_against_venue(self.client, truth, self.cash)


@pytest.fixture
def desk(make_server, venue):
    server = make_server("up", "--venue", venue.address).start()
    one = Desk(server, venue)
    yield one
    one.close()


def canceled(desk, name):
    desk.watch.when_kind(name, "ACCEPTED")
    desk.cancel(name)


def canceled_behind_its_trigger(desk, name):
    desk.watch.when_kind(name, "TRIGGERED")
    desk.cancel(name)


def canceled_behind_its_limit(desk, name):
    """Behind the price that the venue gave to what is left of a market-to-limit order."""
    desk.watch.when_kind(name, "AMENDED")
    desk.cancel(name)


@dataclass(frozen=True)
class Row:
    """One order: what it says, at the market of its moment, and what has to become of it."""

    name: str
    terms: Callable
    events: str
    status: str = "FILLED"
    filled: str = "all"
    reason: str | None = None
    then: Callable | None = None
    # The market may run away from its price: then it is tried again.
    chases: bool = False
    reach_seconds: float = REACH_SECONDS

    def __str__(self):
        return self.name


def gtd():
    return {"time_in_force": "GTD", "expire_at_ns": time.time_ns() + GTD_NS}


def middle(at):
    """Between the best prices: trades of buyers are over it, those of sellers under it."""
    return (at.bid + at.ask) / 2 // at.tick * at.tick


def passed(at):
    """Over the market by more than it moves meanwhile: a sell stop there triggers when it comes."""
    return at.ask + 200 * at.tick


def over(at):
    """A little over the best ask: some levels of the book, and by far not all."""
    return (at.ask * Decimal("1.0002")) // at.tick * at.tick


FAR, THROUGH = "0.90", "1.01"
RESTS = {"status": "CANCELED", "filled": "none", "reason": "CANCELED_BY_USER", "then": canceled}
RESTED = f"{BEGIN} PENDING_CANCEL CANCELED"
EXPIRED = {"status": "EXPIRED", "filled": "none", "reason": "TIME_OVER"}
NOTHING = {"status": "CANCELED", "filled": "none", "reason": "NO_LIQUIDITY"}

PLAIN = [
    Row("market", lambda at: dict(order_type="MARKET"), f"{BEGIN} FILLED+"),
    Row("market-fok", lambda at: dict(order_type="MARKET", time_in_force="FOK"),
        f"{BEGIN} FILLED+"),
    Row("market-sell", lambda at: dict(order_type="MARKET", side="SELL"), f"{BEGIN} FILLED+"),
    Row("limit-through", lambda at: dict(order_type="LIMIT", limit_price=at.price(THROUGH)),
        f"{BEGIN} FILLED+"),
    Row("limit-gtc", lambda at: dict(order_type="LIMIT", limit_price=at.price(FAR),
                                     time_in_force="GTC"), RESTED, **RESTS),
    Row("limit-day", lambda at: dict(order_type="LIMIT", limit_price=at.price(FAR),
                                     time_in_force="DAY"), RESTED, **RESTS),
    Row("limit-gtd", lambda at: dict(order_type="LIMIT", limit_price=at.price(FAR), **gtd()),
        f"{BEGIN} EXPIRED", **EXPIRED),
    Row("limit-ioc", lambda at: dict(order_type="LIMIT", limit_price=at.price(THROUGH),
                                     time_in_force="IOC"), f"{BEGIN} FILLED+"),
    Row("limit-ioc-nothing", lambda at: dict(order_type="LIMIT", limit_price=at.price(FAR),
                                             time_in_force="IOC"), f"{BEGIN} CANCELED", **NOTHING),
    Row("limit-ioc-part", lambda at: dict(order_type="LIMIT", limit_price=over(at), quantity=VAST,
                                          time_in_force="IOC"),
        f"{BEGIN} FILLED+ CANCELED", "CANCELED", "part", "NO_LIQUIDITY"),
    Row("limit-fok", lambda at: dict(order_type="LIMIT", limit_price=at.price(THROUGH),
                                     time_in_force="FOK"), f"{BEGIN} FILLED+"),
    Row("limit-fok-too-much", lambda at: dict(order_type="LIMIT", limit_price=over(at),
                                              quantity=VAST, time_in_force="FOK"),
        f"{BEGIN} CANCELED", **NOTHING),
    Row("post-only", lambda at: dict(order_type="LIMIT", limit_price=at.price(FAR),
                                     post_only=True), RESTED, **RESTS),
    Row("post-only-through", lambda at: dict(order_type="LIMIT", limit_price=at.price(THROUGH),
                                             post_only=True), "INITIALIZED SUBMITTED REJECTED",
        "REJECTED", "none", "POST_ONLY_WOULD_TRADE"),
    Row("reduce-only", lambda at: dict(order_type="MARKET", side="SELL", reduce_only=True),
        f"{BEGIN} FILLED+"),
    Row("reduce-only-adds", lambda at: dict(order_type="MARKET", reduce_only=True),
        "INITIALIZED DENIED", "DENIED", "none", "REDUCE_ONLY"),
    Row("money", lambda at: dict(order_type="MARKET", notional="250"), f"{BEGIN} FILLED+"),
    Row("money-limit", lambda at: dict(order_type="LIMIT", notional="250",
                                       limit_price=at.price(THROUGH)), f"{BEGIN} FILLED+"),
    Row("money-rests", lambda at: dict(order_type="LIMIT", notional="250",
                                       limit_price=at.price(FAR)), RESTED, **RESTS),
    Row("to-limit", lambda at: dict(order_type="MARKET_TO_LIMIT"), f"{BEGIN} FILLED+"),
    Row("to-limit-rests", lambda at: dict(order_type="MARKET_TO_LIMIT", quantity=VAST),
        f"{BEGIN} FILLED+ AMENDED FILLED* PENDING_CANCEL FILLED* CANCELED",
        "CANCELED", "part", "CANCELED_BY_USER", canceled_behind_its_limit),
]

MET = f"{BEGIN} TRIGGERED FILLED+"


def met(name, terms, events=MET, *more, **kept):
    """A row whose price the next trades are to reach."""
    return Row(name, terms, events, *more, chases=True, **kept)


CONDITIONAL = [
    met("stop-buy", lambda at: dict(order_type="STOP", stop_price=middle(at))),
    met("stop-sell", lambda at: dict(order_type="STOP", side="SELL", stop_price=middle(at))),
    met("stop-bid-ask", lambda at: dict(order_type="STOP", stop_price=at.ask + 5 * at.tick,
                                        trigger_type="BID_ASK")),
    met("stop-mark", lambda at: dict(order_type="STOP", side="SELL", trigger_type="MARK",
                                     stop_price=middle(at) - 5 * at.tick)),
    met("stop-ioc", lambda at: dict(order_type="STOP", stop_price=middle(at),
                                    time_in_force="IOC")),
    met("stop-fok", lambda at: dict(order_type="STOP", side="SELL", stop_price=middle(at),
                                    time_in_force="FOK")),
    met("stop-reduce-only", lambda at: dict(order_type="STOP", side="SELL", reduce_only=True,
                                            stop_price=middle(at))),
    Row("stop-gtd", lambda at: dict(order_type="STOP", stop_price=at.price("1.10"), **gtd()),
        f"{BEGIN} EXPIRED", **EXPIRED),
    Row("stop-day", lambda at: dict(order_type="STOP", stop_price=at.price("1.10"),
                                    time_in_force="DAY"), RESTED, **RESTS),
    met("stop-limit", lambda at: dict(order_type="STOP_LIMIT", stop_price=middle(at),
                                      limit_price=at.price(THROUGH))),
    met("stop-limit-rests", lambda at: dict(order_type="STOP_LIMIT", stop_price=middle(at),
                                            limit_price=at.price(FAR)),
        f"{BEGIN} TRIGGERED PENDING_CANCEL CANCELED", "CANCELED", "none", "CANCELED_BY_USER",
        canceled_behind_its_trigger),
    met("stop-limit-ioc", lambda at: dict(order_type="STOP_LIMIT", stop_price=middle(at),
                                          limit_price=at.price(FAR), time_in_force="IOC"),
        f"{BEGIN} TRIGGERED CANCELED", "CANCELED", "none", "NO_LIQUIDITY"),
    met("stop-limit-post-only", lambda at: dict(order_type="STOP_LIMIT", stop_price=middle(at),
                                                limit_price=at.price(THROUGH), post_only=True),
        f"{BEGIN} REJECTED", "REJECTED", "none", "POST_ONLY_WOULD_TRADE"),
    met("touched-buy", lambda at: dict(order_type="MARKET_IF_TOUCHED", stop_price=middle(at))),
    met("touched-sell", lambda at: dict(order_type="MARKET_IF_TOUCHED", side="SELL",
                                        stop_price=middle(at))),
    met("limit-touched", lambda at: dict(order_type="LIMIT_IF_TOUCHED", stop_price=middle(at),
                                         limit_price=at.price(THROUGH))),
    met("limit-touched-rests", lambda at: dict(order_type="LIMIT_IF_TOUCHED", side="SELL",
                                               stop_price=middle(at),
                                               limit_price=at.price("1.10")),
        f"{BEGIN} TRIGGERED PENDING_CANCEL CANCELED", "CANCELED", "none", "CANCELED_BY_USER",
        canceled_behind_its_trigger),
    met("trailing-price", lambda at: dict(order_type="TRAILING_STOP", side="SELL",
                                          trailing_offset=20 * at.tick,
                                          trailing_offset_type="PRICE"),
        f"{BEGIN} AMENDED+ TRIGGERED FILLED+"),
    met("trailing-price-buy", lambda at: dict(order_type="TRAILING_STOP",
                                              trailing_offset=20 * at.tick,
                                              trailing_offset_type="PRICE"),
        f"{BEGIN} AMENDED+ TRIGGERED FILLED+"),
    met("trailing-bps", lambda at: dict(order_type="TRAILING_STOP", side="SELL",
                                        trailing_offset="1", trailing_offset_type="BPS",
                                        activation_price=middle(at)),
        # A basis point is a long way in the calm hours of the simulated day.
        f"{BEGIN} AMENDED+ TRIGGERED FILLED+", reach_seconds=45.0),
]


def run_once(desk, row, name):
    """Submits the row's order. False when the market ran away from its price."""
    terms = row.terms(desk.market())
    reason = desk.submit(name, **terms)
    assert reason == (row.reason if row.status == "DENIED" else "")
    if not row.chases:
        return True
    met = ("TRIGGERED", "REJECTED", "FILLED", "CANCELED")
    try:
        desk.watch.when(name, "to be met", lambda _, told: any(
            event["kind"].endswith(met) for event in told), row.reach_seconds)
    except TimeoutError:
        desk.cancel(name)
        desk.watch.when_done(name)
        return False
    return True


@pytest.mark.parametrize("row", PLAIN + CONDITIONAL, ids=str)
def test_an_order_tells_each_step_up_to_its_end(row, desk):
    desk.stock()
    names = [f"{row.name}-{number}" for number in range(TRIES)]
    name = next((name for name in names if run_once(desk, row, name)), None)
    assert name, f"the price was not met in {TRIES} tries"
    if row.then:
        row.then(desk, name)
    found = desk.check(name, row.events, row.status, row.filled, row.reason)
    if found["time_in_force"] == "TIME_IN_FORCE_DAY":
        created = found["ts_created_ns"]
        assert found["ts_expires_ns"] == created - created % DAY_NS + DAY_NS
    if found["time_in_force"] == "TIME_IN_FORCE_GTD":
        assert found["ts_updated_ns"] >= found["ts_expires_ns"] == found["expire_at_ns"]
    if found["notional"]:
        spent = Decimal(found["quantity"]) * Decimal(found["average_price"] or found["limit_price"])
        # What a market order pays moves with the market, by far less than this.
        assert spent <= Decimal(found["notional"]) * Decimal("1.001")
    desk.finish()


def buyers(desk):
    """Quantities by price, as far as the book is shown."""
    book = desk.client.call("MarketDataService", "GetBook", {"instrument_id": BTC, "depth": 20})
    return {Decimal(one["price"]): Decimal(one["quantity"]) for one in book["bids"]}


def test_an_iceberg_shows_its_part_and_trades_whole(desk):
    at, taken = desk.market(), buyers(desk)
    # Some levels behind the best, so that nobody trades with it at once, and alone at its price.
    below = (at.bid - number * at.tick for number in range(200, 400))
    price = next(one for one in below if one not in taken)
    part = Decimal("0.00137")
    desk.submit("iceberg", order_type="LIMIT", limit_price=price, quantity=4 * part,
                display_quantity=part)
    shown = apexlib.until("the order in the book", lambda: buyers(desk).get(price))
    assert shown == part
    desk.amend("iceberg", limit_price=desk.market().price(THROUGH))
    desk.check("iceberg", f"{BEGIN} FILLED* PENDING_AMEND AMENDED FILLED+", "FILLED")
    desk.finish()


@pytest.mark.parametrize("near", ["stop", "limit"])
def test_what_trades_of_an_oco_ends_the_other(near, desk):
    desk.stock()
    at = desk.market()
    limit = at.price("0.99") if near == "limit" else at.price("1.10")
    stop = passed(at) if near == "stop" else at.price("0.90")
    desk.submit_list("OCO", [
        desk.request("limit", side="SELL", order_type="LIMIT", limit_price=limit),
        desk.request("stop", side="SELL", order_type="STOP", stop_price=stop)])
    other = "stop" if near == "limit" else "limit"
    desk.check(near, MET if near == "stop" else f"{BEGIN} FILLED+", "FILLED")
    # It may end before the venue has said that it took it.
    desk.check(other, "INITIALIZED SUBMITTED ACCEPTED? PENDING_CANCEL ACCEPTED? CANCELED",
               "CANCELED", "none", "CONTINGENCY")
    desk.finish()


def test_an_oco_may_leave_a_whole_position(desk):
    """Only one of its orders can trade: what is held covers both."""
    desk.submit("entry", order_type="MARKET")
    desk.watch.when_done("entry")
    at = desk.market()
    desk.submit_list("OCO", [
        desk.request("limit", side="SELL", order_type="LIMIT", limit_price=at.price("1.10")),
        desk.request("stop", side="SELL", order_type="STOP", stop_price=passed(at))])
    desk.check("stop", MET, "FILLED")
    desk.check("limit", "INITIALIZED SUBMITTED ACCEPTED? PENDING_CANCEL ACCEPTED? CANCELED",
               "CANCELED", "none", "CONTINGENCY")
    desk.finish()


def test_what_trades_of_an_ouo_is_taken_from_the_other(desk):
    at = desk.market()
    desk.submit_list("OUO", cascade=False, orders=[
        desk.request("rests", order_type="LIMIT", limit_price=at.price(FAR), quantity=VAST),
        desk.request("trades", order_type="LIMIT", limit_price=over(at), quantity=VAST,
                     time_in_force="IOC")])
    traded = desk.check("trades", f"{BEGIN} FILLED+ CANCELED", "CANCELED", "part", "NO_LIQUIDITY")
    left = VAST - Decimal(traded["filled_quantity"])
    rests = desk.watch.when("rests", f"with {left}", lambda order, _: (
        Decimal(order["quantity"]) == left and order["status"] == "ORDER_STATUS_ACCEPTED"))
    assert Decimal(rests["leaves_quantity"]) == left
    desk.cancel("rests")
    desk.watch.when_done("rests")
    desk.finish()


def test_an_ouo_order_that_trades_whole_ends_the_other(desk):
    at = desk.market()
    desk.submit_list("OUO", [
        desk.request("rests", order_type="LIMIT", limit_price=at.price(FAR)),
        desk.request("trades", order_type="LIMIT", limit_price=at.price(THROUGH))])
    desk.check("trades", f"{BEGIN} FILLED+", "FILLED")
    desk.check("rests", f"{BEGIN} (PENDING_AMEND AMENDED)* PENDING_CANCEL CANCELED", "CANCELED",
               "none", "CONTINGENCY")
    desk.finish()


def test_the_fill_of_an_oto_parent_sends_its_children(desk):
    at = desk.market()
    half = at.quantity  # Both halves together sell what the parent buys.
    desk.submit_list("OTO", [
        desk.request("parent", order_type="LIMIT", limit_price=at.price(FAR)),
        desk.request("child", side="SELL", order_type="LIMIT", quantity=half,
                     limit_price=at.price("1.10")),
        desk.request("stop", side="SELL", order_type="STOP", quantity=half,
                     stop_price=at.price("0.80"))])
    desk.watch.when_kind("parent", "ACCEPTED")
    for name in ("child", "stop"):
        assert desk.watch.kinds(name) == ["INITIALIZED", "HELD"]
        assert desk.watch.events[name][1]["hold"] == "HOLD_PARENT"
    desk.amend("parent", limit_price=desk.market().price(THROUGH))
    desk.check("parent", f"{BEGIN} PENDING_AMEND AMENDED FILLED+", "FILLED")
    for name in ("child", "stop"):
        canceled(desk, name)
        desk.check(name, f"{HELD} PENDING_CANCEL CANCELED", "CANCELED", "none",
                   "CANCELED_BY_USER")
    desk.finish()


def bracket(desk, *, target, stop, quantity=None, **entry):
    return [desk.request("entry", quantity=quantity, **entry),
            desk.request("target", side="SELL", quantity=quantity, order_type="LIMIT",
                         limit_price=target),
            desk.request("stop", side="SELL", quantity=quantity, order_type="STOP",
                         stop_price=stop)]


def test_a_bracket_enters_and_leaves_by_its_stop(desk):
    at = desk.market()
    desk.submit_list("BRACKET", bracket(desk, order_type="MARKET", target=at.price("1.10"),
                                        stop=passed(at)))
    desk.check("entry", f"{BEGIN} FILLED+", "FILLED")
    desk.check("stop", f"{HELD} TRIGGERED FILLED+", "FILLED")
    desk.check("target", f"{HELD.replace(' ACCEPTED', '')} ACCEPTED? PENDING_CANCEL ACCEPTED? "
               "CANCELED", "CANCELED", "none", "CONTINGENCY")
    desk.finish()


def test_a_bracket_enters_and_leaves_by_its_target(desk):
    at = desk.market()
    desk.submit_list("BRACKET", bracket(desk, order_type="MARKET", target=at.price("0.99"),
                                        stop=at.price("0.90")))
    desk.check("entry", f"{BEGIN} FILLED+", "FILLED")
    desk.check("target", f"{HELD} FILLED+", "FILLED")
    desk.check("stop", f"{HELD.replace(' ACCEPTED', '')} ACCEPTED? (PENDING_AMEND AMENDED)* "
               "PENDING_CANCEL ACCEPTED? CANCELED", "CANCELED", "none", "CONTINGENCY")
    desk.finish()


def test_a_bracket_releases_its_exits_with_the_whole_entry_only(desk):
    at = desk.market()
    desk.submit_list("BRACKET", bracket(
        desk, quantity=VAST, order_type="LIMIT", limit_price=over(at),
        target=at.price("1.10"), stop=at.price("0.90")), release="RELEASE_RULE_FULL")
    desk.watch.when_kind("entry", "FILLED")
    for name in ("target", "stop"):
        assert desk.watch.kinds(name) == ["INITIALIZED", "HELD"]
    # It ends partly filled: the exits leave for what was filled.
    desk.cancel("entry")
    entry = desk.check("entry", f"{BEGIN} FILLED+ PENDING_CANCEL FILLED* CANCELED", "CANCELED",
                       "part", "CANCELED_BY_USER")
    for name in ("target", "stop"):
        with_part(desk, name, entry)
    desk.finish()


def with_part(desk, name, entry):
    """Waits until an exit works with what its entry has filled."""
    found = desk.watch.when(name, "to work", lambda order, _: (
        order["status"] == "ORDER_STATUS_ACCEPTED"
        and Decimal(order["quantity"]) == Decimal(entry["filled_quantity"])))
    assert Decimal(found["leaves_quantity"]) == Decimal(entry["filled_quantity"])


def test_a_bracket_releases_its_exits_with_each_part_of_the_entry(desk):
    at = desk.market()
    desk.submit_list("BRACKET", bracket(
        desk, quantity=VAST, order_type="LIMIT", limit_price=over(at),
        target=at.price("1.10"), stop=at.price("0.90")), release="RELEASE_RULE_PARTIAL")
    desk.watch.when_kind("entry", "FILLED")
    for name in ("target", "stop"):
        desk.watch.when_kind(name, "ACCEPTED")
    assert desk.watch.last("entry")["status"] == "ORDER_STATUS_PARTIALLY_FILLED"
    desk.cancel("entry")
    entry = desk.check("entry", f"{BEGIN} FILLED+ PENDING_CANCEL FILLED* CANCELED", "CANCELED",
                       "part", "CANCELED_BY_USER")
    for name in ("target", "stop"):
        with_part(desk, name, entry)
    desk.finish()


def test_each_order_of_a_batch_goes_its_own_way(desk):
    desk.stock()
    at = desk.market()
    outcomes = desk.client.call("OrderService", "SubmitOrderList", {
        "account_id": ACCOUNT, "contingency": "CONTINGENCY_NONE", "orders": [
            desk.request("takes", order_type="MARKET"),
            desk.request("off", order_type="LIMIT", limit_price=at.price(FAR) + "0001"),
            desk.request("rests", order_type="LIMIT", limit_price=at.price(FAR)),
            desk.request("waits", side="SELL", order_type="STOP", stop_price=passed(at))],
    })["outcomes"]
    assert [one.get("error", {}).get("reason") for one in outcomes] == [
        None, "PRICE_INCREMENT", None, None]
    desk.check("takes", f"{BEGIN} FILLED+", "FILLED")
    desk.check("off", "INITIALIZED DENIED", "DENIED", "none", "PRICE_INCREMENT")
    canceled(desk, "rests")
    desk.check("rests", RESTED, "CANCELED", "none", "CANCELED_BY_USER")
    desk.check("waits", MET, "FILLED")
    desk.finish()
