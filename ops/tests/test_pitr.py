"""The database brought back to an earlier moment, while the venue went on: what the platform finds
out from the venue, what it never sends again, and how much a lost machine takes with it."""

import shutil
import time

import grpc
import pytest

import apexlib
import trading
from archive import Archive
from postgres import programs
from test_postgres_faults import Load, reason_of
from trading import ACCOUNT, BTC, order, resting

POINT = "before the mistake"
FORCE = "--take-over-without-reserve"


@pytest.fixture
def archive():
    if programs() is None:
        pytest.skip("PostgreSQL's server is not installed")
    one = Archive()
    yield one
    one.close()


@pytest.fixture
def took(capsys):
    """Measures steps, and prints them at the end."""
    seconds = {}

    def measure(name, step):
        begun = time.monotonic()
        outcome = step()
        seconds[name] = round(time.monotonic() - begun, 2)
        return outcome

    yield measure
    with capsys.disabled():
        print(f"\nseconds: {seconds}")


def submit(client, request, status):
    client.call("OrderService", "SubmitOrder", request)
    return trading.when_order(client, request["client_order_id"], status)


def cancel(client, name):
    client.call("OrderService", "CancelOrder", {"account_id": ACCOUNT, "client_order_id": name})
    trading.when_order(client, name, "ORDER_STATUS_CANCELED")


def reconciliation(client):
    return client.call("AccountService", "GetReconciliation", {"account_id": ACCOUNT})


def when_reconciled(client):
    return apexlib.until("an account that agrees with its venue", lambda: (
        lambda found: found if found["reconciled"] else None)(reconciliation(client)), 60)


def cash_of(client):
    return {name: trading.Decimal(value) for name, value in trading.account(client)["cash"].items()}


def check_holdings(client, truth, cash_before):
    """Executions, positions and cash are the venue's, whoever's orders they were."""
    booked = {one["exec_id"]: (one["client_order_id"], trading.Decimal(one["last_quantity"]),
                               trading.Decimal(one["last_price"]), trading.Decimal(one["fee"]))
              for one in trading.executions(client)}
    assert booked == truth.executions()
    quantities, changes = truth.positions_and_cash()
    held = {}
    for one in trading.positions(client):
        name = one["instrument_id"]
        held[name] = held.get(name, 0) + trading.Decimal(one["quantity"])
    assert {k: v for k, v in held.items() if v} == {k: v for k, v in quantities.items() if v}
    cash = cash_of(client)
    for currency, change in changes.items():
        assert cash[currency] == cash_before.get(currency, 0) + change, currency


def refused(client, request):
    with pytest.raises(grpc.RpcError) as refusal:
        client.call("OrderService", "SubmitOrder", request)
    return refusal.value


class Before:
    """An account with a past: orders of each kind before the point, and what became of them, and
    of others, behind it."""

    def __init__(self, client, at, archive, primary, took):
        self.at, self.cash = at, cash_of(client)
        submit(client, order("early-fill", BTC, "BUY", 3 * at.quantity), "ORDER_STATUS_FILLED")
        submit(client, resting("early-rest", at), "ORDER_STATUS_ACCEPTED")
        took("base backup", lambda: archive.back_up(primary))
        for name in ("kept", "canceled-later", "amended-later"):
            submit(client, resting(name, at), "ORDER_STATUS_ACCEPTED")
        primary.query(f"SELECT pg_create_restore_point('{POINT}')", "postgres")
        self.account = trading.account(client)
        self.known = {one["client_order_id"] for one in trading.orders(client)}
        submit(client, order("late-fill", BTC, "BUY", 2 * at.quantity), "ORDER_STATUS_FILLED")
        submit(client, resting("late-rest", at), "ORDER_STATUS_ACCEPTED")
        submit(client, resting("late-gone", at), "ORDER_STATUS_ACCEPTED")
        cancel(client, "late-gone")
        cancel(client, "canceled-later")
        client.call("OrderService", "AmendOrder", {
            "account_id": ACCOUNT, "client_order_id": "amended-later", "request_id": "amend-1",
            "quantity": str(2 * at.quantity)})
        apexlib.until("the amend", lambda: trading.Decimal(
            trading.get_order(client, "amended-later")["quantity"]) == 2 * at.quantity)
        self.late = trading.account(client)


@pytest.mark.parametrize("folder", ["the same", "a fresh"])
def test_a_recovered_platform_agrees_with_its_venue_and_sends_nothing_twice(
        make_server, venue, archive, cli, took, folder, tmp_path):
    primary = archive.primary()
    env = {"APEX_DATABASE_URL": primary.url}
    server = make_server("up", "--venue", venue.address, env=env).start()
    with server.grpc() as client:
        before = Before(client, trading.market(client, BTC), archive, primary, took)
    archive.wait_for_all(primary)
    server.stop()
    primary.kill()
    taken = set(venue.truth([before.at]).taken)

    back = took("recovery", lambda: archive.recovered(name=POINT))
    env = {"APEX_DATABASE_URL": back.url}
    data_dir = server.data_dir if folder == "the same" else None
    if data_dir:
        audit_ahead(cli, data_dir, env, tmp_path)
    # Another folder lacks what the one before may hold from while the server was away.
    forced = () if data_dir else (FORCE,)
    again = make_server("up", "--venue", venue.address, *forced, env=env, data_dir=data_dir)
    took("start", again.start)
    with again.grpc() as client:
        took("reconciled", lambda: when_reconciled(client))
        why = "may have a reserve" if forced else "late-fill is of no order of this account"
        check_adopted(client, before, why)
        check_holdings(client, venue.truth([before.at]), before.cash)
        check_ids(client, before, resting("late-rest", before.at))
        assert set(venue.truth([before.at]).taken) == taken, "something was sent again"
        go_on(client, before, cli, again)
        truth = venue.truth([before.at])  # Asserts that the venue took no order twice.
        assert set(truth.taken) == taken | {"fresh"} and not truth.refused, truth.refused
        check_holdings(client, truth, before.cash)
    again.stop()
    checked = cli("verify", "--json", "--data-dir", again.data_dir, env=env).json
    assert checked["ok"] and checked["first_bad"] is None, checked


def audit_ahead(cli, data_dir, env, tmp_path):
    """The checkpoints of the audit in the data folder are of records that are gone: `verify` names
    the place, and they are put aside as docs/guide/backup.md says."""
    told = cli("verify", "--json", "--data-dir", data_dir, env=env, check=False)
    bad = told.json["audit"]["first_bad"]
    assert told.returncode == 1 and "its end was cut off" in bad["reason"], told.json
    aside = tmp_path / "audit checkpoints behind the point"
    aside.mkdir()
    checkpoints = list((data_dir / "objects").glob("**/audit/**/*-*"))
    behind = [path for path in checkpoints
              if path.is_file() and int(path.name.split("-")[0]) >= bad["sequence"]]
    assert behind, checkpoints
    for path in behind:
        shutil.move(path, aside / path.name)
    assert cli("verify", "--json", "--data-dir", data_dir, env=env).json["ok"]


def check_adopted(client, before, why):
    """What the venue told: of known orders their ends and terms, of others their fills, which halt
    an account that is not halted yet, and those that work there as foreign ones."""
    known = {one["client_order_id"]: one for one in trading.orders(client)}
    assert set(known) == before.known
    assert {name: known[name]["status"].removeprefix("ORDER_STATUS_") for name in known} == {
        "early-fill": "FILLED", "early-rest": "ACCEPTED", "kept": "ACCEPTED",
        "canceled-later": "CANCELED", "amended-later": "ACCEPTED"}
    assert trading.Decimal(known["amended-later"]["quantity"]) == 2 * before.at.quantity
    account = trading.account(client)
    assert account["trading_state"] == "TRADING_STATE_HALTED", account
    changes = trading.pages(client, "RiskService", "ListTradingStateChanges", "changes",
                            {"account_id": ACCOUNT})
    assert any(why in one["reason"] for one in changes), changes
    assert [one["client_order_id"] for one in reconciliation(client)["foreign_orders"]] == [
        "late-rest"]


def check_ids(client, before, *more):
    """No id that the venue has from behind the point leaves again, whoever asks for it."""
    for request in (order("late-fill", BTC, "BUY", 2 * before.at.quantity),
                    order("late-fill", BTC, "SELL", before.at.quantity),
                    *more):
        error = refused(client, request)
        assert reason_of(error) == "CLIENT_ORDER_ID_REUSED", error
        assert "is used at the venue" in error.details()


def go_on(client, before, cli, server):
    """As an operator does once it was looked at."""
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    cli("accounts", "cancel-foreign", "--all", "--reason", "of before the recovery", *link)
    apexlib.until("no foreign order", lambda: not reconciliation(client).get("foreign_orders"), 90)
    client.call("RiskService", "Resume", {"account_id": ACCOUNT, "request_id": "resume-1",
                                          "reason": "compared with the venue"})
    check_ids(client, before)
    submit(client, order("fresh", BTC, "SELL", before.at.quantity), "ORDER_STATUS_FILLED")


@pytest.mark.parametrize("way", ["archived", "streamed"])
def test_what_a_lost_machine_takes_with_it(make_server, venue, archive, took, capsys, way):
    """The primary is killed under load and its disk never seen again: what the archive has is what
    there is. Streamed, no answered order is lost."""
    primary = archive.primary()
    if way == "streamed":
        archive.receive(primary, "receiver")
    server = make_server("up", "--venue", venue.address,
                         env={"APEX_DATABASE_URL": primary.url}).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        cash = cash_of(client)
        archive.back_up(primary)
        with Load(server, at) as load:
            apexlib.until("a stream of orders", lambda: len(load.answered) > 200, 60)
            primary.kill()
            server.kill()
    answered = set(load.answered)
    shutil.rmtree(primary.folder)

    back = took("recovery", archive.recovered)
    again = make_server("up", "--venue", venue.address, FORCE, env={"APEX_DATABASE_URL": back.url})
    took("start", again.start)
    with again.grpc() as client:
        when_reconciled(client)
        known = {one["client_order_id"] for one in trading.orders(client)}
        lost = answered - known
        truth = venue.truth([at])
        check_holdings(client, truth, cash)
        if way == "streamed":
            assert not lost, sorted(lost)
        else:
            assert lost & set(truth.taken), "the venue has orders that went with the machine"
        # None of them leaves a second time.
        for name in sorted(lost & set(truth.taken))[:20]:
            assert reason_of(refused(client, resting(name, at))) == "CLIENT_ORDER_ID_REUSED"
        assert set(venue.truth([at]).taken) == set(truth.taken)
    with capsys.disabled():
        print(f"\n{way}: {len(answered)} answered, {len(lost)} of them lost")
