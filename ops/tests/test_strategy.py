"""A live strategy: a process of its own, watched, and of no harm to anybody else."""

import os
import signal
from pathlib import Path

import apexlib
import trading
from trading import BTC, resting

# Averages of 2 and 4 seconds cross every few seconds on the simulated market.
LIVE = ("up", "--strategy", "ema-cross", "--param", "fast=2", "--param", "slow=4",
        "--param", "warmup=4")


def hosts(pid):
    """Process ids of the strategy hosts that this process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"strategy-host" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def is_gone(pid):
    """True for a process that has ended, also while nobody has collected it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def strategy_orders(client, more_than=0):
    found = trading.orders(client, strategy_id="ema-cross")
    return found if len(found) > more_than else None


def test_a_live_strategy_trades_in_a_process_of_its_own(make_server):
    server = make_server(*LIVE).start()
    with server.grpc() as client:
        (host,) = apexlib.until("the strategy's process", lambda: hosts(server.pid))
        for one in apexlib.until("its orders", lambda: strategy_orders(client), 90):
            assert one["client_order_id"] and one["strategy_id"] == "ema-cross"
        position = apexlib.until("its position", lambda: [
            one for one in trading.positions(client) if one["strategy_id"] == "ema-cross"], 60)
        assert position
    assert server.stop() == 0
    apexlib.until("the end of its process", lambda: is_gone(host), 10)


def test_a_strategy_that_dies_is_started_again_and_nobody_else_notices(make_server):
    server = make_server(*LIVE).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        (host,) = apexlib.until("the strategy's process", lambda: hosts(server.pid))
        before = apexlib.until("its orders", lambda: strategy_orders(client), 90)
        os.kill(host, signal.SIGKILL)
        client.call("OrderService", "SubmitOrder", resting("meanwhile", at))
        trading.when_order(client, "meanwhile", "ORDER_STATUS_ACCEPTED")
        again = apexlib.until("another process", lambda: [
            one for one in hosts(server.pid) if one != host], 60)
        assert len(again) == 1
        apexlib.until("orders of the new one", lambda: strategy_orders(client, len(before)), 120)
        names = [one["client_order_id"] for one in trading.orders(client)]
        assert len(names) == len(set(names))
        assert server.get("/ready")[0] == 200


def test_kill_with_a_live_strategy_leaves_no_process_and_no_order_twice(make_server, cli):
    server = make_server(*LIVE).start()
    seen = {}
    for _ in range(3):
        with server.grpc() as client:
            (host,) = apexlib.until("the strategy's process", lambda: hosts(server.pid))
            for one in apexlib.until("new orders", lambda: strategy_orders(client, len(seen)), 90):
                seen[one["client_order_id"]] = one["order_id"]
        os.kill(server.pid, signal.SIGKILL)  # Alone: its strategy has to notice by itself.
        apexlib.until("the end of the strategy's process", lambda: is_gone(host), 10)
        server.kill()
        server.start()
        with server.grpc() as client:
            now = trading.orders(client, strategy_id="ema-cross")
            assert len(now) == len({one["client_order_id"] for one in now})
            by_name = {one["client_order_id"]: one["order_id"] for one in now}
            assert {name: by_name.get(name) for name in seen} == seen
            seen = by_name
    server.stop()
    assert cli("verify", "--json", "--data-dir", server.data_dir).json["ok"] is True
