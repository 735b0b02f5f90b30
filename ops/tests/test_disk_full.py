"""A full disk: new orders are refused in clear words, reads and cancels go on, and it works again
when there is space."""

import subprocess
import threading
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, order, resting

# Two segments of the journal (16 MB each), its reserve, the records, and space to take away that is
# enough for a further segment.
DISK_MB = 64
WINDOW = 64


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "data"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", path],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mount is not permitted: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    """Takes all the space that is left."""
    with open(path, "wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"\x01" * block)
            except OSError:
                pass  # No space left, as intended.


def loud(name, at):
    """An order that ends at once and takes much of the journal."""
    return order(name, at.instrument_id, "BUY", at.quantity, at.price("0.9"),
                 time_in_force="TIME_IN_FORCE_IOC", tags="x" * 256)


# What a flood meets on a fast machine, whatever its disk.
TOO_FAST = ("OVERLOADED", "ORDER_RATE")


def submit_until_full(client, at):
    """Submits until the journal has no space. Returns the answered ids and a refusal."""
    answered, refusals, full = [], [], threading.Event()
    room = threading.Semaphore(WINDOW)

    def done(pending):
        try:
            answered.append(pending.result()["client_order_id"])
        except grpc.RpcError as error:
            refusals.append(error)
            if reason_of(error) not in TOO_FAST:
                full.set()
        room.release()

    for i in range(200_000):
        assert room.acquire(timeout=60), "no answer for a minute"
        if full.is_set():
            break
        client.future("OrderService", "SubmitOrder", loud(f"full-{i}", at),
                      seconds=60).when_done(done)
    else:
        raise AssertionError("200,000 orders went into a full disk")
    for _ in range(WINDOW - 1):
        assert room.acquire(timeout=60)
    return answered, [one for one in refusals if reason_of(one) not in TOO_FAST]


def reason_of(error):
    return apexlib.error_details(error).get("ErrorInfo", {}).get("reason", "")


def check_refusal(error):
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED), error
    words = error.details().lower()
    assert "disk" in words or "space" in words or "full" in words, error.details()
    assert reason_of(error)


def test_a_full_disk_refuses_orders_keeps_the_rest_going_and_recovers(
        make_server, small_disk, cli, capsys):
    server = make_server("up", data_dir=small_disk).start()
    pid, filler = server.pid, small_disk / ".filler"
    with server.grpc() as client:
        at = trading.market(client, BTC)
        keep = [f"keep-{i}" for i in range(20)]
        for name in keep:
            client.call("OrderService", "SubmitOrder", resting(name, at))
        for name in keep:
            trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
        fill(filler)
        answered, refusals = submit_until_full(client, at)
        for error in refusals:
            check_refusal(error)

        # It stays so, for amends too, and says so.
        for i in range(5):
            with pytest.raises(grpc.RpcError) as refusal:
                client.call("OrderService", "SubmitOrder", loud(f"after-{i}", at))
            check_refusal(refusal.value)
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "AmendOrder", {
                "account_id": ACCOUNT, "client_order_id": keep[0], "request_id": "amend-full",
                "limit_price": at.price("0.91")})
        check_refusal(refusal.value)
        assert server.get("/health")[0] == 200
        # The audit has less space ahead than the account's journal, and is the first to have none.
        status, body = server.get("/ready")
        assert status == 503 and b"free disk space" in body, body

        # Reads and cancels go on.
        assert trading.get_order(client, keep[1])["status"] == "ORDER_STATUS_ACCEPTED"
        assert len(trading.orders(client, working_only=True)) == len(keep)
        for name in keep[:10]:
            client.call("OrderService", "CancelOrder",
                        {"account_id": ACCOUNT, "client_order_id": name})
        for name in keep[:10]:
            trading.when_order(client, name, "ORDER_STATUS_CANCELED")
        ticks = client.stream("MarketDataService", "Subscribe", {"instrument_ids": [BTC]})
        next(ticks)
        ticks.cancel()

        # Space again: it works without a restart.
        filler.unlink()

        def works():
            try:
                return client.call("OrderService", "SubmitOrder", resting("again", at))
            except grpc.RpcError as error:
                check_refusal(error)
                return None

        assert Decimal(apexlib.until("orders to be taken again", works)["quantity"]) == at.quantity
        trading.when_order(client, "again", "ORDER_STATUS_ACCEPTED")
        assert server.wait_ready() is None and server.pid == pid
        assert trading.account(client)["journal"] == "JOURNAL_HEALTH_READY"
        before = {one["client_order_id"]: one for one in settled_all(client)}
    server.restart()
    with server.grpc() as client:
        after = {one["client_order_id"]: one for one in trading.orders(client)}
        assert len(after) == len(trading.orders(client))
        lost = [name for name in [*answered, *keep, "again"] if name not in after]
        assert not lost, f"{len(lost)} orders are gone, {lost[:3]}"
        changed = [name for name, one in before.items() if one["status"] in trading.DONE
                   and one != after[name]]
        assert not changed, (before[changed[0]], after[changed[0]])
        assert all(after[name]["status"] == "ORDER_STATUS_CANCELED" for name in keep[:10])
        assert all(after[name]["status"] == "ORDER_STATUS_ACCEPTED" for name in keep[10:])
    server.stop()
    assert cli("verify", "--json", "--data-dir", server.data_dir).json["ok"] is True
    with capsys.disabled():
        print(f"\nfull disk: {len(answered)} orders answered before, none lost")


def settled_all(client):
    trading.settled(client)
    return trading.orders(client)


def test_a_disk_that_is_full_at_the_start_is_said_in_one_line_or_served_read_only(
        make_server, small_disk):
    server = make_server("up", data_dir=small_disk)
    fill(small_disk / ".filler")
    with pytest.raises(AssertionError, match="ended with 1 before it was ready") as refusal:
        server.start(ready_seconds=20)
    said = [line for line in str(refusal.value).splitlines() if line.startswith("apextrade: ")]
    assert len(said) == 1
    (small_disk / ".filler").unlink()
    server.start()
