"""The platform on all of its servers at once: PostgreSQL for journals and records, another database
for time series, Redis and S3. What comes out is what comes out of a data folder."""

import pytest

import apexlib
import redisserver
import trading
from s3server import S3Server
from trading import ACCOUNT, BTC, resting

RECORDING = "capture/binance-spot/btcusdt_20240808.gz"
SECRETS = (redisserver.PASSWORD, "a-secret-of-the-test")


@pytest.fixture
def servers(postgres, tmp_path):
    """The settings that name them."""
    redisserver.installed()
    redis = redisserver.RedisServer(tmp_path).start()
    s3 = S3Server("apex").start()
    postgres.query("CREATE DATABASE series", "postgres")
    series = postgres.url.rsplit("/", 1)[0] + "/series"
    yield s3, {"APEX_DATABASE_URL": postgres.url, "APEX_TIMESCALE_URL": series,
               "APEX_REDIS_URL": redis.url, **s3.settings}
    redis.crash()
    s3.kill()


def test_the_main_job_has_the_same_state_as_in_a_folder(cli, servers, test_data, tmp_path):
    _, settings = servers

    def run(name, env):
        data_dir = tmp_path / name
        data_dir.mkdir()
        said = cli("up", "--replay", test_data / RECORDING, "--speed", "max", "--exit-at-end",
                   "--strategy", "ema-cross", "--json", "--data-dir", data_dir,
                   "--listen", "127.0.0.1:0", seconds=240, env=env)
        checked = cli("verify", "--json", "--data-dir", data_dir, env=env).json
        return said, checked

    in_folder, folder_checked = run("folder", {})
    on_servers, servers_checked = run("servers", settings)
    for key in ("state_hash", "journal_records", "orders", "fills", "instruments"):
        assert on_servers.json[key] == in_folder.json[key], key
    assert in_folder.json["fills"] > 0
    assert servers_checked["ok"] and folder_checked["ok"]
    assert servers_checked["state_hash"] == on_servers.json["state_hash"]
    assert not (tmp_path / "servers" / "journal").exists()
    assert not any(secret in on_servers.stderr for secret in SECRETS), on_servers.stderr


def test_orders_stand_after_a_kill_and_the_audit_has_its_checkpoints_on_s3(
        make_server, venue, servers, cli):
    s3, settings = servers
    server = make_server("up", "--venue", venue.address, env=settings)
    server.start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for number in range(5):
            client.call("OrderService", "SubmitOrder", resting(f"kept-{number}", at))
        before = client.call("AccountService", "GetAccount", {"account_id": ACCOUNT})
    server.kill()
    server.start()
    with server.grpc() as client:
        for number in range(5):
            order = trading.get_order(client, f"kept-{number}")
            assert order["client_order_id"] == f"kept-{number}"
        after = client.call("AccountService", "GetAccount", {"account_id": ACCOUNT})
        for key in ("cash", "orders", "working_orders"):
            assert after[key] == before[key], key
        audited = list(trading.pages(client, "AuditService", "ListAuditRecords", "records",
                                     {"action": "SubmitOrder"}))
        assert len(audited) == 5
    server.stop()
    listed = s3.ask("GET", f"/{s3.bucket}?list-type=2&prefix=audit/")
    assert "<Key>audit/" in listed, listed
    checked = cli("verify", "--json", "--data-dir", server.data_dir, env=settings).json
    assert checked["ok"], checked
    assert checked["audit"]["checkpoints"] > 0 and not checked["audit"].get("not_compared")
    # A setting that was lost is an error that names it, not another account.
    refused = cli("verify", "--json", "--data-dir", server.data_dir, check=False)
    assert refused.returncode != 0 and "APEX_DATABASE_URL" in refused.stderr


@pytest.mark.parametrize("name", ["APEX_DATABASE_URL", "APEX_TIMESCALE_URL", "APEX_REDIS_URL"])
def test_each_server_that_does_not_answer_is_named_and_nothing_secret_is(
        cli, servers, tmp_path, name):
    _, settings = servers
    nobody = f"127.0.0.1:{apexlib.free_port()}"
    scheme = "redis" if name == "APEX_REDIS_URL" else "postgres"
    user = "" if scheme == "redis" else "apex"
    wrong = {**settings, name: f"{scheme}://{user}:{SECRETS[1]}@{nobody}/0"}
    done = cli("up", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", env=wrong,
               check=False)
    assert done.returncode != 0
    assert name in done.stderr, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
