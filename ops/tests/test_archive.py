"""`apextrade import` and `export`, and the Parquet files of the archive as pandas, Polars and DuckDB
read them."""

import csv
import gzip
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import apexlib
import duckdb
import pandas
import polars
import pytest

# Rows of each recorded file, by its own list.
RECORDED = {
    "ticks/bac_20131007.csv.gz": 565_027,
    "ticks/eurusd_fxcm_20140506.csv.gz": 102_682,
    "ticks/ibm_20131007.csv.gz": 133_360,
    "bars/btcperp_minute_202201.csv.gz": 45_031,
    "bars/coinbase_minute_quote.csv.gz": 11_501,
    "bars/coinbase_minute_trade.csv.gz": 16_086,
    "bars/gbpusd_fxcm_minute_201202.csv.gz": 30_117,
    "bars/us_equity_daily.csv.gz": 61_898,
    "bars/us_equity_hour.csv.gz": 81_663,
    "bars/us_equity_minute_201310_quote.csv.gz": 15_705,
    "bars/us_equity_minute_201310_trade.csv.gz": 13_429,
}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def run(binary, tmp_path):
    """Runs a command on a data folder of its own and returns the finished process."""
    def command(*arguments, data_dir="data"):
        words = [str(binary), *map(str, arguments), "--data-dir", str(tmp_path / data_dir)]
        return subprocess.run(words, capture_output=True, text=True, timeout=240,
                              env=apexlib.environment())
    return command


def imported(run, *arguments, **more):
    """Imports and returns the report."""
    done = run("import", *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def exported(run, out, *arguments, **more):
    """Exports and returns the rows of the CSV."""
    done = run("export", "--out", out, "--format", "csv", *arguments, **more)
    assert done.returncode == 0, done.stderr
    with open(out, newline="") as file:
        return list(csv.DictReader(file))


def source_rows(path):
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def nanos(text):
    """The time of a cell, exactly: none here is finer than a microsecond."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def parts(tmp_path, kind):
    return f"{tmp_path}/data/archive/data/market/{kind}/**/*.parquet"


def in_duckdb(query):
    """The one row that a query answers."""
    row, = duckdb.sql(query).fetchall()
    return row


def count(tmp_path, kind):
    return in_duckdb(f"select count(*) from '{parts(tmp_path, kind)}'")[0]


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_file_imports_whole_and_only_once(run, test_data, tmp_path, name):
    rows = RECORDED[name]
    report = imported(run, test_data / name)
    assert (report["rows"], report["bad_rows"]) == (rows, 0)
    assert (report["stored"], report["repeated"]) == (rows, 0)
    files = sorted((tmp_path / "data" / "archive" / "data").rglob("*.parquet"))
    before = [(file, file.stat().st_mtime_ns) for file in files]
    again = imported(run, test_data / name)
    assert (again["stored"], again["repeated"]) == (0, rows)
    assert [(file, file.stat().st_mtime_ns) for file in files] == before
    kinds = {content["kind"] for content in report["files"][0]["contents"]}
    assert sum(count(tmp_path, kind) for kind in kinds) == rows


def test_bars_come_out_as_they_went_in(run, test_data, tmp_path):
    path = test_data / "bars" / "coinbase_minute_trade.csv.gz"
    imported(run, path)
    names = ["open", "high", "low", "close", "volume"]
    expected = [row for row in source_rows(path) if row["symbol"] == "BTCUSD.COINBASE"]
    found = exported(run, tmp_path / "x.csv", "--instrument", "BTCUSD.COINBASE")
    assert len(found) == len(expected) == 12_423
    for row, source in zip(found, expected):
        assert row["symbol"] == source["symbol"]
        assert int(row["ts_ns"]) == nanos(source["ts_utc"])
        for name in names[:4]:
            assert Decimal(row[name]) == Decimal(source[name])
        # This file's volumes went through binary floats; import says that it rounds them.
        assert abs(Decimal(row["volume"]) - Decimal(source["volume"])) < Decimal("1e-8")


def test_ticks_come_out_as_they_went_in(run, test_data, tmp_path):
    path = test_data / "ticks" / "ibm_20131007.csv.gz"
    imported(run, path, "--instrument", "IBM.XNYS")
    trades = [row for row in source_rows(path) if row["kind"] == "T"]
    found = exported(run, tmp_path / "t.csv", "--instrument", "IBM.XNYS", "--kind", "trades")
    assert [(int(r["ts_ns"]), Decimal(r["price"]), Decimal(r["size"])) for r in found] == [
        (nanos(r["ts_utc"]), Decimal(r["price_or_bid"]), Decimal(r["size_or_bidsize"]))
        for r in trades]
    # A quote row states one side; the other one is as it was.
    sides, expected = {"bid": ("", ""), "ask": ("", "")}, []
    for row in source_rows(path):
        if row["kind"] != "Q":
            continue
        for side, price, size in (("bid", "price_or_bid", "size_or_bidsize"),
                                  ("ask", "ask", "asksize")):
            if (Decimal(row[price]), Decimal(row[size])) != (0, 0):
                sides[side] = (Decimal(row[price]), Decimal(row[size]))
        expected.append((nanos(row["ts_utc"]), *sides["bid"], *sides["ask"]))
    found = exported(run, tmp_path / "q.csv", "--instrument", "IBM.XNYS", "--kind", "quotes")
    number = lambda text: Decimal(text) if text else ""
    assert [(int(r["ts_ns"]), number(r["bid"]), number(r["bid_size"]), number(r["ask"]),
             number(r["ask_size"])) for r in found] == expected


def test_pandas_polars_and_duckdb_read_the_same_numbers(run, test_data, tmp_path):
    path = test_data / "ticks" / "bac_20131007.csv.gz"
    imported(run, path, "--instrument", "BAC.XNYS")
    trades = [row for row in source_rows(path) if row["kind"] == "T"]
    prices = [Decimal(row["price_or_bid"]) for row in trades]
    sizes = [Decimal(row["size_or_bidsize"]) for row in trades]
    times = [nanos(row["ts_utc"]) for row in trades]
    expected = (len(trades), sum(prices), sum(sizes), min(times), max(times))
    assert expected[0] == 88_172

    file = tmp_path / "data/archive/data/market/trades/instrument=BAC.XNYS/date=2013-10-07"
    file = file / "rows.parquet"
    frame = pandas.read_parquet(file, partitioning=None)
    assert str(frame["ts_event"].dtype) == "datetime64[ns, UTC]"
    assert set(frame["instrument_id"]) == {"BAC.XNYS"}
    stamps = frame["ts_event"].astype("int64")
    assert (len(frame), frame["price"].sum(), frame["quantity"].sum(), stamps.min(),
            stamps.max()) == expected

    table = polars.read_parquet(file)
    assert table.schema["ts_event"] == polars.Datetime("ns", "UTC")
    stamps = table["ts_event"].cast(polars.Int64)
    assert (len(table), table["price"].sum(), table["quantity"].sum(), stamps.min(),
            stamps.max()) == expected
    assert table["trade_id"].dtype == polars.UInt64

    assert in_duckdb(f"""select count(*), sum(price), sum(quantity), min(epoch_ns(ts_event)),
        max(epoch_ns(ts_event)) from '{file}'""") == expected


def test_bars_and_one_sided_quotes_read_in_all_three(run, test_data, tmp_path):
    imported(run, test_data / "bars" / "us_equity_daily.csv.gz")
    source = [row for row in source_rows(test_data / "bars" / "us_equity_daily.csv.gz")]
    volume = sum(Decimal(row["volume"]) for row in source)
    close = sum(Decimal(row["close"]) for row in source)
    pattern = parts(tmp_path, "bars/interval=1d")
    # Each instrument has decimals of its own, so its files are read before they are put together.
    by_instrument = [(float(frame["close"].sum()), int(frame["volume"].sum())) for frame in (
        pandas.read_parquet(file, partitioning=None)
        for file in tmp_path.glob("data/archive/data/market/bars/interval=1d/*/*/*.parquet"))]
    assert sum(volume for _, volume in by_instrument) == volume
    assert sum(close for close, _ in by_instrument) == pytest.approx(float(close))
    assert in_duckdb(f"""select count(*), sum(volume), sum(close)
        from read_parquet('{pattern}', union_by_name = true)""") == (
            61_898, volume, close)
    spy = polars.read_parquet(f"{tmp_path}/data/archive/data/market/bars/interval=1d/"
                              "instrument=SPY.SIM/**/*.parquet")
    expected = [row for row in source if row["symbol"] == "SPY"]
    assert len(spy) == len(expected) == 5_849
    assert spy["close"].sum() == sum(Decimal(row["close"]) for row in expected)

    path = tmp_path / "quotes.csv"
    path.write_text("ts_ns,bid,bid_size,ask,ask_size\n1,,,2.5,7\n2,2.25,1,,\n3,2,1,3,1\n")
    imported(run, path, "--instrument", "Q.X")
    file = parts(tmp_path, "quotes/instrument=Q.X")
    assert in_duckdb(f"select count(bid_price), sum(ask_price) from '{file}'") == (
        2, Decimal("5.50"))
    assert polars.read_parquet(file)["bid_price"].null_count() == 1


def test_bad_rows_are_told_and_stop_nothing_unless_strict(run, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("ts_ns,price,size\n1,2.5,1\n")
    bad.write_text("ts_ns,price,size\n5,1,1\nx,1,1\n6,1\n7,1e5,1\n8,1,1\n")
    done = run("import", good, bad, "--strict", "--instrument", "A.X")
    assert done.returncode == 1
    assert "line 3" in done.stdout and "nothing was imported" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "archive").exists()

    report = imported(run, good, bad, "--instrument", "A.X")
    assert (report["rows"], report["bad_rows"], report["stored"]) == (3, 3, 3)
    assert [row["line"] for row in report["files"][1]["bad"]] == [3, 4, 5]
    assert all(row["reason"] for row in report["files"][1]["bad"])
    assert count(tmp_path, "trades") == 3
    assert imported(run, good, "--strict", "--instrument", "A.X")["repeated"] == 1


DOUBTFUL = """symbol,ts,open,high,low,close
B.X,2024-01-04T00:00:00Z,5,6,4,5
B.X,2024-01-04T00:01:00Z,5,4.5,4,5
B.X,2024-01-04T00:02:00Z,5,6,5.5,6
B.X,2024-01-04T00:03:00Z,5,6,0,5
B.X,2024-01-04T00:04:00Z,5,6,-1,5
B.X,2024-01-04T00:04:00Z,5,6,4,5
B.X,2024-01-04T00:01:00Z,5,6,4,5
B.X,2024-01-04T00:05:00Z,NaN,6,4,5
"""


def test_rows_that_can_hardly_be_meant_are_told_and_stop_a_strict_import(run, tmp_path):
    path, good = tmp_path / "bars.csv", tmp_path / "good.csv"
    path.write_text(DOUBTFUL)
    good.write_text("symbol,ts_ns,price,size\nC.X,1,2.5,1\n")
    done = run("import", good, path, "--strict")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "2 that contradict" in done.stderr and "1 bad" in done.stderr, done.stderr
    for line in range(3, 10):
        assert f"line {line} " in done.stdout, done.stdout
    assert not (tmp_path / "data" / "archive").exists()
    # What happened to each file, the good one too.
    report = json.loads(run("import", good, path, "--strict", "--json").stdout)
    assert [file["imported"] for file in report["files"]] == [False, False]
    assert f"{good}: " in done.stdout and "nothing wrong with it" in done.stdout, done.stdout

    report = imported(run, good, path)
    assert [file["imported"] for file in report["files"]] == [True, True]
    assert (report["doubtful_rows"], report["bad_rows"]) == (6, 1)
    assert report["contradicting_rows"] == 2
    assert [row["line"] for row in report["files"][1]["doubtful"]] == [3, 4, 5, 6, 7, 8]
    assert all(row["reason"] for row in report["files"][1]["doubtful"])


LEGAL = {
    "newest first": """B.X,2024-01-04T00:02:00Z,5,6,4,5
B.X,2024-01-04T00:01:00Z,5,6,4,5
B.X,2024-01-04T00:00:00Z,5,6,4,5
""",
    "a price below zero": """B.X,2020-04-20T00:00:00Z,5,6,0,1
B.X,2020-04-20T00:01:00Z,1,1,-37.5,-37.5
B.X,2020-04-20T00:02:00Z,-37.5,2,-40,1
""",
    "the hour that clocks go back": """B.X,2024-10-27T01:58:00Z,5,6,4,5
B.X,2024-10-27T01:59:00Z,5,6,4,5
B.X,2024-10-27T01:59:00Z,5,7,4,6
B.X,2024-10-27T02:00:00Z,5,6,4,5
""",
}


@pytest.mark.parametrize("what", LEGAL)
def test_a_strict_import_takes_what_markets_do(run, tmp_path, what):
    path = tmp_path / "bars.csv"
    path.write_text("symbol,ts,open,high,low,close\n" + LEGAL[what])
    report = imported(run, path, "--strict")
    assert report["files"][0]["imported"] and report["rows"] == LEGAL[what].count("\n"), report
    assert report["doubtful_rows"] > 0 == report["contradicting_rows"], report


def test_an_export_says_what_cannot_be_meant(run, tmp_path):
    path = tmp_path / "ticks.csv"
    path.write_text("symbol,ts_ns,price,size\nC.X,1,2.5,1\nC.X,2,2.5,1\n")
    done = run("import", path)
    # How far it is is no error.
    assert done.returncode == 0 and "rows done" in done.stderr and "apextrade: " not in done.stderr
    of = ("export", "--instrument", "C.X")
    for more, text in [
            (("--from", "5", "--to", "5", "--out", tmp_path / "x.csv"), "is not before --to"),
            (("--from", "9", "--to", "5", "--out", tmp_path / "x.csv"), "is not before --to"),
            (("--out", tmp_path), "is a folder"),
            (("--out", "-", "--json"), "standard output"),
            (("--out", "-", "--format", "parquet"), "standard output")]:
        done = run(*of, *more)
        assert done.returncode == 2 and text in done.stderr, (more, done.stderr)
    done = run(*of, "--out", tmp_path / "none" / "x.csv")
    assert done.returncode == 1 and "make it first" in done.stderr, done.stderr
    assert ".part" not in done.stderr
    done = run("export", "--instrument", "../x", "--out", tmp_path / "x.csv")
    assert done.returncode == 1 and "holds nothing of ../x" in done.stderr, done.stderr
    done = run(*of, "--out", "-")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3 and done.stdout.startswith("symbol,ts_ns,")
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "x.csv").exists()
    inside = tmp_path / "folder"
    inside.mkdir()
    assert len(exported(run, inside / ".." / "x.csv", *of[1:])) == 2


def test_a_mix_of_files_without_a_name_is_told(run, tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("ts_ns,price,size\n1,2.5,1\n")
    two.write_text("ts_ns,price,size\n1,99,1\n")
    told = [any("are mixed" in note for note in file["notes"])
            for file in imported(run, one, two)["files"]]
    assert told == [False, True]
    told = imported(run, one, two, "--instrument", "A.X")["files"]
    assert not any("are mixed" in note for file in told for note in file["notes"])


def test_a_preview_shows_rows_and_imports_nothing(run, test_data, tmp_path):
    path = test_data / "bars" / "us_equity_hour.csv.gz"
    report = imported(run, path, "--preview", "--instrument", "SPY")
    content, = report["files"][0]["contents"]
    assert (content["instrument_id"], content["interval"]) == ("SPY.SIM", "1h")
    assert len(content["first_rows"]) == 6
    assert content["first_rows"][1].endswith(",97.31,97.53,97.03,97.03,384500,0")
    assert not (tmp_path / "data").exists()


def test_a_longer_version_of_a_file_adds_its_new_rows(run, tmp_path):
    path = tmp_path / "x.csv"
    lines = ["ts_ns,price,size", "1,2.5,1", "1,2.5,1", "2,3,1"]
    path.write_text("\n".join(lines))
    assert imported(run, path)["stored"] == 3
    # More decimals too: what is there is widened.
    path.write_text("\n".join([*lines, "3,2.125,1"]))
    report = imported(run, path)
    assert (report["stored"], report["repeated"]) == (1, 3)
    rows = exported(run, tmp_path / "out.csv", "--instrument", "DATA")
    assert [row["price"] for row in rows] == ["2.5", "2.5", "3", "2.125"]
    rows = exported(run, tmp_path / "out.csv", "--instrument", "DATA.SIM", "--from", "2", "--to",
                    "3")
    assert [row["price"] for row in rows] == ["3"]


# Its own memory is small: what a process had before it became another one counts as that one's too.
MEASURE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
process = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(process, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_kilobytes(binary, data_dir, *arguments):
    """Runs an import to its end, and returns the most memory that it had."""
    words = [sys.executable, "-c", MEASURE, str(binary), "import", *map(str, arguments),
             "--data-dir", str(data_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280,
                          env=apexlib.environment())
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_memory_does_not_grow_with_a_file(binary, tmp_path, form):
    peaks = []
    for rows in (300_000, 900_000):
        # The newest first and of two instruments in turn: no row stands where it belongs.
        times = range(rows * 1_000_000, 0, -1_000_000)
        frame = polars.DataFrame({"ts_ns": times, "price": [n % 977 + 0.25 for n in range(rows)],
                                  "size": [n % 7 + 1 for n in range(rows)],
                                  "symbol": ["AB"[n % 2] + ".X" for n in range(rows)]})
        path = tmp_path / f"{rows}.{form}"
        if form == "parquet":
            frame.write_parquet(path, compression="snappy")
        else:
            frame.write_csv(path)
        peaks.append(peak_kilobytes(binary, tmp_path / str(rows), path, "--strict"))
    assert peaks[1] < 1.2 * peaks[0], peaks
    query = f"select count(*), max(epoch_ns(ts_event)) from '{tmp_path}/{rows}/archive/data/**/*.parquet'"
    assert in_duckdb(query) == (900_000, 900_000 * 1_000_000)


def test_days_that_interleave_are_stored_as_if_they_were_in_order(run, tmp_path):
    hour = 3_600_000_000_000
    lines = [f"{'AB'[n % 2]}.X,{n * hour},{n}.5,1" for n in range(200)]
    mixed = [lines[n * 77 % 200] for n in range(200)]
    for name, of in (("ordered", lines), ("mixed", mixed)):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["symbol,ts_ns,price,size", *of]))
        assert imported(run, path, "--strict", data_dir=name)["stored"] == 200
    for instrument in ("A.X", "B.X"):
        ordered, found = (exported(run, tmp_path / "o.csv", "--instrument", instrument, data_dir=name)
                          for name in ("ordered", "mixed"))
        assert len(found) == 100 and found == ordered
    assert imported(run, tmp_path / "mixed.csv", data_dir="ordered")["repeated"] == 200


def test_parquet_of_an_export_and_of_others_imports(run, test_data, tmp_path):
    path = test_data / "ticks" / "eurusd_fxcm_20140506.csv.gz"
    imported(run, path, "--instrument", "EURUSD.FXCM")
    out = tmp_path / "eurusd.parquet"
    done = run("export", "--instrument", "EURUSD.FXCM", "--out", out, "--json")
    said = json.loads(done.stdout)
    assert (said["rows"], said["format"], said["kind"]) == (102_682, "parquet", "quotes")
    assert imported(run, out, data_dir="second")["stored"] == 102_682
    choice = ("--instrument", "EURUSD.FXCM")
    first = exported(run, tmp_path / "1.csv", *choice)
    assert exported(run, tmp_path / "2.csv", *choice, data_dir="second") == first

    frame = pandas.DataFrame({"timestamp": pandas.to_datetime([1, 2, 3], utc=True),
                              "symbol": ["A.X", "B.X", "A.X"], "price": [1.5, 2.25, 0.1],
                              "size": [1, 2, 3]})
    frame.to_parquet(tmp_path / "pandas.parquet")
    table = polars.from_pandas(frame).with_columns(polars.col("price").cast(polars.Decimal(18, 4)))
    table.write_parquet(tmp_path / "polars.parquet", compression="snappy")
    for name in ("pandas", "polars"):
        assert imported(run, tmp_path / f"{name}.parquet", data_dir=name)["stored"] == 3
        rows = exported(run, tmp_path / "o.csv", "--instrument", "A.X", data_dir=name)
        assert [(row["ts_ns"], row["price"], row["size"]) for row in rows] == [
            ("1", "1.5", "1"), ("3", "0.1", "3")]


def test_what_cannot_be_done_says_what_to_do(run, tmp_path):
    done = run("export", "--instrument", "A.X", "--out", tmp_path / "x")
    assert done.returncode == 1 and "import something" in done.stderr
    odd = tmp_path / "odd.csv"
    odd.write_text("a,b\n1,2\n")
    good = tmp_path / "good.csv"
    good.write_text("ts_ns,price,size\n1,2.5,1\n")
    done = run("import", odd, good)
    assert done.returncode == 1
    assert "known header" in done.stderr
    assert count(tmp_path, "trades") == 1, "the other file is imported"
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(b"PAR1 and then nothing")
    assert "Parquet" in run("import", cut).stderr
    done = run("export", "--instrument", "B.X", "--out", tmp_path / "x")
    assert done.returncode == 1 and "holds nothing of B.X" in done.stderr
    done = run("export", "--instrument", "DATA", "--kind", "bars", "--out", tmp_path / "x")
    assert done.returncode == 1 and "but trades" in done.stderr
    assert not (tmp_path / "x").exists()
