"""A build runs on the schema of a later one, as long as that only added; this build is the older one."""

import pytest

import trading
from trading import BTC, get_order, resting

EXPAND = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname <> 'refinery_schema_history'
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN later_note text,
            ADD COLUMN later_count int8 NOT NULL DEFAULT 7', one.name);
    END LOOP;
END $$;
CREATE TABLE later (later_id int8 PRIMARY KEY);
CREATE INDEX ON journal_frame (written_at);
INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
    VALUES (99, 'later', '2027-01-01T00:00:00Z', '1')
"""


@pytest.fixture
def env(postgres):
    return {"APEX_DATABASE_URL": postgres.url}


def database_of(cli, server, env):
    done = cli("doctor", "--json", "--data-dir", server.data_dir, env=env, check=False)
    return next(check for check in done.json if check["name"] == "database")


def test_orders_are_taken_and_verified_until_a_step_takes_something_away(
        make_server, postgres, cli, env):
    server = make_server("up", env=env).start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("before", at))
    assert server.stop() == 0
    postgres.query(EXPAND)
    assert cli("migrate", "--json", env=env).json["steps"] == []
    server.start()
    with server.grpc() as client:
        assert get_order(client, "before")["client_order_id"] == "before"
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("behind", at))
    server.kill()
    server.start()
    with server.grpc() as client:
        assert get_order(client, "behind")["client_order_id"] == "behind"
        assert "apex_recorder_failing 0" in server.get("/metrics")[1].decode()
    assert server.stop() == 0
    checked = cli("verify", "--json", "--data-dir", server.data_dir, env=env).json
    assert checked["ok"] and checked["records"] > 0
    assert database_of(cli, server, env)["ok"]

    postgres.query("ALTER TABLE journal_account DROP COLUMN owner")
    postgres.query("UPDATE apextrade_schema SET oldest_reader = 99")
    check = database_of(cli, server, env)
    assert not check["ok"] and "version 99" in check["detail"], check
    assert "newer build" in check["fix"], check
    for words in [("up", "--listen", "127.0.0.1:0", "--data-dir", server.data_dir), ("migrate",)]:
        refused = cli(*words, env=env, check=False)
        assert refused.returncode == 1, refused.stdout
        assert "version 99" in refused.stderr and "newer build" in refused.stderr, refused.stderr
