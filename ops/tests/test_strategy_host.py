"""A live strategy is a process of its own: it trades, comes again when it is killed, and ends
with the platform."""

import os
import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest

# Bars are a second long, and the averages need some of them before the strategy acts.
TRADES_SECONDS = 60.0
RESTART_SECONDS = 15.0
END_SECONDS = 10.0

STRATEGY = ["--strategy", "ema-cross", "--param", "fast=2", "--param", "slow=4",
            "--param", "warmup=4", "--param", "act_on=state"]


def wait_for(what, seconds, found):
    """Polls `found` until it gives something that is true, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {seconds} s")


def hosts(pid):
    """The ids of the strategy hosts that the process `pid` has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The command's name may hold spaces and brackets: what follows is behind the last one.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # It ended meanwhile.
        state, parent = fields[0], int(fields[1])
        if parent == pid and b"strategy-host" in arguments and state != "Z":
            found.append(int(folder.name))
    return found


def is_running(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def orders(client):
    """All orders of the strategy, by id."""
    answer = client.call("OrderService", "ListOrders",
                         {"strategy_id": "ema-cross", "page_size": 1000})
    return {order["client_order_id"]: order for order in answer["orders"]}


@pytest.fixture
def trading(make_server):
    with make_server("up", *STRATEGY) as server:
        yield server


def test_a_strategy_trades_in_its_own_process_and_comes_again_when_killed(trading):
    host, = wait_for("strategy host", RESTART_SECONDS, lambda: hosts(trading.pid))
    # What others can read of a process holds no secret: it has no arguments and no environment.
    arguments = (Path("/proc") / str(host) / "cmdline").read_bytes().split(b"\0")
    assert arguments[1:] == [b"strategy-host", b""]
    assert (Path("/proc") / str(host) / "environ").read_bytes() == b""
    with trading.grpc() as client:
        # A busy machine may need more than one attempt of a few milliseconds.
        grpc.channel_ready_future(client.channel).result(RESTART_SECONDS)
        before = wait_for("order of the strategy", TRADES_SECONDS, lambda: orders(client))
        assert all(order["strategy_id"] == "ema-cross" for order in before.values())

        os.kill(host, signal.SIGKILL)
        other, = wait_for("new strategy host", RESTART_SECONDS,
                          lambda: [pid for pid in hosts(trading.pid) if pid != host])
        before = orders(client)
        after = wait_for("order of the new process", TRADES_SECONDS,
                         lambda: {**orders(client)} if len(orders(client)) > len(before) else None)
        new = set(after) - set(before)
        assert new and set(before) <= set(after), "ids go on, none was used twice"
        denied = [order for order in after.values() if order["status"] == "ORDER_STATUS_DENIED"]
        assert not denied, [(order["reason_code"], order["reason"]) for order in denied]
    trading.stop()
    wait_for("end of the strategy host", END_SECONDS, lambda: not is_running(other))


def test_a_strategy_host_ends_when_the_platform_is_killed(trading):
    host, = wait_for("strategy host", RESTART_SECONDS, lambda: hosts(trading.pid))
    os.kill(trading.pid, signal.SIGKILL)
    wait_for("end of the strategy host", END_SECONDS, lambda: not is_running(host))


def test_a_strategy_host_without_configuration_says_what_is_wrong(binary):
    done = subprocess.run([str(binary), "strategy-host"], input=b"{}\n", capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("strategy-host: configuration: "), lines
