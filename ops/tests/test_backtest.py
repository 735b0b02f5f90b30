"""The EMA cross against its references: every fill, and the money to the last digit."""

import csv
import gzip
import json
from datetime import datetime, timezone
from decimal import Decimal

import pytest

REFERENCES = {
    "spy-daily": ("us_equity_daily.csv.gz", "expect_ema_cross_spy_daily.json", "SPY", "100"),
    "btcperp-minute": ("btcperp_minute_202201.csv.gz", "expect_ema_cross_btcperp_minute.json",
                       None, "1"),
}


def rows_of(path, symbol):
    with gzip.open(path, "rt") as file:
        return [row for row in csv.DictReader(file) if symbol in (None, row.get("symbol"))]


def nanoseconds(cell):
    """A date is 00:00 UTC, a time without a zone is UTC."""
    moment = datetime.fromisoformat(cell).replace(tzinfo=timezone.utc)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1_000


def reference(rows, quantity):
    """The rule of the expectation files, written out once more, independent of the platform.

    Averages are 64-bit floats, money is exact. Bars are numbered from 1; the first with both
    averages ready only sets the state.
    """
    fast = slow = None
    above = wanted = None
    position, cash, peak, drawdown = Decimal(0), Decimal(0), None, Decimal(0)
    fills, crosses = [], 0
    for number, row in enumerate(rows, 1):
        time = nanoseconds(row.get("date") or row["timestamp"])
        if wanted is not None and wanted != position:
            traded = wanted - position
            price = Decimal(row["open"])
            fills.append((time, "SIDE_BUY" if traded > 0 else "SIDE_SELL", abs(traded), price))
            cash, position = cash - traded * price, wanted
        close = float(row["close"])
        fast = close if fast is None else 2 / 11 * close + (1 - 2 / 11) * fast
        slow = close if slow is None else 2 / 21 * close + (1 - 2 / 21) * slow
        equity = cash + position * Decimal(row["close"])
        peak = equity if peak is None else max(peak, equity)
        drawdown = max(drawdown, peak - equity)
        wanted = None
        if number >= 20:
            now = fast > slow
            if above is not None and now != above:
                crosses += 1
                wanted = quantity if now else Decimal(0)
            above = now
    return fills, crosses, equity, drawdown, position


@pytest.mark.parametrize("name", REFERENCES)
def test_every_fill_and_the_money_are_those_of_the_reference(name, cli, test_data):
    file, expectation, symbol, quantity = REFERENCES[name]
    data = test_data / "bars" / file
    expected = json.loads((test_data / "bars" / expectation).read_text())
    rows = rows_of(data, symbol)
    fills, crosses, equity, drawdown, position = reference(rows, Decimal(quantity))

    # Our own sum agrees with what the reference file lists...
    assert (len(rows), len(fills), crosses) == (
        expected["bars"], expected["fills"], expected["crosses"])
    assert fills[:6] == [as_fill(one) for one in expected["first_fills"]]
    assert fills[-2:] == [as_fill(one) for one in expected["last_fills"]]
    assert equity == Decimal(str(expected["final_equity"]))
    assert drawdown == Decimal(str(expected["max_drawdown_abs"]))
    assert position == expected["open_position"]

    # ... and the platform with both, fill by fill.
    report = cli("backtest", "--strategy", "ema-cross", "--data", data,
                 *(["--instrument", symbol] if symbol else []),
                 "--param", "fast=10", "--param", "slow=20", "--param", f"quantity={quantity}",
                 "--param", "warmup=19", "--param", "mode=long_only", "--param", "act_on=cross",
                 "--start-cash", "0", "--fill", "next-open", "--json").json
    found = [(one["ts_ns"], one["side"], Decimal(one["quantity"]), Decimal(one["price"]))
             for one in report["fills"]]
    assert found == fills
    assert all(Decimal(one["fee"]) == 0 for one in report["fills"])
    assert report["orders"] == len(fills)
    assert Decimal(report["final_equity"]) == equity
    assert Decimal(report["max_drawdown"]) == drawdown
    assert Decimal(report["position"]) == position
    assert report["events"] >= len(rows)
    assert any("short" in one or "negative" in one for one in report["assumptions"])


def as_fill(listed):
    time, side, quantity, price = listed
    return nanoseconds(time), f"SIDE_{side}", Decimal(quantity), Decimal(str(price))


def test_two_backtests_give_the_same_hash_and_other_parameters_another(cli, test_data):
    def run(slow):
        return cli("backtest", "--strategy", "ema-cross", "--data",
                   test_data / "bars" / "us_equity_daily.csv.gz", "--instrument", "SPY",
                   "--param", "fast=10", "--param", f"slow={slow}", "--param", "quantity=100",
                   "--json").json

    first, second, other = run(20), run(20), run(30)
    assert first["state_hash"] == second["state_hash"] != other["state_hash"]
    assert first["fills"] == second["fills"]


@pytest.mark.parametrize("words, wanted", [
    (["--param", "fast=NaN"], "fast"),
    (["--param", "fast=0"], "fast"),
    (["--param", "nonsense=1"], "nonsense"),
    (["--param", "quantity=-1"], "quantity"),
    (["--start-cash", "NaN"], "start-cash"),
    (["--fee-bps", "1e5"], "fee-bps"),
    (["--instrument", "NOPE"], "NOPE"),
    (["--data", "/nonexistent.csv"], "/nonexistent.csv"),
    (["--strategy", "nonsense"], "nonsense"),
])
def test_a_backtest_that_cannot_run_says_why_in_one_line(words, wanted, cli, test_data):
    usual = {"--strategy": "ema-cross", "--instrument": "SPY",
             "--data": test_data / "bars" / "us_equity_daily.csv.gz"}
    for flag in words[::2]:
        usual.pop(flag, None)
    flat = [word for pair in usual.items() for word in pair]
    done = cli("backtest", *flat, *words, "--json", check=False)
    assert done.returncode in (1, 2), done.stderr
    assert wanted in done.stderr and "panicked" not in done.stderr
    assert done.returncode == 2 or len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
