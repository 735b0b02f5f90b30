"""Old records of a database move to the bucket while orders go on: a start gives the same state, a
check reads them from there and names one that is gone, and a kill in the middle loses nothing."""

import itertools
import threading

import grpc
import pytest

import apexlib
import trading
from s3server import S3Server
from test_postgres_faults import reason_of
from trading import ACCOUNT, BTC, order

# Small enough that some hundred orders are cut several times.
SIZES = {"APEX_JOURNAL_SEGMENT_BYTES": "4096", "APEX_JOURNAL_KEEP_BYTES": "8192",
         "APEX_JOURNAL_SNAPSHOT_EVENTS": "100"}
KILLS = 5


class Bench:
    def __init__(self, make_server, venue, postgres, s3, cli):
        self.postgres, self.venue, self.s3, self.cli = postgres, venue, s3, cli
        self.env = {"APEX_DATABASE_URL": postgres.url, **s3.settings, **SIZES}
        self.server = make_server("up", "--venue", venue.address, env=self.env)
        self.numbers = itertools.count()
        self.answered = set()

    def order(self, client, at):
        """One order that fills; its name is remembered once it was answered."""
        name = f"cut-{next(self.numbers)}"
        client.call("OrderService", "SubmitOrder", order(name, BTC, "BUY", at.quantity))
        self.answered.add(name)

    def base(self):
        """The last record that was moved."""
        return int(self.postgres.query(
            f"SELECT coalesce(max(sequence), 0) FROM journal_base WHERE account_id = '{ACCOUNT}'"))

    def left_over(self):
        return int(self.postgres.query(
            "SELECT count(*) FROM journal_frame JOIN journal_base AS base USING (account_id) "
            "WHERE last_sequence <= base.sequence"))

    def until_cut(self, client, at, times=1):
        """Trades until old records were moved so many times more."""
        for _ in range(times):
            before = self.base()

            def moved():
                for _ in range(10):
                    self.order(client, at)
                return self.base() > before

            apexlib.until("a cut", moved, 120)

    def objects(self):
        database = self.postgres.query("SELECT database_id FROM journal_database").strip()
        prefix = f"journals/{database}/{ACCOUNT}/"
        listed = self.s3.ask("GET", f"/{self.s3.bucket}?list-type=2&prefix={prefix}")
        return [part.split("</Key>")[0] for part in listed.split("<Key>")[1:]]

    def verify(self, check=True):
        done = self.cli("verify", "--json", "--data-dir", self.server.data_dir, env=self.env,
                        check=check)
        paper = [one for one in done.json["accounts"] if one["account_id"] == ACCOUNT]
        return done, paper[0] if paper else None


@pytest.fixture
def bench(make_server, venue, postgres, cli):
    s3 = S3Server("apex").start()
    yield Bench(make_server, venue, postgres, s3, cli)
    s3.kill()


def test_a_journal_that_was_cut_starts_with_the_same_state_and_is_checked_from_the_bucket(bench):
    server = bench.server.start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        bench.until_cut(client, at, times=3)
        trading.settled(client)
        orders = {one["client_order_id"]: one for one in trading.orders(client)}
    server.stop()
    done, paper = bench.verify()
    assert done.json["ok"] and paper["records"] == paper["last_sequence"], paper
    base, keys = bench.base(), bench.objects()
    assert len(keys) > 3 and base > 100, (keys, base)
    apexlib.until("no row in front of the cut", lambda: bench.left_over() == 0)
    rows = int(bench.postgres.query(
        f"SELECT min(first_sequence) FROM journal_frame WHERE account_id = '{ACCOUNT}'"))
    assert rows == base + 1

    server.start()
    with server.grpc() as client:
        after = {one["client_order_id"]: one for one in trading.orders(client)}
        assert after == orders and bench.answered <= set(after)
        # An id of a moved record stays used.
        first = order("cut-0", BTC, "SELL", at.quantity)
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "SubmitOrder", first)
        assert reason_of(refusal.value) == "CLIENT_ORDER_ID_REUSED"
        sequence, state_hash = (trading.account(client)[key] for key in ("sequence", "state_hash"))
    server.stop()
    _, again = bench.verify()
    assert (again["last_sequence"], again["state_hash"]) == (sequence, state_hash)

    # One that is gone is named.
    gone = keys[1]
    bench.s3.ask("DELETE", f"/{bench.s3.bucket}/{gone}")
    done, _ = bench.verify(check=False)
    bad = done.json["first_bad"]
    assert done.returncode == 1 and bad["segment"] == gone.rsplit("/", 1)[1], done.json
    assert "is missing" in bad["reason"]
    # No start needs it.
    server.start()
    with server.grpc() as client:
        bench.order(client, at)
    server.stop()


def test_doctor_says_what_of_a_cut_journal_it_can_look_at(bench):
    server = bench.server.start()
    with server.grpc() as client:
        bench.until_cut(client, trading.market(client, BTC))
    server.stop()

    def doctor(**env):
        env = {"APEX_LISTEN": f"127.0.0.1:{apexlib.free_port()}", **env}
        done = bench.cli("doctor", "--json", "--data-dir", server.data_dir, env=env, check=False)
        return done.returncode, {one["name"]: one for one in done.json}

    status, found = doctor(**bench.env)
    assert status == 0 and "moved" not in found["journal"]["detail"], found
    # A bucket that is not in the settings: nothing can read the journal, and a start would go on without.
    without = {name: value for name, value in bench.env.items() if not name.startswith("APEX_S3_")}
    status, found = doctor(**without)
    assert status == 1 and not found["journal"]["ok"], found
    assert "APEX_S3_ENDPOINT is not set" in found["journal"]["detail"], found
    # One that is away: what is in the database is looked at.
    bench.s3.kill()
    status, found = doctor(**bench.env)
    assert status == 1 and [one for one in found if not found[one]["ok"]] == ["s3"], found
    base = bench.base()
    for said in ("whole", f"{base} that were moved", "see s3"):
        assert said in found["journal"]["detail"], found
    assert "see s3" in found["audit"]["detail"], found
    bench.postgres.query(
        "UPDATE journal_frame SET frame = set_byte(frame, 70, get_byte(frame, 70) # 1) "
        f"WHERE account_id = '{ACCOUNT}' AND first_sequence = {base + 1}")
    status, found = doctor(**bench.env)
    assert f"damaged at record {base + 1}" in found["journal"]["detail"], found


def test_another_size_of_segments_is_refused_and_more_is_kept_at_will(bench):
    server = bench.server.start()
    with server.grpc() as client:
        bench.until_cut(client, trading.market(client, BTC))
    server.stop()
    server.env["APEX_JOURNAL_SEGMENT_BYTES"] = "8192"
    with pytest.raises(AssertionError, match="APEX_JOURNAL_SEGMENT_BYTES is 8192.*unset it, or set 4096"):
        server.start()
    del server.env["APEX_JOURNAL_SEGMENT_BYTES"]
    server.env["APEX_JOURNAL_KEEP_BYTES"] = "1048576"
    server.start().stop()
    assert bench.verify()[0].json["ok"]


def test_a_kill_in_the_midst_of_moves_loses_nothing(bench, capsys):
    server, moved = bench.server.start(), []
    for kill in range(KILLS):
        stopping = threading.Event()
        with server.grpc() as client:
            at = trading.market(client, BTC)

            def load():
                while not stopping.is_set():
                    try:
                        bench.order(client, at)
                    except grpc.RpcError:
                        return  # It was killed.

            clients = [threading.Thread(target=load) for _ in range(2)]
            for one in clients:
                one.start()
            # The first object of a move is there, or all are, or the base is set, or rows are gone.
            before, base = len(bench.objects()), bench.base()
            apexlib.until("a move", (
                lambda: len(bench.objects()) > before) if kill % 2 else (
                lambda: bench.base() > base), 120, pause=0.001)
            server.kill()
            stopping.set()
            for one in clients:
                one.join(60)
                assert not one.is_alive()
        moved.append(bench.base())
        server.start()
        with server.grpc() as client:
            trading.settled(client)
            known = {one["client_order_id"] for one in trading.orders(client)}
            assert bench.answered <= known, bench.answered - known
    server.stop()
    done, paper = bench.verify()
    assert done.json["ok"] and paper["records"] == paper["last_sequence"], paper
    assert moved == sorted(moved) and moved[-1] > moved[0], moved
    truth = bench.venue.truth([at])
    assert set(truth.taken) >= bench.answered
    with capsys.disabled():
        print(f"\n{KILLS} kills: {len(bench.answered)} answered, {len(bench.objects())} segments, "
              f"{bench.base()} of {paper['last_sequence']} records moved")
