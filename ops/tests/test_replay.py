"""Replays of the recorded streams against the golden answers beside them, exactly."""

import gzip
import json
import re
import zlib

import pytest

SPOT = "capture/binance-spot"
# Recordings in order, and for each instrument the golden answers.
CASES = {
    "btcusdt": ([f"{SPOT}/btcusdt_20240808.gz"],
                {"BTCUSDT.BINANCE": f"{SPOT}/btcusdt_20240808.expect.json"}),
    "ethusdt": ([f"{SPOT}/ethusdt_20240808.gz"],
                {"ETHUSDT.BINANCE": f"{SPOT}/ethusdt_20240808.expect.json"}),
    "btcusdt-perp": (["capture/binance-usdm/btcusdt_20240808.gz"],
                     {"BTCUSDT-PERP.BINANCE": "capture/binance-usdm/btcusdt_20240808.expect.json"}),
    "btcusdt-two-files": ([f"{SPOT}/btcusdt_20240808.gz", f"{SPOT}/btcusdt_20240809.gz"],
                          {"BTCUSDT.BINANCE": f"{SPOT}/btcusdt_20240808-09.expect.json"}),
    "btcusdt-with-ethusdt": ([f"{SPOT}/btcusdt_20240808.gz", f"{SPOT}/ethusdt_20240808.gz"],
                             {"BTCUSDT.BINANCE": f"{SPOT}/btcusdt_20240808.expect.json",
                              "ETHUSDT.BINANCE": f"{SPOT}/ethusdt_20240808.expect.json"}),
    "spot-with-perp": ([f"{SPOT}/btcusdt_20240808.gz", "capture/binance-usdm/btcusdt_20240808.gz"],
                       {"BTCUSDT.BINANCE": f"{SPOT}/btcusdt_20240808.expect.json",
                        "BTCUSDT-PERP.BINANCE":
                            "capture/binance-usdm/btcusdt_20240808.expect.json"}),
}


@pytest.fixture
def replay(cli, tmp_path):
    """Runs `up` over recordings to their end and returns what it printed."""
    runs = []

    def run(*files, strategy="ema-cross", speed="max", check=True):
        data_dir = tmp_path / f"run{len(runs)}"
        data_dir.mkdir()
        recordings = [word for file in files for word in ("--replay", file)]
        strategies = ["--strategy", strategy] if strategy else []
        done = cli("up", *recordings, "--speed", speed, "--exit-at-end", *strategies, "--json",
                   "--data-dir", data_dir, "--listen", "127.0.0.1:0", seconds=240, check=check)
        done.data_dir = data_dir
        runs.append(done)
        return done

    return run


def as_instrument(expected):
    """The golden answers in the form of the summary."""
    return {
        "trades": expected["trades"],
        "volume": expected["volume"],
        "notional": expected["notional"],
        "book": {"update_id": expected["final_book_update_id"], **expected["final_top5"],
                 "stale": False},
        "minute_bars": expected["minute_bars"],
    }


@pytest.mark.parametrize("name", CASES)
def test_a_replay_gives_the_golden_answers_exactly(name, replay, cli, test_data):
    recordings, expectations = CASES[name]
    summary = replay(*[test_data / one for one in recordings]).json
    expected = {key: json.loads((test_data / path).read_text())
                for key, path in expectations.items()}
    assert set(summary["instruments"]) == set(expected)
    for instrument_id, golden in expected.items():
        found = summary["instruments"][instrument_id]
        wanted = as_instrument(golden)
        assert {key: found[key] for key in wanted} == wanted, instrument_id
    assert summary["frames"] == sum(one["lines"] for one in expected.values())
    assert summary["bad_frames"] == 0
    # Trades, quotes and the book diffs that were applied.
    counts = [(one["counts"]["trade"], one["counts"]["bookTicker"], one["depth_applied"])
              for one in expected.values()]
    assert summary["ticks"] == sum(map(sum, counts))
    assert summary["mode"] == "replay"
    assert summary["orders"] > 0 and summary["fills"] > 0


def test_two_runs_and_the_journal_alone_give_the_same_state_hash(replay, cli, test_data):
    recordings = [test_data / one for one in CASES["btcusdt-with-ethusdt"][0]]
    first, second = replay(*recordings), replay(*recordings)
    for key in ("state_hash", "market_hash"):
        assert re.fullmatch(r"[0-9a-f]{16,}", first.json[key]), first.json[key]
        assert first.json[key] == second.json[key]
    assert first.json["accounts"] == second.json["accounts"]
    for run in (first, second):
        verified = cli("verify", "--json", "--data-dir", run.data_dir).json
        assert verified["ok"] is True and verified["first_bad"] is None
        assert verified["state_hash"] == run.json["state_hash"]
        assert verified["records"] == run.json["journal_records"] > 0


def test_the_state_hash_knows_no_speed_but_knows_the_strategy(replay, test_data):
    recording = test_data / CASES["ethusdt"][0][0]
    fast = replay(recording).json
    paced = replay(recording, speed="150").json  # 346 s in 2.3 s.
    assert paced["state_hash"] == fast["state_hash"]
    assert paced["market_hash"] == fast["market_hash"]
    assert paced["wall_seconds"] > 1.5
    idle = replay(recording, strategy=None).json
    assert idle["market_hash"] == fast["market_hash"]
    assert idle["state_hash"] != fast["state_hash"]
    assert (idle["orders"], idle["fills"]) == (0, 0)


def test_the_summary_s_money_adds_up(replay, test_data):
    summary = replay(test_data / CASES["btcusdt"][0][0]).json
    assert summary["fills"] > 0
    for account in summary["accounts"].values():
        for key in ("equity", "unrealized_pnl"):
            assert isinstance(account[key], str)
        assert all(isinstance(amount, str) for amount in account["cash"].values())
    for topic, subscribers in summary["dropped"].items():
        assert not any(subscribers.values()), (topic, subscribers)
    assert summary["ticks_per_second"] > 0 and summary["wall_seconds"] > 0


def lines_of(path):
    with gzip.open(path) as file:
        return file.read().split(b"\n")


def garbled(lines):
    """Spoils prints and quotes, never the book, which has no way back in a recording."""
    spoil = [
        lambda line: line[: len(line) // 2],                        # Cut within the frame.
        lambda line: line.split(b" ", 1)[1],                        # No time.
        lambda line: b"\x00\xff\xfe" + bytes(range(128, 256)),      # No text.
        lambda line: line.replace(b'"p":"', b'"p":"NaN', 1),        # No number.
        lambda line: line.split(b" ", 1)[0] + b" ",                 # No frame.
        lambda line: b"99999999999999999999 {}",                    # No such time.
        lambda line: line.split(b" ", 1)[0] + b" " + b"[" * 100_000,
    ]
    spoiled = {}
    trades = [at for at, line in enumerate(lines) if b'"e":"trade"' in line]
    for at, how in zip(trades[10::50], spoil, strict=False):
        lines[at] = how(lines[at])
        spoiled[at + 1] = how
    assert len(spoiled) == len(spoil)
    return spoiled


def test_garbled_lines_are_counted_with_their_numbers_and_the_rest_counts(
        replay, test_data, tmp_path):
    lines = lines_of(test_data / CASES["btcusdt"][0][0])[:8000]
    trades = sum(b'"e":"trade"' in line for line in lines)
    spoiled = garbled(lines)
    lines.insert(3000, b"")  # Empty lines are no frames, good or bad.
    numbers = [number + (number > 3000) for number in spoiled]
    path = tmp_path / "garbled.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    done = replay(path)
    assert done.json["bad_frames"] == len(spoiled)
    assert done.json["frames"] == 8000
    assert done.json["instruments"]["BTCUSDT.BINANCE"]["trades"] == trades - len(spoiled)
    assert [one["line"] for one in done.json["bad_lines"]] == numbers
    assert all(one["file"].endswith("garbled.txt") and one["reason"]
               for one in done.json["bad_lines"])
    assert "panicked" not in done.stderr


def test_a_recording_that_was_cut_off_ends_where_it_was_cut(replay, test_data, tmp_path):
    whole = (test_data / CASES["btcusdt"][0][0]).read_bytes()
    half = whole[: len(whole) // 2]
    path = tmp_path / "cut.gz"
    path.write_bytes(half)
    readable = zlib.decompressobj(wbits=31).decompress(half).split(b"\n")
    trades = sum(b'"e":"trade"' in line for line in readable[:-1])
    summary = replay(path).json
    assert summary["bad_frames"] == 1
    found = summary["instruments"]["BTCUSDT.BINANCE"]["trades"]
    # The inflater may hold back some of the last block.
    assert trades - 300 <= found <= trades


@pytest.mark.parametrize("name, content", [
    ("empty", b""),
    ("text.txt", b"this is no recording\nnor is this line\n"),
    ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
    ("not-gzip.gz", b"\x1f\x8b" + bytes(range(256)) * 4),
    ("bars.csv", b"ts,open,high,low,close\n1,2,3,4,5\n"),
    ("times-only", b"".join(b"%d {}\n" % (1723161253937085768 + i) for i in range(100))),
])
def test_a_file_that_is_no_recording_is_refused_in_one_line(name, content, replay, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    done = replay(path, check=False)
    refused_in_one_line(done, name)


def test_a_missing_recording_is_refused_in_one_line(replay, tmp_path):
    refused_in_one_line(replay(tmp_path / "missing.gz", check=False), "missing.gz")
    refused_in_one_line(replay(tmp_path, check=False), tmp_path.name)


def refused_in_one_line(done, name):
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("apextrade: ")]
    assert len(said) == 1 and name in said[0], done.stderr
    assert "panicked" not in done.stderr
