"""SIGKILL at random moments: no answered order is lost, none is doubled, and the account equals
the journal of the venue, which lives in a process of its own."""

import os
import random
import threading
import time
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import AAPL, ACCOUNT, BTC, ETH, check_against_venue, order, resting

ORDERS_PER_SECOND = 200
CLIENTS = 4
NEAR = "near"  # The strategy of orders that may trade while we look.


class Load:
    """Clients that submit, amend and cancel at a rate until they are stopped, and remember what
    was answered and what was not."""

    def __init__(self, server, markets, name, rng):
        self.markets, self.name = markets, name
        self.seeds = [rng.random() for _ in range(CLIENTS)]
        self.server = server
        self.sent, self.answered, self.denied, self.refused = {}, {}, {}, {}
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    @property
    def in_flight(self):
        """Sent, and neither answered nor refused: the order may exist or not."""
        return {name: request for name, request in self.sent.items()
                if name not in self.answered and name not in self.denied}

    def _run(self, number):
        rng = random.Random(self.seeds[number])
        began = time.monotonic()
        with self.server.grpc() as client:
            for i in range(10**6):
                due = began + (i + number / CLIENTS) * CLIENTS / ORDERS_PER_SECOND
                if self.stopping.wait(max(0.0, due - time.monotonic())):
                    return
                name = f"{self.name}-{number}-{i}"
                request = some_order(rng, name, rng.choice(self.markets))
                if not self._submit(client, name, request):
                    return
                if i % 7 == 3 and not self._change(client, rng, number, i):
                    return

    def _submit(self, client, name, request):
        """Returns false when the server is gone."""
        self.sent[name] = request
        try:
            self.answered[name] = client.call("OrderService", "SubmitOrder", request, seconds=10)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                self.denied[name] = apexlib.error_details(error)["ErrorInfo"]["reason"]
                return True
            self.refused[name] = f"{error.code().name}: {error.details()}"
            # The platform lives and says that it cannot: try on.
            return "VENUE_DOWN" in str(apexlib.error_details(error)) and not self.stopping.is_set()
        return True

    def _change(self, client, rng, number, i):
        """Amends or cancels an earlier order; that it has ended meanwhile is no failure."""
        target = f"{self.name}-{number}-{rng.randrange(i)}"
        if target not in self.answered:
            return True
        request = {"account_id": ACCOUNT, "client_order_id": target, "request_id": f"{target}-{i}"}
        method = "CancelOrder"
        if rng.random() < 0.4 and self.answered[target]["limit_price"]:
            method = "AmendOrder"
            request["quantity"] = str(2 * Decimal(self.answered[target]["quantity"]))
        try:
            client.call("OrderService", method, request, seconds=10)
        except grpc.RpcError as error:
            return error.code() in (grpc.StatusCode.FAILED_PRECONDITION,
                                    grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED)
        return True


def some_order(rng, name, at):
    """Resting, marketable and nearby orders of both sides."""
    side = rng.choice(["BUY", "SELL"])
    kind = rng.random()
    if kind < 0.3:
        return resting(name, at, side)
    if kind < 0.6:
        return order(name, at.instrument_id, side, at.quantity)
    through = at.price("1.01") if side == "BUY" else at.price("0.99")
    if kind < 0.75:
        return order(name, at.instrument_id, side, at.quantity, through,
                     time_in_force=rng.choice(["TIME_IN_FORCE_IOC", "TIME_IN_FORCE_FOK"]))
    if kind < 0.85:
        return order(name, at.instrument_id, side, 3 * at.quantity, through)
    # At the touch, where it trades now, later or never.
    price = at.bid if side == "BUY" else at.ask
    return order(name, at.instrument_id, side, at.quantity, price, strategy_id=NEAR)


def same_order(answered, now):
    return all(answered[key] == now[key] for key in (
        "order_id", "client_order_id", "instrument_id", "side", "order_type", "limit_price",
        "time_in_force", "strategy_id", "ts_created_ns"
    ) if key != "limit_price" or now["status"] != "ORDER_STATUS_PENDING_AMEND")


class Ledger:
    """What clients know over all rounds."""

    def __init__(self):
        self.answered, self.denied = {}, {}
        self.resent = self.rounds_listed = 0

    def add(self, client, load):
        """Checks one round's orders after the restart, and sends those in flight again."""
        for name, before in load.answered.items():
            now = trading.get_order(client, name)
            assert same_order(before, now), f"answered {before}, now {now}"
        for name, reason in load.denied.items():
            now = trading.get_order(client, name)
            assert now["status"] == "ORDER_STATUS_DENIED" and now["reason_code"] == reason
        for name, request in load.in_flight.items():
            try:
                first = client.call("OrderService", "SubmitOrder", request)
                again = client.call("OrderService", "SubmitOrder", request)
                assert first["order_id"] == again["order_id"]
                load.answered[name] = first
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
                load.denied[name] = apexlib.error_details(error)["ErrorInfo"]["reason"]
            self.resent += 1
        for name in list(load.answered)[:3]:
            other = {**load.sent[name], "tags": "other"}
            with pytest.raises(grpc.RpcError) as refusal:
                client.call("OrderService", "SubmitOrder", other)
            assert refusal.value.code() == grpc.StatusCode.ALREADY_EXISTS
        self.answered.update(load.answered)
        self.denied.update(load.denied)

    def check_list(self, client):
        listed = [one["client_order_id"] for one in trading.orders(client)]
        assert len(listed) == len(set(listed)), "an order is listed twice"
        known = set(self.answered) | set(self.denied)
        assert known - set(listed) == set(), "an answered order is gone"
        # Nobody else trades here: there is nothing that no client has sent.
        assert set(listed) - known == set(), "an order that nobody sent"
        self.rounds_listed += 1


def cancel_all(client, **filters):
    client.call("OrderService", "CancelAllOrders", {"account_id": ACCOUNT, **filters}, seconds=60)

    def none_left():
        working = trading.settled(client)
        return all(any(one[key] != value for key, value in filters.items()) for one in working)

    apexlib.until("the cancels", none_left, 60, pause=0.02)


def cash_of(client):
    return {key: Decimal(value) for key, value in trading.account(client)["cash"].items()}


def seed_of(name):
    """Printed, so that a failing run can be repeated: APEX_KILL_SEED."""
    seed = int(os.environ.get("APEX_KILL_SEED") or time.time_ns() % 10**9)
    print(f"{name}: APEX_KILL_SEED={seed}")
    return random.Random(seed)


def finish(server, venue, client, markets, ledger, cash):
    """Everything to an end, then all books compared, and the journal alone gives the same."""
    cancel_all(client)
    ledger.check_list(client)
    counts = check_against_venue(client, venue.truth(markets), cash)
    server.stop()
    return counts


def verify(cli, server, after):
    """The journal alone gives the state that was served last, when nothing was under way."""
    verified = cli("verify", "--json", "--data-dir", server.data_dir).json
    assert verified["ok"] is True and verified["first_bad"] is None
    (paper,) = [one for one in verified["accounts"] if one["account_id"] == ACCOUNT]
    assert (paper["last_sequence"], paper["state_hash"]) == (
        after["sequence"], after["state_hash"])
    return verified


def test_kill_at_random_moments_loses_and_doubles_nothing(
        make_server, venue, cli, kills, capsys, request):
    rng = seed_of(request.node.name)
    server = make_server("up", "--venue", venue.address).start()
    ledger, started = Ledger(), time.monotonic()
    with server.grpc() as client:
        markets = [trading.market(client, one) for one in (BTC, ETH, AAPL)]
        cash = cash_of(client)
    unanswered = 0
    for number in range(kills):
        with Load(server, markets, f"k{number}", rng) as load:
            load.stopping.wait(rng.uniform(0.05, 1.2))
            server.kill()
        unanswered += len(load.in_flight)
        server.start()
        with server.grpc() as client:
            markets = [trading.market(client, one.instrument_id) for one in markets]
            ledger.add(client, load)
            cancel_all(client, strategy_id=NEAR)
            if number % 10 == 9:
                cancel_all(client)
            if kills <= 20 or number % 10 == 9:
                trading.settled(client)
                ledger.check_list(client)
                check_against_venue(client, venue.truth(markets), cash)
    with server.grpc() as client:
        cancel_all(client)
        after = trading.account(client)
        counts = finish(server, venue, client, markets, ledger, cash)
    verified = verify(cli, server, after)
    truth = venue.truth(markets)
    assert not [one for one in truth.refused if one in truth.taken], "an id came twice to the venue"
    assert counts["executions"] > 0 and unanswered > 0
    with capsys.disabled():
        print(f"\n{kills} kills: {len(ledger.answered)} orders answered and {len(ledger.denied)} "
              f"denied, all there once; {ledger.resent} in flight sent again, one order each; "
              f"{counts['at_venue']} orders and {counts['executions']} executions equal the "
              f"venue's; {verified['records']} records verified; "
              f"{time.monotonic() - started:.0f} s")


@pytest.mark.parametrize("both", [False, True], ids=["venue", "both"])
def test_kill_the_venue_loses_and_doubles_nothing(
        both, make_server, venue, cli, kills, capsys, request):
    rng = seed_of(request.node.name)
    server = make_server("up", "--venue", venue.address).start()
    ledger = Ledger()
    with server.grpc() as client:
        markets = [trading.market(client, one) for one in (BTC, ETH, AAPL)]
        cash = cash_of(client)
    rounds = max(3, kills // 4)
    for number in range(rounds):
        with Load(server, markets, f"v{number}", rng) as load:
            load.stopping.wait(rng.uniform(0.05, 0.8))
            victims = [venue, server] if both else [venue]
            rng.shuffle(victims)
            for one in victims:
                one.kill()
                load.stopping.wait(rng.uniform(0, 0.05))
            if not both:
                load.stopping.wait(rng.uniform(0, 0.5))  # Orders meet a venue that is away.
        venue.start()
        if both:
            server.start()
        else:
            server.wait_ready()
        with server.grpc() as client:
            markets = [trading.market(client, one.instrument_id) for one in markets]
            ledger.add(client, load)
            trading.settled(client)
            cancel_all(client)
            ledger.check_list(client)
            counts = check_against_venue(client, venue.truth(markets), cash)
    with server.grpc() as client:
        after = trading.account(client)
        counts = finish(server, venue, client, markets, ledger, cash)
    verify(cli, server, after)
    with capsys.disabled():
        print(f"\n{rounds} kills of {'platform and venue' if both else 'the venue'}: "
              f"{len(ledger.answered)} orders answered, {counts['at_venue']} at the venue, "
              f"{counts['executions']} executions, all equal")


def test_kill_during_recovery_changes_nothing(make_server, venue, request):
    """Killed again and again while it starts: the next start finds the same."""
    rng = seed_of(request.node.name)
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        markets = [trading.market(client, one) for one in (BTC, ETH, AAPL)]
        cash = cash_of(client)
    ledger = Ledger()
    with Load(server, markets, "r", rng) as load:
        load.stopping.wait(1.0)
        server.kill()
    for _ in range(10):
        with pytest.raises(AssertionError):
            # Not ready in this short time: `start` then kills it.
            server.start(ready_seconds=rng.uniform(0.0, 0.05))
            server.kill()
            raise AssertionError("was ready, and was killed all the same")
    server.start()
    with server.grpc() as client:
        ledger.add(client, load)
        cancel_all(client)
        ledger.check_list(client)
        check_against_venue(client, venue.truth(markets), cash)
