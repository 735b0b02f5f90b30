"""The kill switch from outside: while clients submit as fast as they are answered, a halt lets
nothing new through any more, ends what works, closes what is held, and outlives a kill."""

import threading
import time
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, check_against_venue, order, resting

CLIENTS = 3
# Calls that one client has under way.
UNDER_WAY = 16
# Answers before the halt, and refusals behind it.
BEFORE, BEHIND = 1_500, 300


class Flood:
    """Clients that submit until they are stopped: mostly orders that rest, and some that trade."""

    def __init__(self, server, at):
        self.server, self.at = server, at
        self.taken, self.denied = {}, {}
        self.failures = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self):
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        assert self.failures == []

    @property
    def per_second(self):
        return (len(self.taken) + len(self.denied)) / (time.monotonic() - self.began)

    def _run(self, number):
        try:
            with self.server.grpc() as client:
                self._submit(client, number)
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def _submit(self, client, number):
        under_way, count = [], 0
        while not self.stopping.is_set() or under_way:
            if not self.stopping.is_set():
                name = f"flood-{number}-{count}"
                request = resting(name, self.at)
                if count % 10 == 0:
                    request = order(name, BTC, "BUY", self.at.quantity)
                pending = client.future("OrderService", "SubmitOrder", request, seconds=60)
                under_way.append((name, pending))
                count += 1
            if len(under_way) == UNDER_WAY or self.stopping.is_set():
                self._take(*under_way.pop(0))

    def _take(self, name, pending):
        try:
            self.taken[name] = pending.result()
        except grpc.RpcError as refusal:
            assert refusal.code() == grpc.StatusCode.FAILED_PRECONDITION, refusal
            self.denied[name] = apexlib.error_details(refusal)["ErrorInfo"]["reason"]


def is_flat(client):
    return all(Decimal(one["quantity"]) == 0 for one in trading.positions(client))


@pytest.mark.parametrize("flatten", [False, True], ids=["cancel", "flatten"])
def test_behind_the_answer_to_a_halt_nothing_new_reaches_the_venue(
        flatten, make_server, venue, capsys):
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        cash = {key: Decimal(value) for key, value in trading.account(client)["cash"].items()}
        with Flood(server, at) as flood:
            apexlib.until("orders before the halt", lambda: len(flood.taken) >= BEFORE, 120)
            rate = flood.per_second
            began = time.monotonic()
            halt = {"account_id": ACCOUNT, "cancel": True, "flatten": flatten,
                    "reason": "test", "request_id": "halt"}
            halted = client.call("RiskService", "Halt", halt, seconds=60)["accounts"][0]
            took = time.monotonic() - began
            assert halted["trading_state"] == "TRADING_STATE_HALTED"
            apexlib.until("refusals behind the halt", lambda: len(flood.denied) >= BEHIND, 120)
        assert set(flood.denied.values()) == {"TRADING_HALTED"}
        apexlib.until("no working order", lambda: trading.settled(client) == [], 120)
        if flatten:
            apexlib.until("a flat account", lambda: is_flat(client), 120)
        truth = venue.truth([at])
        check_the_venue(client, truth, flood, halted["sequence"], flatten)
        check_against_venue(client, truth, cash)
        before = trading.account(client)
    server.kill()
    server.start()
    with server.grpc() as client:
        after = trading.account(client)
        assert after["trading_state"] == "TRADING_STATE_HALTED"
        assert (after["sequence"], after["state_hash"]) == (
            before["sequence"], before["state_hash"])
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "SubmitOrder", resting("after", at))
        assert apexlib.error_details(refusal.value)["ErrorInfo"]["reason"] == "TRADING_HALTED"
        assert set(venue.truth([at]).taken) == set(truth.taken)
    with capsys.disabled():
        print(f"\n{rate:.0f} orders a second by {CLIENTS} clients; halt answered in "
              f"{1000 * took:.0f} ms with {halted['cancels_requested']} cancels; "
              f"{len(flood.taken)} orders taken, {len(flood.denied)} denied")


def check_the_venue(client, truth, flood, halted_at, flatten):
    """The session is in order: behind the first cancel come cancels and closing orders only."""
    ours = {name for name in truth.taken if name.startswith("flood-")}
    closing = set(truth.taken) - ours
    assert ours == set(flood.taken), "an order that was answered, and no other"
    for name in ours:
        assert flood.taken[name]["sequence"] < halted_at
    assert bool(closing) == flatten, f"closing orders: {closing}"
    steps = [(kind, content["client_order_id"]) for kind, content in truth.steps]
    first = next(n for n, (kind, _) in enumerate(steps) if kind == "Cancel")
    late = [name for kind, name in steps[first:] if kind == "order" and name not in closing]
    assert late == [], "new orders behind the halt"
    # Every order that rested has got its cancel, and each only one.
    cancels = [name for kind, name in steps if kind == "Cancel"]
    ended = [name for name in truth.ends if name in ours]
    assert len(cancels) == len(set(cancels)) and set(ended) <= set(cancels)
    for name in ours:
        assert truth.ended(name) in ("FILLED", "CANCELED"), name


def kill_switches(server, line):
    """Returns a figure of the kill switch's metric; `None` where it is not there."""
    status, body = server.get("/metrics")
    assert status == 200
    name = f"apex_account_kill_switch_seconds_{line} "
    rows = [row for row in body.decode().splitlines() if row.startswith(name)]
    return int(rows[0].removeprefix(name)) if rows else None


def test_each_halt_that_cancels_counts_once_with_its_time(make_server):
    """The node takes the figures over every few seconds."""
    server = make_server("up").start()
    count = f'count{{account_id="{ACCOUNT}"}}'
    apexlib.until("the metric", lambda: kill_switches(server, count) == 0, 30)
    with server.grpc() as client:
        at = trading.market(client, BTC)
        # What cancels nothing, and the same request again, do not count.
        for number, (request_id, cancel) in enumerate(
                [("one", True), ("bare", False), ("two", True), ("two", True)]):
            if request_id != "two" or number == 2:
                client.call("OrderService", "SubmitOrder", resting(f"rests-{number}", at))
            client.call("RiskService", "Halt", {
                "account_id": ACCOUNT, "cancel": cancel, "reason": "test",
                "request_id": request_id})
            if number < 2:
                client.call("RiskService", "Resume", {
                    "account_id": ACCOUNT, "reason": "test", "request_id": f"resume-{number}"})
        apexlib.until("two halts that canceled", lambda: kill_switches(server, count) == 2, 30)
        apexlib.until("no working order", lambda: trading.settled(client) == [], 30)
    within = f'bucket{{account_id="{ACCOUNT}",le="1"}}'
    assert kill_switches(server, within) == 2, "the bound of the guide"
