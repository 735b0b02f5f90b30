"""SIGKILL does not prove durability, since the page cache survives it. The system calls do."""

import signal
import threading
import time

import grpc
import pytest

import tracing
import trading
from trading import BTC, order

# Orders under way at once: with them, many answers share a sync.
WINDOW = 64


@pytest.fixture(scope="module", autouse=True)
def strace():
    reason = tracing.why_not()
    if reason:
        pytest.skip(reason)


def traced(path, *more):
    return ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-s", "1000000", "-o", str(path),
            "-e", f"trace={tracing.TRACED}", *more]


def is_journal(path):
    return "/journal/" in path or "/accounts/" in path or "segment" in path


def immediate(name, at):
    """An order that ends at once, so that a hundred thousand of them leave no book behind."""
    return order(name, at.instrument_id, "BUY", at.quantity, at.price("0.9"),
                 time_in_force="TIME_IN_FORCE_IOC")


def test_strace_every_answer_is_preceded_by_the_sync_that_covers_it(
        make_server, strace_answers, tmp_path, capsys):
    path, began = tmp_path / "trace", time.monotonic()
    server = make_server("up", wrap=traced(path)).start()
    names = [f"st-{i:06d}-z" for i in range(strace_answers)]
    answered, failed = [], []
    room = threading.Semaphore(WINDOW)

    def done(pending):
        try:
            answered.append(pending.result()["client_order_id"])
        except grpc.RpcError as error:
            failed.append(error)
        room.release()

    with server.grpc() as client:
        at = trading.market(client, BTC)
        alone = min(200, strace_answers // 4)
        for name in names[:alone]:  # One at a time: each has a sync of its own.
            answered.append(client.call("OrderService", "SubmitOrder",
                                        immediate(name, at))["client_order_id"])
        for name in names[alone:]:
            assert room.acquire(timeout=60), "no answer for a minute"
            client.future("OrderService", "SubmitOrder", immediate(name, at),
                          seconds=60).when_done(done)
        for _ in range(WINDOW):
            assert room.acquire(timeout=60)
    assert not failed, (len(failed), failed[0])
    server.stop()
    trace = tracing.Trace(rb"st-\d{6}-z", is_journal).read(path)
    assert sorted(answered) == names
    assert {one.decode() for one in trace.answered} == set(names), "the trace misses answers"
    assert not trace.too_early, trace.too_early[:5]
    assert trace.syncs >= alone
    with capsys.disabled():
        print(f"\n{len(answered)} answers, each behind the sync that covers it: {trace.syncs} "
              f"syncs, {trace.position} system calls; {time.monotonic() - began:.0f} s")


def test_strace_finds_an_answer_that_comes_too_early(tmp_path):
    """The proof itself: it must fail where it has to."""
    good = [b'7 pwrite64(9</d/journal/1>, "..st-000001-z", 90, 0) = 90',
            b"7 fdatasync(9</d/journal/1> <unfinished ...>",
            b'8 pwrite64(9</d/journal/1>, "..st-000002-z", 90, 90) = 90',
            b"7 <... fdatasync resumed>) = 0",
            b'8 writev(5<socket:[77]>, [{iov_base="st-000001-z", iov_len=9}], 1) = 9']
    path = tmp_path / "trace"

    def read(*lines):
        path.write_bytes(b"\n".join([*good, *lines]) + b"\n")
        return tracing.Trace(rb"st-\d{6}-z", is_journal).read(path)

    answer = b'8 sendto(5<socket:[77]>, "st-000002-z", 9, 0, NULL, 0) = 9'
    sync = b"8 fdatasync(9</d/journal/1>) = 0"
    assert not read().too_early
    # The sync that was under way when it was written does not cover it.
    assert [one for _, one in read(answer).too_early] == [b"st-000002-z"]
    assert not read(sync, answer).too_early
    assert read(sync.replace(b"= 0", b"= -1 EIO (Input/output error) (INJECTED)"),
                answer).too_early
    assert read(sync.replace(b"journal/1", b"journal/2"), answer).too_early
    assert read(b"8 fdatasync(9</d/journal/1> <unfinished ...>", answer).too_early


def test_strace_an_fsync_that_fails_ends_in_no_answer(make_server, cli, tmp_path, capsys):
    server = make_server("up").start()
    server.stop()
    # How many syncs a start on these data takes, so that the fault comes behind it.
    counted = tmp_path / "counted"
    server.wrap = ["strace", "-D", "-f", "-o", str(counted), "-e", "trace=fdatasync,fsync"]
    server.start()
    server.stop()
    starts = counted.read_text().count("sync(")
    outcomes = []
    for round_, margin in enumerate((10, 25, 60, 30)):
        path = tmp_path / f"trace{round_}"
        # At last without a log: the disk that fails may be the one that holds it.
        server.log_to = "/dev/full" if round_ == 3 else None
        server.wrap = traced(
            path, "-e", f"inject=fdatasync,fsync:error=EIO:when={starts + margin}+")
        server.start()
        answered, behind = submit_until_it_dies(server, f"st-{round_}")
        assert server.process.wait(20) == -signal.SIGABRT, server.log()
        log = server.log()
        server.kill()
        trace = tracing.Trace(rb"st-\d{6}-z", is_journal).read(path)
        assert not trace.too_early, trace.too_early[:5]
        assert trace.failed_syncs >= 1
        assert "panicked" not in log or "sync" in log
        verified = cli("verify", "--json", "--data-dir", server.data_dir).json
        assert verified["ok"] is True
        server.wrap, server.log_to = [], None
        server.start()
        with server.grpc() as client:
            listed = [one["client_order_id"] for one in trading.orders(client)]
            assert len(listed) == len(set(listed))
            assert set(answered) <= set(listed), "an answered order is gone"
            # What was behind the failure may be there, if the disk had it after all; sent again
            # it is one order.
            for name, request in behind.items():
                first = client.call("OrderService", "SubmitOrder", request)
                again = client.call("OrderService", "SubmitOrder", request)
                assert first["order_id"] == again["order_id"]
            trading.settled(client)
        server.stop()
        outcomes.append((len(answered), len(behind)))
    with capsys.disabled():
        print(f"\nfailing fsync: (answered before, refused behind) {outcomes}, aborted each time")


def submit_until_it_dies(server, prefix):
    """Submits one order after another; returns what was answered, and what was not."""
    answered, behind = [], {}
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for i in range(2_000):
            name = f"{prefix}{i:05d}-z"
            request = immediate(name, at)
            try:
                client.call("OrderService", "SubmitOrder", request, seconds=10)
                assert not behind, "an order was answered behind one that failed"
                answered.append(name)
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE,
                                        grpc.StatusCode.DEADLINE_EXCEEDED), error
                behind[name] = request
                if len(behind) == 3:
                    return answered, behind
    raise AssertionError("2,000 orders, and no sync has failed")
