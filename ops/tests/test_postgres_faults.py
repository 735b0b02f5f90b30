"""The journal's PostgreSQL server away, in each way that one can be, under a stream of orders: no
answered order is lost or doubled, cancels and market data go on, and nothing is left behind."""

import itertools
import subprocess
import threading
import time

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, check_against_venue, order, resting

ORDERS_PER_SECOND = 40
CLIENTS = 2
KEPT = 12

# A commit waits a second before the reserve is used; the rest is for a busy machine.
FIRST_CANCEL_SECONDS = 4.0
CANCEL_SECONDS = 2.0
# Between two ticks of the simulated market, which makes several a second.
TICK_GAP_SECONDS = 3.0
# Pauses between two attempts to reach the server grow to 2 s.
BACK_SECONDS = 20.0


class Load:
    """Clients that submit at a rate, whatever is answered, and remember what was."""

    def __init__(self, server, at):
        self.server, self.at = server, at
        self.answered, self.refused = {}, {}
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

    def _run(self, number):
        with self.server.grpc() as client:
            for i in itertools.count():
                if self.stopping.wait(CLIENTS / ORDERS_PER_SECOND):
                    return
                name = f"load-{number}-{i}"
                request = resting(name, self.at)
                if i % 3:
                    # It fills, and its reports come while others are refused.
                    request = order(name, BTC, "BUY", self.at.quantity)
                self._submit(client, name, request)

    def _submit(self, client, name, request):
        try:
            self.answered[name] = client.call("OrderService", "SubmitOrder", request, seconds=10)
        except grpc.RpcError as error:
            self.refused[name] = reason_of(error)


class Ticks:
    """Follows the market data stream and remembers the longest silence."""

    def __init__(self, server):
        self.client = server.grpc()
        self.stream = self.client.stream("MarketDataService", "Subscribe",
                                         {"instrument_ids": [BTC]}, seconds=600)
        self.count, self.longest, self.last = 0, 0.0, time.monotonic()
        self.failed = None
        self.ending = False
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            for _ in self.stream:
                now = time.monotonic()
                self.count += 1
                self.longest, self.last = max(self.longest, now - self.last), now
        except grpc.RpcError as error:
            if not self.ending:
                self.failed = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.stream.cancel()
        self.thread.join(30)
        self.client.close()

    def check(self):
        assert self.failed is None, self.failed
        silence = max(self.longest, time.monotonic() - self.last)
        assert self.count > 0 and silence < TICK_GAP_SECONDS, (self.count, silence)


def reason_of(error):
    return apexlib.error_details(error).get("ErrorInfo", {}).get("reason", "")


class Bench:
    """The platform on a database, with its venue in a process of its own."""

    def __init__(self, make_server, venue, postgres, cli):
        self.postgres, self.venue = postgres, venue
        self.env = {"APEX_DATABASE_URL": postgres.url}
        self.server = make_server("up", "--venue", venue.address, env=self.env).start()
        self.cli = cli

    def verify(self):
        return self.cli("verify", "--json", "--data-dir", self.server.data_dir, env=self.env).json


@pytest.fixture
def bench(make_server, venue, postgres, cli):
    return Bench(make_server, venue, postgres, cli)


def metric(server, name):
    text = server.get("/metrics")[1].decode()
    return [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name + "{")]


def when_away(server, client, at):
    """Returns once an order is refused since the journal is away."""
    numbers = itertools.count()

    def refused():
        try:
            client.call("OrderService", "SubmitOrder", resting(f"probe-{next(numbers)}", at))
        except grpc.RpcError as error:
            return error if reason_of(error) == "JOURNAL_AWAY" else None
        return None

    error = apexlib.until("a refusal", refused, 15, pause=0.05)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    for words in ("database server does not answer", "cancels go on", "start the server"):
        assert words in error.details(), error.details()
    status, body = server.get("/ready")
    assert status == 503 and b"database server does not answer" in body, body
    assert server.get("/health")[0] == 200
    assert trading.account(client)["journal"] == "JOURNAL_HEALTH_AWAY"
    # The gauges are refreshed now and then.
    apexlib.until("the gauge", lambda: metric(server, "apex_journal_away") == ["1"], 15)
    assert metric(server, "apex_journal_ready") == ["0"]


def cancel(client, name, bound):
    begun = time.monotonic()
    client.call("OrderService", "CancelOrder", {"account_id": ACCOUNT, "client_order_id": name},
                seconds=30)
    trading.when_order(client, name, "ORDER_STATUS_CANCELED", seconds=30)
    took = time.monotonic() - begun
    assert took < bound, f"the cancel of {name} took {took:.2f} s"
    return took


def when_back(client, at):
    numbers = itertools.count()

    def taken():
        try:
            return client.call("OrderService", "SubmitOrder", resting(f"back-{next(numbers)}", at))
        except grpc.RpcError as error:
            assert reason_of(error) in ("JOURNAL_AWAY", "JOURNAL_FULL"), error
            return None

    begun = time.monotonic()
    answered = apexlib.until("orders to be taken again", taken, BACK_SECONDS, pause=0.05)
    return answered["client_order_id"], time.monotonic() - begun


def goes_on(bench, seconds, leave, come_back):
    """Takes the database away under load, and gives it back. Returns what was measured."""
    server = bench.server
    with server.grpc() as client, Ticks(server) as ticks:
        at = trading.market(client, BTC)
        cash = {name: trading.Decimal(value)
                for name, value in trading.account(client)["cash"].items()}
        keep = [f"keep-{i}" for i in range(KEPT)]
        for name in keep:
            client.call("OrderService", "SubmitOrder", resting(name, at))
            trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
        with Load(server, at) as load:
            apexlib.until("some orders", lambda: len(load.answered) > 20)
            leave()
            cancels = [cancel(client, keep[0], FIRST_CANCEL_SECONDS)]
            when_away(server, client, at)
            until = time.monotonic() + seconds
            cancels += [cancel(client, name, CANCEL_SECONDS) for name in keep[1:6]]
            before = len(load.answered)
            assert set(load.answered) <= set(
                bench.venue.truth([at]).taken), "an order was answered that was not sent"
            apexlib.until("the time to pass", lambda: time.monotonic() > until, seconds + 5, 0.1)
            assert len(load.answered) == before, "an order was answered while the journal is away"
            cancels += [cancel(client, name, CANCEL_SECONDS) for name in keep[6:8]]
            with pytest.raises(grpc.RpcError) as refusal:
                client.call("OrderService", "AmendOrder", {
                    "account_id": ACCOUNT, "client_order_id": keep[9], "request_id": "amend-away",
                    "quantity": str(2 * at.quantity)})
            assert reason_of(refusal.value) == "JOURNAL_AWAY", refusal.value
            ticks.check()
            come_back()
            again, took = when_back(client, at)
            apexlib.until("more orders", lambda: len(load.answered) > before + 10)
        assert server.wait_ready() is None
        ticks.check()
        known = {*load.answered, *keep, again}
        check_end(bench, client, at, known, load, cash)
    return {"answered": len(load.answered), "refused": len(load.refused),
            "taken back": list(load.refused.values()).count("NOT_SENT"), "slowest cancel": round(max(cancels), 2), "back after": round(took, 2)}


def check_end(bench, client, at, known, load, cash):
    """Everything to an end; then account, venue, journal, and a restart are compared."""
    client.call("OrderService", "CancelAllOrders", {"account_id": ACCOUNT}, seconds=60)
    apexlib.until("the cancels", lambda: not trading.settled(client), 60, pause=0.02)
    listed = [one["client_order_id"] for one in trading.orders(client)]
    assert len(listed) == len(set(listed)), "an order is listed twice"
    lost = known - set(listed)
    assert not lost, f"{len(lost)} answered orders are gone: {sorted(lost)[:3]}"
    assert set(load.refused.values()) <= {"JOURNAL_AWAY", "NOT_SENT"}, load.refused
    truth = bench.venue.truth([at])
    for name, reason in load.refused.items():
        assert name not in truth.taken, "a refused order is at the venue"
        # One that was decided before it was noticed is kept, and has ended.
        assert (name in listed) == (reason == "NOT_SENT"), (name, reason)
        if reason == "NOT_SENT":
            kept = trading.get_order(client, name)
            assert kept["status"] == "ORDER_STATUS_REJECTED" and "not sent" in kept["reason"], kept
    check_against_venue(client, truth, cash)
    after = trading.account(client)
    orders = {one["client_order_id"]: one for one in trading.orders(client)}
    bench.server.stop()
    verified = bench.verify()
    assert verified["ok"] is True and verified["first_bad"] is None
    paper = next(one for one in verified["accounts"] if one["account_id"] == ACCOUNT)
    assert (paper["last_sequence"], paper["state_hash"]) == (
        after["sequence"], after["state_hash"])
    twice = "SELECT count(*) - count(DISTINCT (account_id, first_sequence)) FROM journal_frame"
    assert bench.postgres.query(twice) == "0"
    bench.server.start()
    with bench.server.grpc() as client:
        again = {one["client_order_id"]: one for one in trading.orders(client)}
        assert again == orders, "a restart gives other orders"


def stopped(bench):
    return bench.postgres.pause, bench.postgres.resume


def killed(bench):
    return bench.postgres.kill, bench.postgres.start


def read_only(bench):
    name = "default_transaction_read_only"
    return (lambda: bench.postgres.set(name, "on")), (lambda: bench.postgres.set(name, "off"))


@pytest.mark.parametrize("way", [stopped, killed, read_only])
def test_a_database_that_goes_away_loses_and_doubles_nothing(bench, way, away_seconds, capsys):
    measured = goes_on(bench, away_seconds, *way(bench))
    with capsys.disabled():
        print(f"\ndatabase {way.__name__} for {away_seconds} s: {measured}")


@pytest.fixture
def small_disk(postgres):
    path = postgres.folder / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mount is not permitted: {mounted.stderr.strip()}")
    postgres.own(path)
    yield path
    postgres.kill()
    subprocess.run(["umount", "-l", path], check=True)


def test_a_database_without_disk_space_loses_and_doubles_nothing(
        bench, small_disk, away_seconds, capsys):
    bench.postgres.query(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    bench.postgres.query("ALTER TABLE journal_frame SET TABLESPACE small")
    filler = small_disk / "filler"

    def fill():
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\x01" * 4096)
            except OSError:
                pass  # No space left, as intended.

    def free():
        assert "(53100)" in bench.server.log(10**7), "it was not the disk"
        filler.unlink()

    measured = goes_on(bench, away_seconds, fill, free)
    with capsys.disabled():
        print(f"\ndatabase without space for {away_seconds} s: {measured}")


def test_connections_cut_in_the_midst_of_commits_lose_and_double_nothing(bench, capsys):
    server, cuts = bench.server, 25
    with server.grpc() as client, Ticks(server) as ticks:
        at = trading.market(client, BTC)
        cash = {name: trading.Decimal(value)
                for name, value in trading.account(client)["cash"].items()}
        with Load(server, at) as load:
            for cut in range(cuts):
                before = len(load.answered)
                bench.postgres.cut()
                apexlib.until("further orders", lambda: len(load.answered) > before + 2)
            assert cut == cuts - 1
        ticks.check()
        check_end(bench, client, at, set(load.answered), load, cash)
    with capsys.disabled():
        print(f"\n{cuts} cuts: {len(load.answered)} answered, {len(load.refused)} refused")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_a_process_left_in_its_reserve_is_there_at_the_next_start(bench, end):
    server, postgres = bench.server, bench.postgres
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for i in range(4):
            client.call("OrderService", "SubmitOrder", resting(f"keep-{i}", at))
            trading.when_order(client, f"keep-{i}", "ORDER_STATUS_ACCEPTED")
        postgres.pause()
        cancel(client, "keep-0", FIRST_CANCEL_SECONDS)
        cancel(client, "keep-1", CANCEL_SECONDS)
        # The kill switch acts as ever, and survives.
        begun = time.monotonic()
        client.call("RiskService", "Halt", {
            "account_id": ACCOUNT, "request_id": "drill", "cancel": True, "reason": "drill"})
        for i in (2, 3):
            trading.when_order(client, f"keep-{i}", "ORDER_STATUS_CANCELED")
        assert time.monotonic() - begun < CANCEL_SECONDS
        after = trading.account(client)
    getattr(server, end)()
    postgres.kill()
    with pytest.raises(AssertionError, match="APEX_DATABASE_URL"):
        server.start(ready_seconds=30)
    postgres.start()
    told = bench.cli("doctor", "--json", "--data-dir", server.data_dir, env=bench.env, check=False)
    check = next(one for one in told.json if one["name"] == "reserve")
    assert told.returncode == 1 and "of account paper" in check["detail"], check
    server.start()
    with server.grpc() as client:
        statuses = {trading.get_order(client, f"keep-{i}")["status"] for i in range(4)}
        assert statuses == {"ORDER_STATUS_CANCELED"}
        now = trading.account(client)
        assert now["sequence"] >= after["sequence"]
        assert now["trading_state"] == after["trading_state"] == "TRADING_STATE_HALTED"
    assert "a reserve was left" in server.log(100_000)
    told = bench.cli("doctor", "--json", "--data-dir", server.data_dir, check=False,
                     env={**bench.env, "APEX_LISTEN": server.address})
    assert told.returncode == 0, told.json
    server.stop()
    assert bench.verify()["ok"] is True


def test_doctor_says_what_the_database_of_time_series_is(postgres, cli, make_server, tmp_path):
    def series(**env):
        env = {"APEX_LISTEN": f"127.0.0.1:{apexlib.free_port()}", **env}
        told = cli("doctor", "--json", "--data-dir", tmp_path / "none yet", env=env, check=False)
        check = next(one for one in told.json if one["name"] == "series")
        assert check["ok"] == (told.returncode == 0), told.json
        return check

    check = series()
    assert check["ok"] and "APEX_TIMESCALE_URL is not set" in check["detail"], check
    env = {"APEX_TIMESCALE_URL": postgres.url}
    check = series(**env)
    assert check["ok"] and "is empty" in check["detail"] and "plain" in check["detail"], check
    server = make_server("up", env=env).start()
    apexlib.until("its tables", lambda: "plain" in postgres.query(
        "SELECT CASE WHEN to_regclass('series_layout') IS NULL THEN 'none' ELSE 'plain' END"), 60)
    assert server.stop() == 0
    check = series(**env)
    assert check["ok"] and "plain PostgreSQL, schema version" in check["detail"], check
    postgres.set("synchronous_commit", "off")
    check = series(**env)
    for words in ("APEX_TIMESCALE_URL", "set synchronous_commit = on"):
        assert not check["ok"] and words in check["detail"], check
    postgres.set("synchronous_commit", "on")
    postgres.kill()
    check = series(**env)
    assert not check["ok"] and "APEX_TIMESCALE_URL" in check["detail"], check


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
def test_doctor_fails_on_a_database_that_may_lose_commits(postgres, cli, tmp_path, setting):
    env = {"APEX_DATABASE_URL": postgres.url}
    # Before a first start nothing else can fail.
    arguments = ("doctor", "--json", "--data-dir", tmp_path / "none yet")

    def database():
        told = cli(*arguments, env=env, check=False)
        return told.returncode, next(one for one in told.json if one["name"] == "database")

    status, check = database()
    assert status == 0 and check["ok"], check
    postgres.set(setting, "off")
    status, check = database()
    assert status == 1 and not check["ok"], check
    for words in ("APEX_DATABASE_URL", f"{setting} = off", f"set {setting} = on"):
        assert words in check["detail"], check
    postgres.set(setting, "on")
    # As the platform's session sees it: a role's own value counts as well.
    if setting == "synchronous_commit":
        postgres.query("ALTER ROLE apex SET synchronous_commit = off")
        assert database()[0] == 1
