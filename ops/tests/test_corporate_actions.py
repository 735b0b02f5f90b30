"""Splits, dividends and funding in a backtest, by files; the money is counted here once more."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest

# Rises, so that the strategy is long from the third row on, and falls at the end.
CLOSES = ["100", "101", "103", "106", "110", "115", "121", "128", "90", "80"]


def write(path, text):
    path.write_text(text)
    return str(path)


def bars(path, closes):
    rows = [f"2024-01-{day:02},{price},{price},{price},{price},1"
            for day, price in enumerate(closes, 1)]
    return write(path, "\n".join(["date,open,high,low,close,volume", *rows, ""]))


@pytest.fixture
def run(cli, tmp_path):
    def run(closes, *more, check=True):
        data = bars(tmp_path / "bars.csv", closes)
        return cli("backtest", "--strategy", "ema-cross", "--param", "fast=1", "--param", "slow=3",
                   "--param", "warmup=0", "--param", "quantity=10", "--param", "act_on=state",
                   "--data", data, "--json", *more, check=check)

    return run


def test_without_a_file_nothing_is_applied(run):
    report = run(CLOSES).json
    assert "no corporate actions" in report["assumptions"]
    assert "no funding" in report["assumptions"]
    assert report["funding"] == "0" and "dividends" not in report


def test_a_split_after_the_strategy_is_in_leaves_the_profit(run, tmp_path):
    """The split is at the last row, when the long position is still open: the price halves."""
    rising = CLOSES[:8]
    plain = run(rising).json
    halved = [*rising[:7], str(Decimal(rising[7]) / 2)]
    actions = write(tmp_path / "actions.csv",
                    "date,symbol,kind,ratio\n2024-01-08,DATA,split,2:1\n2024-01-08,OTHER,split,9:1\n")
    split = run(halved, "--corporate-actions", actions).json
    assert Decimal(plain["position"]) == 10 and Decimal(split["position"]) == 20
    assert split["final_equity"] == plain["final_equity"]
    assert split["max_drawdown"] == plain["max_drawdown"]
    assert split["fills"] == plain["fills"]
    assert any("1 splits and 0 dividends" in said for said in split["assumptions"])
    # Without the file the same prices are a loss.
    assert Decimal(run(halved).json["final_equity"]) < Decimal(plain["final_equity"])


def test_dividends_and_funding_are_cash_for_what_is_held(run, tmp_path):
    plain = run(CLOSES).json
    positions, held = {}, Decimal(0)
    fills = {fill["ts_ns"]: fill for fill in plain["fills"]}
    day_ns, first = 86_400 * 10**9, 1_704_067_200 * 10**9
    for day in range(1, len(CLOSES) + 1):
        positions[day] = held  # Before the row of this day.
        fill = fills.get(first + (day - 1) * day_ns)
        if fill:
            signed = Decimal(fill["quantity"])
            held += signed if fill["side"] == "SIDE_BUY" else -signed
    rates = {5: Decimal("0.0001"), 6: Decimal("-0.00025"), 7: Decimal("0.000123456789")}
    marks = {6: Decimal("113.333")}
    expected = Decimal(0)
    for day, rate in rates.items():
        mark = marks.get(day, Decimal(CLOSES[day - 2]))
        expected -= (positions[day] * mark * rate).quantize(
            Decimal("0.00000001"), ROUND_HALF_EVEN)
    assert expected != 0
    funding = write(tmp_path / "funding.csv", "ts,rate,mark\n" + "".join(
        f"2024-01-{day:02}T00:00:00Z,{rate},{marks.get(day, '')}\n" for day, rate in rates.items()))
    actions = write(tmp_path / "actions.csv",
                    "date,kind,ratio,amount\n2024-01-06,dividend,,0.47\n2024-01-01,dividend,,5\n")
    report = run(CLOSES, "--funding", funding, "--corporate-actions", actions).json
    dividends = positions[6] * Decimal("0.47")
    assert Decimal(report["funding"]) == expected
    assert Decimal(report["dividends"]) == dividends
    assert (Decimal(report["final_equity"])
            == Decimal(plain["final_equity"]) + expected + dividends)
    assert report["realized_pnl"] == plain["realized_pnl"]


@pytest.mark.parametrize("flag, text, said", [
    ("--corporate-actions", "date,kind,ratio\n2024-01-02,split,0:1\n", "line 2, ratio"),
    ("--corporate-actions", "date,kind,ratio\n2024-01-02,spin-off,2:1\n", "line 2, kind"),
    ("--corporate-actions", "a,b\n", "expected the columns"),
    ("--funding", "ts,rate\n2024-01-02,much\n", "line 2, rate"),
    ("--funding", "ts,rate\n2024-01-02,1\n2024-01-02,2\n", "line 3, time"),
])
def test_a_file_that_cannot_be_read_is_refused_with_its_line(run, tmp_path, flag, text, said):
    refused = run(CLOSES, flag, write(tmp_path / "wrong.csv", text), check=False)
    assert refused.returncode == 1
    assert said in refused.stderr and "wrong.csv" in refused.stderr


def test_a_real_split_of_apple(cli, test_data, tmp_path):
    """7:1 on 2014-06-09 by the recorded closes: a long position over that day keeps its worth."""
    actions = write(tmp_path / "aapl.csv", "date,symbol,kind,ratio\n2014-06-09,AAPL,split,7:1\n")
    ran = cli("backtest", "--strategy", "ema-cross", "--param", "fast=10", "--param", "slow=20",
              "--param", "quantity=7", "--param", "mode=long_only", "--param", "warmup=20", "--param", "act_on=state",
              "--data", test_data / "bars" / "us_equity_daily.csv.gz", "--instrument", "AAPL",
              "--corporate-actions", actions, "--json")
    report = ran.json
    assert any("1 splits" in said for said in report["assumptions"])
    at = 1_402_272_000 * 10**9
    held, sold = Decimal(0), None
    for fill in report["fills"]:
        signed = Decimal(fill["quantity"]) * (1 if fill["side"] == "SIDE_BUY" else -1)
        if fill["ts_ns"] >= at and sold is None and held > 0:
            sold = signed
        held += signed
    assert sold == -49, "what was 7 is 49"


def test_the_simulated_market_has_no_split(server, cli):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    refused = cli("accounts", "split", "AAPL", "7:1", *link, check=False)
    assert refused.returncode == 1 and "NO_SPLIT_HERE" in refused.stderr
    wrong = cli("accounts", "split", "AAPL", "7", *link, check=False)
    assert wrong.returncode == 2 and "new:old" in wrong.stderr
