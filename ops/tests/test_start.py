"""How `up` starts and ends, what it takes, and what it refuses."""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import apexlib
import trading

IDLE_LIMIT_KB = 50 * 1024


def profile_of(binary):
    """The cargo profile that built the binary, by the folder that cargo gives each."""
    folder = binary.parent.name
    return {"debug": "dev"}.get(folder, folder)


def skip_unless_optimised(binary):
    """An unoptimised binary is several times as large in memory: the limit says nothing of it."""
    profile = profile_of(binary)
    if profile == "dev":
        pytest.skip(f"idle memory is judged on an optimised binary, and {binary} is of profile "
                    f"{profile}: run `cargo xtask test --only blackbox`, which builds profile fast")
    return profile


def memory_kb(pid, key):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {key} of {pid}")


def test_the_profile_of_a_binary_is_told_by_its_folder():
    for path, profile in (("target/debug/apextrade", "dev"), ("target/fast/apextrade", "fast"),
                          ("target/release/apextrade", "release")):
        assert profile_of(Path(path)) == profile
    with pytest.raises(pytest.skip.Exception, match="profile dev"):
        skip_unless_optimised(Path("target/debug/apextrade"))
    assert skip_unless_optimised(Path("target/fast/apextrade")) == "fast"


def test_start_up_time_and_memory_are_stated_and_idle_is_small(binary, make_server, capsys):
    profile = skip_unless_optimised(binary)
    times = []
    server = make_server("up")
    for _ in range(3):
        began = time.monotonic()
        server.start()
        times.append(time.monotonic() - began)
        if len(times) < 3:
            server.stop()
    # Idle, but awake: the simulated market runs, and one list was read.
    with server.grpc() as client:
        trading.market(client, trading.BTC)
        trading.orders(client)
    samples = []

    def steady():
        samples.append(memory_kb(server.pid, "VmRSS"))
        return len(samples) >= 50

    apexlib.until("samples of memory", steady, pause=0.1)
    idle, peak = max(samples), memory_kb(server.pid, "VmHWM")
    with capsys.disabled():
        print(f"\nup, profile {profile}: ready in {', '.join(f'{one * 1000:.0f} ms' for one in times)} (first start, "
              f"then on old data); idle {idle / 1024:.1f} MB, peak {peak / 1024:.1f} MB")
    assert idle < IDLE_LIMIT_KB
    assert peak < 2 * IDLE_LIMIT_KB


def test_a_second_up_on_the_same_data_is_refused_with_the_holder_s_pid(server, make_server):
    second = make_server("up", data_dir=server.data_dir, name="second")
    with pytest.raises(AssertionError, match="ended with 1 before it was ready") as refusal:
        second.start()
    assert re.search(rf"\b{server.pid}\b", str(refusal.value)), refusal.value
    assert server.get("/ready")[0] == 200


def test_a_taken_port_is_refused_in_one_line(make_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server("up", port=taken.getsockname()[1])
        with pytest.raises(AssertionError, match="ended with 1 before it was ready") as refusal:
            server.start()
    said = [line for line in str(refusal.value).splitlines() if line.startswith("apextrade: ")]
    assert len(said) == 1 and str(server.port) in said[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_the_grace_period(number, make_server):
    server = make_server("up").start()
    with server.grpc() as client:
        at = trading.market(client, trading.BTC)
        client.call("OrderService", "SubmitOrder", trading.resting("stay-1", at))
        trading.when_order(client, "stay-1", "ORDER_STATUS_ACCEPTED")
        # Open streams do not hold it.
        ticks = client.stream("MarketDataService", "Subscribe", {}, seconds=60)
        next(ticks)
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < 11
    server.kill()
    server.start()
    with server.grpc() as client:
        assert trading.get_order(client, "stay-1")["status"] in (
            "ORDER_STATUS_ACCEPTED", "ORDER_STATUS_CANCELED")


def test_two_live_side_by_side(make_server):
    one, two = make_server("up").start(), make_server("up").start()
    assert one.token != two.token
    with one.grpc() as first, two.grpc() as second:
        at = trading.market(first, trading.BTC)
        first.call("OrderService", "SubmitOrder", trading.resting("mine-1", at))
        assert len(trading.orders(first)) == 1
        assert trading.orders(second) == []
    with pytest.raises(Exception, match="UNAUTHENTICATED|Unauthenticated|StatusCode"):
        two.grpc(one.token).call("AccountService", "ListAccounts", {})


@pytest.mark.parametrize("env, file, wanted", [
    ({"APEX_LISTN": "127.0.0.1:1"}, None, "listen"),
    ({"APEX_DATADIR": "x"}, None, "data_dir"),
    ({}, "listn = '127.0.0.1:1'\n", "listen"),
    ({}, "listen = \n", "apextrade.toml"),
    ({"APEX_DATABASE_URL": "postgres://127.0.0.1:1/x"}, None, "APEX_DATABASE_URL"),
])
def test_a_setting_that_is_not_known_is_refused_with_the_nearest(env, file, wanted, cli, tmp_path):
    words = []
    if file:
        (tmp_path / "apextrade.toml").write_text(file)
        words = ["--config", tmp_path / "apextrade.toml"]
    done = cli("up", *words, "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data",
               env=env, check=False, seconds=30)
    assert done.returncode in (1, 2)
    assert wanted in done.stderr.splitlines()[-1], done.stderr
    assert not (tmp_path / "data" / "admin.token").exists()


def test_a_log_that_cannot_be_written_does_not_end_it(make_server):
    server = make_server("up", log_to="/dev/full").start()
    with server.grpc() as client:
        at = trading.market(client, trading.BTC)
        client.call("OrderService", "SubmitOrder", trading.resting("log-1", at))
    assert server.stop() == 0


def test_beyond_loopback_needs_a_flag(cli, tmp_path):
    done = cli("up", "--listen", "0.0.0.0:0", "--data-dir", tmp_path / "data", check=False,
               seconds=30)
    assert done.returncode == 1 and "--insecure" in done.stderr


@pytest.mark.parametrize("words", [["nonsense"], ["up", "--nonsense"], ["up", "--speed", "NaN"],
                                   ["up", "--exit-at-end"], ["orders", "--limit", "-1"]])
def test_wrong_usage_is_exit_status_2(words, cli):
    done = cli(*words, check=False, seconds=30)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_a_start_that_fails_leaves_no_folder(cli, tmp_path):
    new = tmp_path / "new"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        none = f"127.0.0.1:{apexlib.free_port()}"
        for words, env in [
                (("--listen", address), {}),
                (("--listen", "nowhere"), {}),
                (("--listen", none, "--venue", "127.0.0.1:1"), {}),
                (("--listen", none), {"APEX_DATABASE_URL": "postgres://a:b@127.0.0.1:1/c"}),
                (("--listen", none), {"APEX_REDIS_URL": "redis://127.0.0.1:1"})]:
            done = cli("up", *words, "--data-dir", new, env=env, check=False, seconds=60)
            assert done.returncode == 1, done.stderr
            assert not new.exists(), (words, env, list(new.iterdir()))


def test_doctor_says_what_would_keep_a_start_out(server, cli, tmp_path):
    def check(name, data_dir, env=None):
        done = cli("doctor", "--json", "--data-dir", data_dir, env=env, check=False)
        found = {one["name"]: one for one in done.json}[name]
        assert found["ok"] or done.returncode == 1
        return found["ok"], found["detail"] + found["fix"]

    (tmp_path / "file").write_text("x")
    for folder in ("file", "file/data"):
        ok, text = check("data folder", tmp_path / folder)
        assert not ok and "is no folder" in text or "Not a directory" in text, text
    assert check("data folder", tmp_path / "a" / "b")[0] and not (tmp_path / "a").exists()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ok, text = check("gateway", tmp_path / "a", {"APEX_LISTEN": f"127.0.0.1:{port}"})
        assert not ok and "in use" in text, text
    for listen in ("nowhere", "127.0.0.1:99999", "203.0.113.7:80"):
        ok, text = check("gateway", tmp_path / "a", {"APEX_LISTEN": listen})
        assert not ok and "APEX_LISTEN" in text, text
    here = {"APEX_LISTEN": server.address}
    assert check("gateway", server.data_dir, here)[0]
    assert check("admin token", server.data_dir, here)[0]
    (server.data_dir / "admin.token").unlink()
    ok, text = check("admin token", server.data_dir, here)
    assert not ok and "is gone" in text and "makes a new one" in text, text


@pytest.mark.parametrize("words", [
    ("completions", "bash"), ("--help",), ("indicators",), ("calendar", "XNYS", "--at", "2026-01-05T15:00:00Z", "--json")])
def test_a_reader_that_goes_away_is_no_error(binary, words):
    """As `apextrade completions bash | head -1`: quiet, and no panic."""
    process = subprocess.Popen([binary, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, env=apexlib.environment())
    # Before a byte is written: every write fails.
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait(30) in (0, -13), said
    assert said == "", said


def test_health_is_one_json_object(server, cli):
    assert cli("health", "--json", "--gateway", server.url).json == {
        "gateway": server.url, "ok": True, "error": None}
    server.stop()
    done = cli("health", "--json", "--gateway", server.url, check=False)
    assert done.returncode == 1 and done.json["ok"] is False and done.json["error"]


def test_doctor_and_health_tell_how_it_is(server, cli):
    found = cli("doctor", "--json", "--data-dir", server.data_dir, check=False).json
    checks = found if isinstance(found, list) else found["checks"]
    assert checks and all(set(one) >= {"name", "ok", "detail", "fix"} for one in checks)
    assert cli("health", "--gateway", server.url).stdout == f"gateway {server.url} is alive\n"
    server.stop()
    done = cli("health", "--gateway", server.url, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
