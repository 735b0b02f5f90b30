"""Redis may be wiped, ended, stopped, filled or made read-only at any time: no order waits for it,
nothing is lost, a node says that it is degraded, and heals by itself."""

import json
import threading
import time
from decimal import Decimal

import pytest

import apexlib
import redisserver
import trading
from conftest import count
from trading import ACCOUNT, BTC, ETH

NAMESPACE = "apex:1:"
# A value of a node that has ended is gone after 15 s.
EXPIRED_SECONDS = 15
CLIENTS = 2
ORDERS_PER_SECOND = 60
# Whoever waits for a command to Redis waits for two seconds: its time limit.
WAITED_FOR_REDIS = 2.0


@pytest.fixture
def redis_server(tmp_path):
    redisserver.installed()
    folder = tmp_path / "redis"
    folder.mkdir()
    one = redisserver.RedisServer(folder).start()
    yield one
    one.crash()


@pytest.fixture(scope="session")
def freeze_seconds():
    """How long Redis stands still: longer than any time limit of ours in CI, 30 in the long form."""
    return count("APEX_FREEZE_SECONDS", 5)


@pytest.fixture
def node(redis_server, make_server):
    return make_server("up", env={"APEX_REDIS_URL": redis_server.url}).start()


def redis_of(server):
    """What `/ready` says of Redis. The node is ready whatever it is."""
    status, body = server.get("/ready")
    assert status == 200, body
    found = json.loads(body)
    assert found["status"] == "ready"
    (one,) = [one for one in found["dependencies"] if one["name"] == "redis"]
    assert one["ok"] is True
    return one


def metric(server, name):
    lines = server.get("/metrics")[1].decode().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(name + " ")]
    return float(found)


def degraded(server, because=""):
    def probe():
        found = redis_of(server)
        return found["degraded"] and because in found["detail"]

    apexlib.until(f"degraded because of {because!r}", probe)
    assert metric(server, "apex_hot_degraded") == 1


def values(redis_server, kind, namespace=NAMESPACE):
    """All values of a kind by id, as a dashboard reads them."""
    client = redis_server.client()
    keys = sorted(client.scan_iter(match=f"{namespace}{kind}:*", count=1000))
    found = zip(keys, client.mget(keys) if keys else [], strict=True)
    return {key.split(":", 3)[3]: json.loads(value) for key, value in found if value}


def healed(server, redis_server):
    """Every value is there again, and goes on to move."""
    apexlib.until("it is not degraded", lambda: not redis_of(server)["degraded"])
    with server.grpc() as client:
        wanted = {one["instrument_id"]
                  for one in client.call("InstrumentService", "ListInstruments")["instruments"]}
    for kind in ("quote", "book"):
        apexlib.until(f"a {kind} of each instrument",
                      lambda kind=kind: set(values(redis_server, kind)) == wanted)
    before = values(redis_server, "quote")[BTC]["ts_init_ns"]
    apexlib.until("a newer quote",
                  lambda: values(redis_server, "quote")[BTC]["ts_init_ns"] > before)
    assert metric(server, "apex_hot_degraded") == 0


class Load:
    """Clients that submit orders, some of which rest and are canceled, until they are stopped."""

    def __init__(self, server, markets):
        self.server, self.markets = server, markets
        self.answers, self.failures = {}, []
        self.took = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._guarded, args=(i,)) for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def _guarded(self, number):
        try:
            self._run(number)
        except Exception as error:  # Told by `more`, on the test's own thread.
            self.failures.append(error)

    def _run(self, number):
        with self.server.grpc() as client:
            for i in range(10**6):
                if self.stopping.wait(CLIENTS / ORDERS_PER_SECOND):
                    return
                name, at = f"load-{number}-{i}", self.markets[i % len(self.markets)]
                rests = i % 3 == 2
                request = (trading.resting(name, at) if rests else
                           trading.order(name, at.instrument_id, "BUY", at.quantity))
                began = time.monotonic()
                self.answers[name] = client.call("OrderService", "SubmitOrder", request)
                self.took.append(time.monotonic() - began)
                if rests:
                    client.call("OrderService", "CancelOrder", {
                        "account_id": ACCOUNT, "client_order_id": name, "request_id": name})

    def more(self, wanted=60):
        """Waits for so many more answers, and none of them late."""
        first = len(self.took)
        apexlib.until(f"{wanted} more answers",
                      lambda: self.failures or len(self.took) >= first + wanted)
        assert not self.failures, self.failures
        assert max(self.took[first:]) < WAITED_FOR_REDIS, sorted(self.took[first:])[-5:]


def flushall(server, redis_server, load, _):
    rewrites = metric(server, "apex_hot_rewrites_total")
    for _ in range(3):
        redis_server.client().flushall()
        load.more(30)
        healed(server, redis_server)
    assert metric(server, "apex_hot_rewrites_total") > rewrites, "it was noticed"


def crash(server, redis_server, load, _):
    redis_server.crash()
    degraded(server)
    load.more()
    redis_server.start()


def freeze(server, redis_server, load, seconds):
    redis_server.freeze()
    began = time.monotonic()
    try:
        load.more()
        degraded(server)
        while time.monotonic() < began + seconds:
            load.more(20)
    finally:
        redis_server.thaw()


def full(server, redis_server, load, _):
    client = redis_server.client()
    client.config_set("maxmemory", 1)
    degraded(server, "OOM")
    load.more()
    client.config_set("maxmemory", 0)


def replica(server, redis_server, load, _):
    client = redis_server.client()
    client.replicaof("127.0.0.1", 1)
    degraded(server, "READONLY")
    load.more()
    client.replicaof("NO", "ONE")


@pytest.mark.parametrize("fault", [flushall, crash, freeze, full, replica],
                         ids=lambda fault: fault.__name__)
def test_redis_suffers_and_no_order_does(fault, node, redis_server, freeze_seconds, cli):
    with node.grpc() as client:
        markets = [trading.market(client, one) for one in (BTC, ETH)]
        healed(node, redis_server)
        process = node.pid
        with Load(node, markets) as load:
            load.more()
            fault(node, redis_server, load, freeze_seconds)
            load.more()
            healed(node, redis_server)
        assert not load.failures, load.failures
        trading.settled(client)
        said = node.log(1 << 20)
        # Once at each change, however long it lasts.
        for line in ("Redis does not take what is written", "Redis takes what is written again"):
            assert said.count(line) == (0 if fault is flushall else 1), said
        check_positions(client, redis_server)
        listed = [one["client_order_id"] for one in trading.orders(client)]
        assert sorted(listed) == sorted(load.answers), "each answered order, once, and no other"
        after = trading.account(client)
    assert node.pid == process, "nothing was started again"
    assert node.stop() == 0
    verified = cli("verify", "--json", "--data-dir", node.data_dir).json
    (paper,) = [one for one in verified["accounts"] if one["account_id"] == ACCOUNT]
    assert verified["ok"] is True
    assert (paper["last_sequence"], paper["state_hash"]) == (
        after["sequence"], after["state_hash"])
    node.start()
    with node.grpc() as client:
        listed = [one["client_order_id"] for one in trading.orders(client)]
        assert sorted(listed) == sorted(load.answers)


def check_positions(client, redis_server):
    """What Redis has of the account is what the account itself says, field by field."""
    def same():
        known = {(one["instrument_id"], one["strategy_id"]): one
                 for one in trading.positions(client) if Decimal(one["quantity"])}
        value = values(redis_server, "positions")[ACCOUNT]
        found = {(one["instrument_id"], one["strategy_id"]): one for one in value["positions"]}
        fields = ("quantity", "average_price", "realized_pnl", "currency", "position_side")
        cut = [{key: {field: one[field] for field in fields} for key, one in side.items()}
               for side in (known, found)]
        return cut[0] == cut[1] and (value["account_id"], found != {}) == (ACCOUNT, True)

    apexlib.until("the positions in Redis", same)


def test_a_dashboard_reads_the_newest_by_the_documented_keys(node, redis_server):
    healed(node, redis_server)
    with node.grpc() as client:
        at = trading.market(client, BTC)
        instrument = client.call("InstrumentService", "GetInstrument", {"instrument_id": BTC})

        def agrees():
            book = client.call("MarketDataService", "GetBook", {"instrument_id": BTC, "depth": 5})
            found = values(redis_server, "book")[BTC]
            sides = [[[one["price"], one["quantity"]] for one in book[side]]
                     for side in ("bids", "asks")]
            return [found["bids"], found["asks"]] == sides and not found["stale"]

        apexlib.until("the book that the gateway has", agrees)
    quote = values(redis_server, "quote")[BTC]
    assert set(quote) == {"instrument_id", "bid_price", "bid_quantity", "ask_price",
                          "ask_quantity", "ts_event_ns", "ts_init_ns", "node"}
    for side in ("bid", "ask"):
        for kind, decimals in (("price", "price_decimals"), ("quantity", "quantity_decimals")):
            number = Decimal(quote[f"{side}_{kind}"])
            assert number > 0 and -number.as_tuple().exponent == instrument[decimals]
    assert abs(Decimal(quote["bid_price"]) / at.bid - 1) < Decimal("0.05")
    assert abs(time.time_ns() - quote["ts_init_ns"]) < 30e9
    # Who wrote it lives, and says so each second.
    client = redis_server.client()
    name = f"{NAMESPACE}node:{quote['node']}"
    first = json.loads(client.get(name))
    assert first["node"] == quote["node"] and abs(time.time_ns() - first["ts_ns"]) < 30e9
    apexlib.until("another beat", lambda: json.loads(client.get(name))["beat"] > first["beat"])
    lives = [client.pttl(key) for key in client.scan_iter(match="*")]
    assert lives and all(0 < one <= EXPIRED_SECONDS * 1000 for one in lives), lives


def test_values_of_a_node_that_was_ended_are_soon_gone(node, redis_server):
    healed(node, redis_server)
    node.kill()
    apexlib.until("everything has expired", lambda: redis_server.client().dbsize() == 0,
                  EXPIRED_SECONDS + 10)


@pytest.mark.parametrize("wrong", ["port", "password", "tls", "none", "frozen", "file"])
def test_a_server_that_cannot_be_used_is_refused_at_the_start_by_its_variable(
        wrong, redis_server, cli, tmp_path):
    url = redis_server.url
    env = {"APEX_REDIS_URL": {
        "port": url.replace(f":{redis_server.port}", ":1"),
        "password": url.replace("a-secret", "no-secret"),
        "tls": url.replace("redis://", "rediss://"),
        "none": "secret.example:6379",
    }.get(wrong, url)}
    if wrong == "file":
        (tmp_path / "url").write_text(url.replace("a-secret", "no-secret") + "\n")
        env = {"APEX_REDIS_URL_FILE": str(tmp_path / "url")}
    if wrong == "frozen":
        redis_server.freeze()
    try:
        done = cli("up", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data", env=env,
                   check=False, seconds=30)
        found = cli("doctor", "--json", "--data-dir", tmp_path / "data", env=env, check=False)
    finally:
        redis_server.thaw()
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert "APEX_REDIS_URL" in said, done.stderr
    assert not (tmp_path / "data" / "admin.token").exists()
    (check,) = [one for one in found.json if one["name"] == "redis"]
    assert not check["ok"] and "APEX_REDIS_URL" in check["detail"] + check["fix"], check
    assert "secret" not in done.stderr + done.stdout + found.stdout + found.stderr


def test_doctor_says_what_the_server_is(redis_server, cli, tmp_path):
    def check():
        done = cli("doctor", "--json", "--data-dir", tmp_path / "data", check=False,
                   env={"APEX_REDIS_URL": redis_server.url})
        (found,) = [one for one in done.json if one["name"] == "redis"]
        assert found["ok"] == (done.returncode == 0)
        return found

    client = redis_server.client()
    found = check()
    assert found["ok"], found
    assert client.info()["redis_version"] in found["detail"]
    assert "maxmemory-policy noeviction" in found["detail"]
    client.config_set("maxmemory", 1)
    found = check()
    assert not found["ok"] and "full" in found["detail"] and "maxmemory" in found["fix"]
    client.config_set("maxmemory", 0)
    client.replicaof("127.0.0.1", 1)
    found = check()
    assert not found["ok"] and "replica" in found["detail"] and "primary" in found["fix"]


def test_the_main_job_ends_in_the_same_state_with_redis(redis_server, cli, tmp_path, test_data):
    recording = test_data / "capture/binance-spot/btcusdt_20240808.gz"

    def run(name, env):
        data_dir = tmp_path / name
        data_dir.mkdir()
        return cli("up", "--replay", recording, "--speed", "max", "--exit-at-end", "--strategy",
                   "ema-cross", "--json", "--data-dir", data_dir, "--listen", "127.0.0.1:0",
                   seconds=240, env=env).json

    embedded = run("alone", {})
    with_redis = run("with-redis", {"APEX_REDIS_URL": redis_server.url})
    for key in ("state_hash", "market_hash", "orders", "fills", "journal_records"):
        assert with_redis[key] == embedded[key], key
    keys = list(redis_server.client().scan_iter(match="*"))
    assert keys and all(key.startswith("apex-replay:1:") for key in keys), keys
