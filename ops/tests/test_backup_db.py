"""Backups of databases from outside: taken under orders, restored into empty ones, traded on there;
and what a killed restore and a wrong setting leave."""

import itertools
import os
import signal
import subprocess
import threading

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, order, resting

SECRET = "a-secret-of-the-test"

# A restore waits in the middle: with the last of its tables.
SLOW = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(300); RETURN NEW; END $$;
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF to_regclass('journal_account') IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgname = 'slow') THEN
        CREATE TRIGGER slow BEFORE INSERT ON journal_account FOR EACH ROW EXECUTE FUNCTION wait();
    END IF;
END $$;
CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION slow();
"""

# A restore waits behind all of its rows: with the first mark of a database that it takes away.
SLOW_END = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(300); END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION slow();
"""


class Databases:
    """A pair of databases of one server, of journals and of series, and their settings."""

    def __init__(self, postgres, name):
        self.postgres, self.names = postgres, (name, f"{name}_series")
        for one in self.names:
            postgres.query(f"CREATE DATABASE {one}", "postgres")

    def url(self, name):
        return f"{self.postgres.url.rsplit('/', 1)[0]}/{name}"

    @property
    def env(self):
        journals, series = map(self.url, self.names)
        return {"APEX_DATABASE_URL": journals, "APEX_TIMESCALE_URL": series}

    def rows(self, table, which=0):
        return self.postgres.query(f"SELECT t::text FROM {table} AS t ORDER BY 1", self.names[which])


class Orders:
    """A client that submits orders until it is stopped, and remembers the answered ones."""

    def __init__(self, server, at):
        self.server, self.at = server, at
        self.answered, self.failed = [], None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        apexlib.until("twenty orders", lambda: len(self.answered) >= 20 or self.failed, 60)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "the client hangs"
        assert self.failed is None, self.failed

    def _run(self):
        try:
            with self.server.grpc() as client:
                for number in itertools.count():
                    if self.stopping.wait(0.02):
                        return
                    name = f"load-{number}"
                    request = (resting(name, self.at) if number % 3
                               else order(name, BTC, "BUY", self.at.quantity))
                    client.call("OrderService", "SubmitOrder", request)
                    self.answered.append(name)
        except Exception as error:  # noqa: BLE001: told by the test's own thread.
            self.failed = error


@pytest.fixture
def source(postgres):
    return Databases(postgres, "source")


def test_a_running_platform_is_backed_up_and_goes_on_from_other_databases(
        make_server, venue, source, postgres, cli, tmp_path):
    place = tmp_path / "place"
    server = make_server("up", "--venue", venue.address, env=source.env).start()

    def take():
        return cli("backup", "--to", place, "--data-dir", server.data_dir, "--json",
                   env=source.env).json

    def restore(name, backup):
        """Into an empty pair of databases; returns it and the folder."""
        to, folder = Databases(postgres, name), tmp_path / f"{name}-data"
        said = cli("restore", "--from", place, "--data-dir", folder, "--backup", backup["backup"],
                   "--json", env=to.env).json
        checked = cli("verify", "--data-dir", folder, "--json", env=to.env).json
        assert said["state_hash"] == checked["state_hash"] == backup["state_hash"]
        assert checked["ok"] and said["accounts"] == backup["accounts"]
        return to, folder

    with server.grpc() as client:
        at = trading.market(client, BTC)
        trades = {"instrument_id": BTC}
        apexlib.until("recorded trades", lambda: trading.pages(
            client, "MarketDataService", "GetTrades", "trades", trades), 60)
    with Orders(server, at) as orders:
        before = list(orders.answered)
        running = take()
    under_load, loaded = restore("under_load", running)
    known, grown = (set(one.rows("journal_frame").splitlines()) for one in (under_load, source))
    assert known and known <= grown

    with server.grpc() as client:
        trading.settled(client)
        account = trading.account(client)
    assert server.stop() == 0
    stopped = take()
    assert stopped["known_bytes"] > 0
    again = take()
    assert again["copied_bytes"] == 0 and again["state_hash"] == stopped["state_hash"], again
    to, folder = restore("stopped", stopped)
    for table in ("journal_frame", "journal_snapshot", "journal_account", "record"):
        assert to.rows(table) == source.rows(table), table
    for table in ("series_stream", "series_trade", "series_rolled", "series_day"):
        assert to.rows(table, 1) == source.rows(table, 1), table
    assert to.rows("series_trade", 1)

    # The platform goes on there, with all that was answered, and trades.
    there = make_server("up", "--venue", venue.address, env=to.env, data_dir=folder).start()
    with there.grpc() as client:
        found = trading.account(client)
        for key in ("cash", "orders", "working_orders"):
            assert found[key] == account[key], key
        for name in before:
            assert trading.get_order(client, name)["client_order_id"] == name
        client.call("OrderService", "SubmitOrder", order("there", BTC, "BUY", at.quantity))
        trading.when_order(client, "there", "ORDER_STATUS_FILLED")
    assert there.stop() == 0

    # What was answered before the backup under load began is in it: as of then, so that what the venue
    # tells at the start does not count.
    early = make_server("up", "--venue", venue.address, env=under_load.env, data_dir=loaded).start()
    with early.grpc() as client:
        for name in before:
            found = client.call("OrderService", "GetOrder", {
                "account_id": ACCOUNT, "client_order_id": name, "as_of_ns": running["begun_ns"]})
            assert found["client_order_id"] == name
        with pytest.raises(grpc.RpcError) as later:
            client.call("OrderService", "GetOrder", {
                "account_id": ACCOUNT, "client_order_id": orders.answered[-1],
                "as_of_ns": running["begun_ns"]})
        assert later.value.code() == grpc.StatusCode.NOT_FOUND
    assert early.stop() == 0
    listed = cli("backup", "list", "--to", place, "--json").json["backups"]
    assert [one["backup"] for one in listed] == [one["backup"] for one in (running, stopped, again)]
    for one in listed:
        assert (one["kind"], one["error"]) == ("database", None) and one["schema"] >= 4
        assert [it["account_id"] for it in one["accounts"]] == [ACCOUNT]


def filled(make_server, source, cli, place):
    """A place with a backup of a short run."""
    server = make_server("up", env=source.env).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for number in range(5):
            client.call("OrderService", "SubmitOrder", resting(f"kept-{number}", at))
    assert server.stop() == 0
    cli("backup", "--to", place, "--data-dir", server.data_dir, env=source.env)
    return server


@pytest.mark.parametrize(("which", "slow", "waits", "is_filled"), [
    (0, SLOW, "COPY journal_account%", False),
    (1, SLOW_END, "DROP TABLE restore_unfinished%", True),
], ids=["before the last rows", "behind the last rows"])
def test_nothing_starts_on_what_a_killed_restore_left(
        make_server, source, postgres, binary, cli, tmp_path, which, slow, waits, is_filled):
    place, folder = tmp_path / "place", tmp_path / "half"
    filled(make_server, source, cli, place)
    half = Databases(postgres, "half")
    postgres.query(slow, half.names[which])
    restoring = subprocess.Popen(
        [binary, "restore", "--from", place, "--data-dir", folder],
        env=apexlib.environment(half.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    apexlib.until("the last table", lambda: postgres.query(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        f"AND query LIKE '{waits}'", "postgres") == "1", 60)
    os.kill(restoring.pid, signal.SIGKILL)
    restoring.wait(30)
    assert bool(half.rows("journal_frame")) == is_filled
    assert not is_filled or half.rows("journal_frame") == source.rows("journal_frame")

    for data_dir in (folder, tmp_path / "another"):
        data_dir.mkdir(exist_ok=True)
        for command in (["up", "--listen", "127.0.0.1:0"], ["verify"], ["backup", "--to", place]):
            refused = cli(*command, "--data-dir", data_dir, env=half.env, check=False)
            assert refused.returncode == 1, command
            assert "restore" in refused.stderr and "did not end" in refused.stderr, refused.stderr
    again = cli("restore", "--from", place, "--data-dir", tmp_path / "third", env=half.env,
                check=False)
    assert again.returncode == 1, again.stdout
    assert "drop it, make it anew and restore again" in again.stderr, again.stderr
    assert "APEX_DATABASE_URL" in again.stderr
    assert not (tmp_path / "third").exists()

    postgres.cut()
    for name in half.names:
        postgres.query(f"DROP DATABASE {name} WITH (FORCE)", "postgres")
    anew = Databases(postgres, "half")
    cli("restore", "--from", place, "--data-dir", tmp_path / "third", env=anew.env)
    assert anew.rows("journal_frame") == source.rows("journal_frame")


def test_a_wrong_setting_is_named_and_no_secret_is_told(
        make_server, source, postgres, cli, tmp_path):
    place = tmp_path / "place"
    server = filled(make_server, source, cli, place)
    hba = postgres.folder / "data" / "pg_hba.conf"
    hba.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    postgres.query(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'", "postgres")
    postgres.query("SELECT pg_reload_conf()", "postgres")
    wrong = source.env["APEX_DATABASE_URL"].replace("apex@", f"guarded:{SECRET}-not@")
    empty = Databases(postgres, "empty").env
    for variable in ("APEX_DATABASE_URL", "APEX_TIMESCALE_URL"):
        name = source.env[variable].rsplit("/", 1)[1]
        url = wrong.rsplit("/", 1)[0] + "/" + name
        for command, env in (
                (["backup", "--to", place, "--data-dir", server.data_dir],
                 {**source.env, variable: url}),
                (["restore", "--from", place, "--data-dir", tmp_path / "new"],
                 {**empty, variable: url}),
                (["backup", "--to", place, "--data-dir", server.data_dir],
                 {**source.env, variable: f"no url with {SECRET}"})):
            refused = cli(*command, env=env, check=False)
            assert refused.returncode == 1 and variable in refused.stderr, refused.stderr
            assert SECRET not in refused.stderr + refused.stdout
    assert not (tmp_path / "new").exists()

    # A backup of databases needs some, and they are empty.
    without = cli("restore", "--from", place, "--data-dir", tmp_path / "new", check=False)
    assert without.returncode == 1 and "APEX_DATABASE_URL is not set" in without.stderr
    same = cli("restore", "--from", place, "--data-dir", tmp_path / "new", env=source.env,
               check=False)
    assert same.returncode == 1 and "is not empty" in same.stderr, same.stderr
    assert "APEX_DATABASE_URL" in same.stderr and not (tmp_path / "new").exists()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for command in (["verify"], ["backup", "--to", place]):
        nothing = cli(*command, "--data-dir", fresh, env=empty, check=False)
        assert nothing.returncode == 1, nothing.stdout
    assert "has no journal of an account" in nothing.stderr, nothing.stderr


def test_a_folder_is_backed_up_with_its_own_database_alone(
        make_server, source, postgres, cli, tmp_path):
    place, never = tmp_path / "place", tmp_path / "never"
    server = filled(make_server, source, cli, place)
    another = Databases(postgres, "another")
    other = make_server("up", env=another.env, data_dir=tmp_path / "of-another").start()
    assert other.stop() == 0
    never.mkdir()
    name = source.env["APEX_DATABASE_URL"].split("@")[1]
    for folder, used in ((other.data_dir, another.env["APEX_DATABASE_URL"].split("@")[1]),
                         (never, "never used with a database")):
        refused = cli("backup", "--to", place, "--data-dir", folder, env=source.env, check=False)
        assert refused.returncode == 1, refused.stdout
        assert used in refused.stderr and name in refused.stderr, refused.stderr
        assert "--data-dir" in refused.stderr and "APEX_DATABASE_URL" in refused.stderr
    assert len(cli("backup", "list", "--to", place, "--json").json["backups"]) == 1
    cli("backup", "--to", place, "--data-dir", server.data_dir, env=source.env)


def test_the_folder_of_the_venue_is_backed_up_without_the_databases(
        make_server, venue, source, cli, tmp_path):
    place, of_venue = tmp_path / "place", tmp_path / "of-venue"
    server = filled(make_server, source, cli, place)
    assert (venue.data_dir / "venue.jsonl").is_file()
    taken = cli("backup", "--to", of_venue, "--data-dir", venue.data_dir, "--json",
                env=source.env).json
    assert taken["accounts"] == []
    listed = cli("backup", "list", "--to", of_venue, "--json").json["backups"]
    assert [(one["kind"], one["schema"]) for one in listed] == [("folder", None)]
    restored = tmp_path / "venue-again"
    cli("restore", "--from", of_venue, "--data-dir", restored, env=source.env)
    assert (restored / "venue.jsonl").is_file()
    assert (server.data_dir / "database").is_file()


def test_migrate_takes_the_database_of_series_too(postgres, cli):
    pair = Databases(postgres, "old")
    steps = cli("migrate", "--json", env=pair.env).json["steps"]
    of_series = [step for step in steps if step.endswith(" of time series")]
    assert len(of_series) == len(steps) // 2 > 0, steps
    assert pair.rows("refinery_schema_history", 1)
    assert cli("migrate", "--json", env=pair.env).json["steps"] == []
    alone = Databases(postgres, "alone").env
    steps = cli("migrate", "--json", env={"APEX_TIMESCALE_URL": alone["APEX_TIMESCALE_URL"]}).json
    assert steps["steps"] == of_series


def test_series_are_left_out_of_no_backup_by_a_setting_that_was_lost(
        make_server, source, postgres, cli, tmp_path):
    place = tmp_path / "place"
    server = filled(make_server, source, cli, place)
    journals, series = (source.env[key].split("@")[1]
                        for key in ("APEX_DATABASE_URL", "APEX_TIMESCALE_URL"))
    another = Databases(postgres, "another").env["APEX_TIMESCALE_URL"]
    without = {"APEX_DATABASE_URL": source.env["APEX_DATABASE_URL"]}
    for env, named in ((without, journals),
                       ({**without, "APEX_TIMESCALE_URL": another}, another.split("@")[1])):
        refused = cli("backup", "--to", place, "--data-dir", server.data_dir, env=env, check=False)
        assert refused.returncode == 1, refused.stdout
        for said in (series, named, "APEX_TIMESCALE_URL"):
            assert said in refused.stderr, refused.stderr
    taken = cli("backup", "--to", place, "--data-dir", server.data_dir, "--json",
                env=source.env).json
    said = [(one["holds"], one["name"]) for one in taken["databases"]]
    assert said == [("journals", journals), ("series", series)]
    assert taken["databases"][0]["rows"] > 5

    # A database that the backup has nothing for is empty as well, and what came back says where it is.
    to = Databases(postgres, "target")
    postgres.query("CREATE TABLE mine (a int)", to.names[1])
    folder = tmp_path / "restored"
    refused = cli("restore", "--from", place, "--data-dir", folder, env=to.env, check=False)
    assert refused.returncode == 1 and "APEX_TIMESCALE_URL" in refused.stderr, refused.stderr
    postgres.query("DROP TABLE mine", to.names[1])
    cli("restore", "--from", place, "--data-dir", folder, env=to.env)
    cli("backup", "--to", tmp_path / "of-restored", "--data-dir", folder, env=to.env)
