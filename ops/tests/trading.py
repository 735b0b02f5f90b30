"""Words of trading for the black-box tests: instruments, prices, orders, and whole lists."""

import itertools
import json
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import apexlib

ACCOUNT = "paper"
BTC, ETH, AAPL = "BTCUSDT.SIM", "ETHUSDT.SIM", "AAPL.SIM"

# In these the platform or the venue still owes an answer.
OPEN_ENDS = ("ORDER_STATUS_PENDING_NEW", "ORDER_STATUS_SUBMITTED", "ORDER_STATUS_UNKNOWN",
             "ORDER_STATUS_PENDING_AMEND", "ORDER_STATUS_PENDING_CANCEL")
DONE = ("ORDER_STATUS_DENIED", "ORDER_STATUS_REJECTED", "ORDER_STATUS_FILLED",
        "ORDER_STATUS_CANCELED", "ORDER_STATUS_EXPIRED")


@dataclass(frozen=True)
class Market:
    """An instrument with the prices at which orders rest or trade."""

    instrument_id: str
    tick: Decimal
    quantity: Decimal  # The smallest that may be ordered.
    quantity_step: Decimal
    bid: Decimal
    ask: Decimal
    base: str
    quote: str
    price_decimals: int
    quantity_decimals: int

    def price(self, share):
        """The best bid times a share, on the tick: 0.9 rests far below, 1.1 far above."""
        return str((self.bid * Decimal(share) / self.tick).to_integral_value(ROUND_FLOOR)
                   * self.tick)


def market(client, instrument_id):
    """Reads an instrument and its book, waiting until both sides of it are there."""
    def book():
        found = client.call("MarketDataService", "GetBook",
                            {"instrument_id": instrument_id, "depth": 1})
        return found if found["bids"] and found["asks"] else None

    found = client.call("InstrumentService", "GetInstrument", {"instrument_id": instrument_id})
    top = apexlib.until(f"a book of {instrument_id}", book)
    return Market(
        instrument_id=instrument_id, tick=Decimal(found["price_increment"]),
        quantity=Decimal(found["min_quantity"]), quantity_step=Decimal(found["quantity_increment"]),
        bid=Decimal(top["bids"][0]["price"]), ask=Decimal(top["asks"][0]["price"]),
        base=found["base_currency"], quote=found["quote_currency"],
        price_decimals=found["price_decimals"], quantity_decimals=found["quantity_decimals"])


def order(client_order_id, instrument_id, side, quantity, price=None, **more):
    """A request for a limit order, or for a market order without a price."""
    request = {"account_id": ACCOUNT, "client_order_id": client_order_id,
               "instrument_id": instrument_id, "side": f"SIDE_{side}", "quantity": str(quantity),
               "order_type": "ORDER_TYPE_MARKET" if price is None else "ORDER_TYPE_LIMIT", **more}
    if price is not None:
        request["limit_price"] = str(price)
    return request


def resting(client_order_id, at, side="BUY", **more):
    """A limit order far from the market."""
    price = at.price("0.90") if side == "BUY" else at.price("1.10")
    return order(client_order_id, at.instrument_id, side, at.quantity, price, **more)


def get_order(client, client_order_id):
    return client.call("OrderService", "GetOrder",
                       {"account_id": ACCOUNT, "client_order_id": client_order_id})


def when_order(client, client_order_id, wanted, seconds=30.0):
    """Waits until an order's status is one of these, and returns it."""
    wanted = (wanted,) if isinstance(wanted, str) else wanted
    return apexlib.until(
        f"{client_order_id} in {wanted}",
        lambda: (lambda found: found if found["status"] in wanted else None)(
            get_order(client, client_order_id)), seconds)


def account(client, account_id=ACCOUNT):
    return client.call("AccountService", "GetAccount", {"account_id": account_id})


def pages(client, service, method, field, request):
    """All things of a list, page after page."""
    found, token = [], ""
    for _ in itertools.count():
        page = client.call(service, method, {**request, "page_size": 1000, "page_token": token},
                           seconds=60)
        found += page[field]
        token = page["next_page_token"]
        if not token:
            return found


def orders(client, **filters):
    return pages(client, "OrderService", "ListOrders", "orders",
                 {"account_id": ACCOUNT, **filters})


def executions(client):
    return pages(client, "OrderService", "ListExecutions", "executions", {"account_id": ACCOUNT})


def positions(client):
    return pages(client, "AccountService", "ListPositions", "positions", {"account_id": ACCOUNT})


def settled(client, seconds=60.0):
    """Waits until no order waits for an answer, and returns the working ones."""
    def probe():
        working = orders(client, working_only=True)
        open_ends.clear()
        open_ends.extend(one["client_order_id"] for one in working if one["status"] in OPEN_ENDS)
        return None if open_ends else (working,)

    open_ends = []
    try:
        return apexlib.until("answers to all orders", probe, seconds, pause=0.02)[0]
    except AssertionError as error:
        raise AssertionError(f"{len(open_ends)} orders stay open ended: {open_ends[:5]}") from error


class VenueTruth:
    """What the journal of `apextrade venue-sim` says: the ground truth of an account's orders.

    Quantities and prices in it are whole numbers at the decimals of the instrument; `markets`
    tells those. A torn last line was never answered and is left out, as the venue does itself.
    """

    def __init__(self, path, markets, account_id=ACCOUNT):
        self.markets = {one.instrument_id: one for one in markets}
        self.taken, self.refused, self.fills, self.ends = {}, [], [], {}
        self.amended = {}
        # What happened, in order: ("order", the order), ("Cancel", the command), and reports by
        # their kind, each with its content.
        self.steps = []
        for line in path.read_bytes().split(b"\n")[:-1]:
            read = json.loads(line)
            if read["account_id"] == account_id:
                self._add(read["entry"])

    def _add(self, entry):
        if "order" in entry:
            new = entry["order"]
            known = new["client_order_id"]
            assert known not in self.taken, f"the venue took order {known} twice"
            self.taken[known] = new
            self.steps.append(("order", new))
        elif "refused" in entry:
            self.refused.append(entry["refused"]["client_order_id"])
        elif "command" in entry:
            self.steps += entry["command"].items()
        elif "report" in entry:
            self._report(entry["report"]["report"])

    def _report(self, report):
        ((kind, content),) = report.items()
        self.steps.append((kind, content))
        if kind == "Filled":
            self.fills.append(content)
        elif kind == "Busted":
            self.fills = [one for one in self.fills if one["exec_id"] != content["exec_id"]]
        elif kind == "Ended":
            self.ends[content["client_order_id"]] = content["end"]
        elif kind == "Amended":
            self.amended[content["client_order_id"]] = content["quantity"]
        elif kind == "Rejected" and content["reason"] != "DuplicateClientOrderId":
            # Of an order that was taken: its limit could not rest when it triggered.
            self.ends[content["client_order_id"]] = "REJECTED"

    def quantity(self, content, field="quantity"):
        return self._quantity(content["instrument_id"], content[field])

    def _quantity(self, instrument_id, mantissa):
        return Decimal(mantissa).scaleb(-self.markets[instrument_id].quantity_decimals)

    def _price(self, instrument_id, mantissa):
        return Decimal(mantissa).scaleb(-self.markets[instrument_id].price_decimals)

    def filled(self):
        """Filled quantity by client_order_id, for orders that filled at all."""
        found = {}
        for fill in self.fills:
            quantity = self._quantity(fill["instrument_id"], fill["last_quantity"])
            known = fill["client_order_id"]
            found[known] = found.get(known, Decimal(0)) + quantity
        return found

    def executions(self):
        """Every execution: (client_order_id, quantity, price, fee) by exec_id."""
        found = {}
        for fill in self.fills:
            of = fill["instrument_id"]
            assert fill["exec_id"] not in found, f"execution {fill['exec_id']} twice at the venue"
            found[fill["exec_id"]] = (
                fill["client_order_id"], self._quantity(of, fill["last_quantity"]),
                self._price(of, fill["last_price"]), Decimal(fill["fee"]))
        return found

    def positions_and_cash(self):
        """Net position by instrument and change of cash by currency, of spot instruments."""
        quantities, cash = {}, {}
        for fill in self.fills:
            at = self.markets[fill["instrument_id"]]
            quantity = self._quantity(at.instrument_id, fill["last_quantity"])
            signed = quantity if fill["side"] == "Buy" else -quantity
            price = self._price(at.instrument_id, fill["last_price"])
            quantities[at.instrument_id] = quantities.get(at.instrument_id, Decimal(0)) + signed
            cash[at.quote] = cash.get(at.quote, Decimal(0)) - signed * price
            currency = fill["fee_currency"]
            assert currency == at.quote, "a fee outside of the quote currency needs more here"
            cash[currency] = cash.get(currency, Decimal(0)) - Decimal(fill["fee"])
        return quantities, cash

    def ended(self, client_order_id):
        """How the order ended at the venue, FILLED, CANCELED, EXPIRED or REJECTED, or None while
        it works."""
        new = self.taken[client_order_id]
        total = self._quantity(new["instrument_id"],
                               self.amended.get(client_order_id, new["quantity"]))
        if self.filled_of(client_order_id) >= total:
            return "FILLED"
        end = self.ends.get(client_order_id)
        return end.upper() if end else None

    def filled_of(self, client_order_id):
        if not hasattr(self, "_filled"):
            self._filled = self.filled()
        return self._filled.get(client_order_id, Decimal(0))


def check_against_venue(client, truth, cash_before):
    """Compares everything of the account with the venue's journal. Returns counts to print."""
    known = {}
    for one in orders(client):
        assert one["client_order_id"] not in known, f"{one['client_order_id']} is listed twice"
        known[one["client_order_id"]] = one
    strangers = set(truth.taken) - set(known)
    assert not strangers, f"the venue has orders that the account does not know: {strangers}"
    for name, one in known.items():
        filled = Decimal(one["filled_quantity"])
        if name not in truth.taken:
            assert one["status"] in DONE and filled == 0, f"never at the venue, yet: {one}"
            continue
        assert filled == truth.filled_of(name), (one, truth.filled_of(name))
        end = truth.ended(name)
        status = one["status"].removeprefix("ORDER_STATUS_")
        wanted = (end,) if end else ("ACCEPTED", "PARTIALLY_FILLED")
        assert status in wanted, f"the venue says {end}, the account {one}"
    booked = {one["exec_id"]: (one["client_order_id"], Decimal(one["last_quantity"]),
                               Decimal(one["last_price"]), Decimal(one["fee"]))
              for one in executions(client)}
    assert booked == truth.executions()
    quantities, cash = truth.positions_and_cash()
    held = {}
    for one in positions(client):
        held[one["instrument_id"]] = held.get(one["instrument_id"], 0) + Decimal(one["quantity"])
    assert {k: v for k, v in held.items() if v} == {k: v for k, v in quantities.items() if v}
    balances = {k: Decimal(v) for k, v in account(client)["cash"].items()}
    for currency, change in cash.items():
        wanted = cash_before.get(currency, Decimal(0)) + change
        assert balances[currency] == wanted, (currency, balances[currency], wanted)
    return {"orders": len(known), "at_venue": len(truth.taken), "executions": len(booked)}
