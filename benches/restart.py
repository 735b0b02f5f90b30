"""How long a node takes from its start to ready with a journal of many orders, after a kill.

    .venv/bin/python benches/restart.py [--orders 100000] [--starts 30] [--backend folder|postgres]

The binary is `APEXTRADE_BIN`, by default target/fast/apextrade. Orders are sent over gRPC, most of
them trade or end at once and some hundreds rest; then the node is killed and started again and
again, each time until `/ready` answers 200. Between two kills a few orders come, so that no start
finds exactly what the one before left. The baseline of the same run is the start on an empty place.
PostgreSQL is one of its own, started here.
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "ops" / "tests"))

import apexlib  # noqa: E402
import trading  # noqa: E402
from postgres import Postgres  # noqa: E402

CLIENTS, UNDER_WAY = 4, 64
RESTING = 200
BETWEEN = 20


def send(server, at, names):
    """Submits orders by some clients at once; each is answered when this returns."""
    failures = []

    def run(mine):
        try:
            with server.grpc() as client:
                under_way = []
                for name, resting in mine:
                    # Far from the market and at once or never: ended by the venue.
                    request = trading.resting(name, at) if resting else trading.order(
                        name, at.instrument_id, "BUY", at.quantity, at.price("0.90"),
                        time_in_force="TIME_IN_FORCE_IOC")
                    under_way.append(client.future("OrderService", "SubmitOrder", request,
                                                   seconds=60))
                    if len(under_way) == UNDER_WAY:
                        under_way.pop(0).result()
                for pending in under_way:
                    pending.result()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(names[n::CLIENTS],)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def started(server):
    begun = time.monotonic()
    server.start(ready_seconds=120)
    return time.monotonic() - begun


def figures(seconds):
    ordered = sorted(seconds)
    at = lambda share: ordered[min(int(len(ordered) * share), len(ordered) - 1)]  # noqa: E731
    return (f"p50 {at(0.5):.3f} s, p99 {at(0.99):.3f} s "
            f"({ordered[0]:.3f} to {ordered[-1]:.3f}, {len(ordered)} starts)")


def measure(binary, backend, count, starts, folder):
    database = Postgres() if backend == "postgres" else None
    env = {"APEX_DATABASE_URL": database.url} if database else {}
    server = apexlib.Server(binary, folder / "data", ("up",), env=env, name=backend)
    server.data_dir.mkdir()
    try:
        empty = started(server)
        with server.grpc() as client:
            at = trading.market(client, trading.BTC)
            found = client.call("RiskService", "GetLimits", {"account_id": trading.ACCOUNT})
            # Unset is no limit: what is measured is the start, not how fast orders come.
            limits = {key: value for key, value in found.items() if not key.startswith("max_")}
            client.call("RiskService", "SetLimits", {
                "account_id": trading.ACCOUNT, "request_id": "bench", "limits": limits})
        begun = time.monotonic()
        every = max(count // RESTING, 1)
        send(server, at, [(f"order-{n}", n % every == 0) for n in range(count)])
        took = time.monotonic() - begun
        print(f"{backend}: {count} orders in {took:.1f} s, {count / took:.0f} a second; "
              f"start on an empty place {empty:.3f} s", flush=True)
        seconds = []
        for number in range(starts):
            server.kill()
            seconds.append(started(server))
            with server.grpc() as client:
                known = client.call("AccountService", "GetAccount",
                                    {"account_id": trading.ACCOUNT})["orders"]
            assert int(known) == count + number * BETWEEN, (known, count, number)
            send(server, at, [(f"between-{number}-{n}", False) for n in range(BETWEEN)])
        print(f"{backend}: kill to ready with {count} orders: {figures(seconds)}", flush=True)
    finally:
        server.kill()
        if database:
            database.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--backend", choices=("folder", "postgres"), action="append")
    arguments = parser.parse_args()
    binary = os.environ.get("APEXTRADE_BIN", ROOT / "target" / "fast" / "apextrade")
    for backend in arguments.backend or ("folder", "postgres"):
        folder = Path(tempfile.mkdtemp(prefix="apex-restart-"))
        try:
            measure(binary, backend, arguments.orders, arguments.starts, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
