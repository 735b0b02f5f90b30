"""Every indicator against two independent libraries, on recorded and on generated bars.

A library may begin otherwise than we do. Then `settle` says how many bars the comparison waits
for, and `why` what is different; without it every value that both have is compared.
"""

import csv
import gzip
import random
from datetime import datetime, timedelta, timezone
from itertools import groupby

import numpy
import pandas
import pandas_ta_classic
import pytest
import talib
import talipp.indicators as talipp
import tulipy
from talipp.ohlcv import OHLCV

# Relative above one, absolute below. The libraries keep running sums that lose some digits.
TOLERANCE = 1e-7
# Bars after which the seed of an exponential average with a period up to 30 is below TOLERANCE.
SETTLED = 600

SEED_MEAN = "seeds its exponential average with a mean, we with the first input"
SEED_CHAIN = "begins the inner averages at other bars than we do"
SEED_SUM = "starts Wilder's sums one bar earlier than we do"
SEED_FIRST = "takes high - low of the first bar as its true range, we have none"
SEED_TREND = "begins with another direction"
# Typical prices that are the same in decimals are parted by rounding, which depends on the order
# of the sum; such a bar stays in the window for a period.
TIES = "rounds the typical price otherwise, so equal ones rise here and fall there"
REVERSAL = "lets the stop enter the bars of a reversal"
RATCHET = "holds only the band of the present direction"


class Bars:
    """Columns of a file, and the file."""

    def __init__(self, path, rows, instrument=None):
        self.path, self.instrument = path, instrument
        self.times = [row.get("date") or row["timestamp"] for row in rows]
        for name in ("open", "high", "low", "close", "volume"):
            setattr(self, name, numpy.array([float(row[name]) for row in rows]))
        self.hlc = (self.high, self.low, self.close)
        self.hlcv = (*self.hlc, self.volume)

    def ohlcv(self):
        columns = zip(self.open, *self.hlcv)
        return [OHLCV(*map(float, row)) for row in columns]

    def days(self):
        """The bars of each UTC day."""
        dated = zip(self.times, self.ohlcv())
        for _, day in groupby(dated, key=lambda pair: pair[0][:10]):
            yield [bar for _, bar in day]


def generated(path):
    """A walk by a seeded generator, a bar a minute over two days."""
    chance, price = random.Random(7), 100.0
    moment = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
    rows = []
    for _ in range(1_500):
        first = price
        price = max(1.0, price + chance.gauss(0, 0.5))
        high = max(first, price) + abs(chance.gauss(0, 0.2))
        low = min(first, price) - abs(chance.gauss(0, 0.2))
        cells = [f"{one:.2f}" for one in (first, high, low, price)]
        rows.append(dict(zip(
            ("timestamp", "open", "high", "low", "close", "volume"),
            (moment.strftime("%Y-%m-%d %H:%M:%S"), *cells, str(chance.randint(1, 9_999))))))
        moment += timedelta(minutes=1)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return Bars(path, rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("bars") / "walk.csv")


def recorded(test_data, name, symbol=None):
    path = test_data / "bars" / name
    with gzip.open(path, "rt") as file:
        rows = [row for row in csv.DictReader(file) if symbol in (None, row.get("symbol"))]
    return Bars(path, rows, symbol)


def tulip(function, *arguments):
    """Its answers are shorter by the warm-up: pad them in front."""
    *columns, options = arguments
    out = function(*(numpy.ascontiguousarray(one) for one in columns), *options)
    out = out if isinstance(out, tuple) else (out,)
    size = len(columns[0])
    return [numpy.concatenate([numpy.full(size - len(one), numpy.nan), one]) for one in out]


def streamed(indicator, inputs, fields=None):
    """Feeds talipp, which answers None during the warm-up."""
    for one in inputs:
        indicator.add(one)
    values = list(indicator)
    if fields is None:
        return [numpy.array([numpy.nan if one is None else one for one in values])]
    cell = lambda one, field: numpy.nan if one is None else getattr(one, field)
    return [numpy.array([numpy.nan if cell(one, field) is None else cell(one, field)
                         for one in values], dtype=float) for field in fields]


def floats(column):
    return [float(one) for one in column]


def listed(out):
    return list(out) if isinstance(out, tuple) else [out]


def frame(bars):
    index = pandas.to_datetime(bars.times)
    return [pandas.Series(one, index=index) for one in bars.hlcv]


def supertrend_of_pandas(b):
    high, low, close, _ = frame(b)
    out = pandas_ta_classic.supertrend(high, low, close, length=10, multiplier=3.0)
    return [out.iloc[:, 0].to_numpy(), out.iloc[:, 1].to_numpy(dtype=float)]


def supertrend_of_talipp(b):
    values = list(talipp.SuperTrend(10, 3, input_values=b.ohlcv()))
    stop = [numpy.nan if one is None else one.value for one in values]
    return [numpy.array(stop, dtype=float)]


def vwap_of_talipp(b):
    days = [list(talipp.VWAP(input_values=day)) for day in b.days()]
    return [numpy.array([one for day in days for one in day], dtype=float)]


def keltner_of_talib(b):
    middle, width = talib.EMA(b.close, 20), 2.0 * talib.ATR(*b.hlc, 10)
    return [middle + width, middle, middle - width]


def donchian_of_talib(b):
    upper, lower = talib.MAX(b.high, 20), talib.MIN(b.low, 20)
    return [upper, (upper + lower) / 2, lower]


def adx_of_talib(b):
    return [talib.ADX(*b.hlc, 14), talib.PLUS_DI(*b.hlc, 14), talib.MINUS_DI(*b.hlc, 14)]


def adx_of_talipp(b):
    return streamed(talipp.ADX(14, 14), b.ohlcv(), ("adx", "plus_di", "minus_di"))


def dx_of_talipp(b):
    _, plus, minus = adx_of_talipp(b)
    return [100 * numpy.abs(plus - minus) / (plus + minus), plus, minus]


def sar_of_talipp(b):
    return streamed(talipp.ParabolicSAR(0.02, 0.02, 0.2), b.ohlcv(), ("value",))


def trix_of_pandas(b):
    out = pandas_ta_classic.trix(pandas.Series(b.close), length=15)
    return [out.iloc[:, 0].to_numpy()]


def aroon_of(down, up):
    return [up, down, up - down]


def from_library(make, settle=0, share=0.0, why=None):
    """What a library computes, from which bar on it has to agree, and at what share of the bars
    it may not."""
    assert (settle > 0 or share > 0) == (why is not None), "what is let go has its reason"
    return make, settle, share


def ta_close(function, *options, **more):
    return from_library(lambda b: listed(function(b.close, *options)), **more)


def ti_close(function, *options, **more):
    return from_library(lambda b: tulip(function, b.close, options), **more)


def ta_hlc(function, *options, **more):
    return from_library(lambda b: listed(function(*b.hlc, *options)), **more)


def ti_hlc(function, *options, **more):
    return from_library(lambda b: tulip(function, *b.hlc, options), **more)


LATE = {"settle": SETTLED}
# name: parameters, then the libraries. TA-Lib and tulipy where they have it, else talipp and
# pandas-ta-classic.
CASES = {
    "sma": ({"period": 20}, [ta_close(talib.SMA, 20), ti_close(tulipy.sma, 20)]),
    "wma": ({"period": 20}, [ta_close(talib.WMA, 20), ti_close(tulipy.wma, 20)]),
    "ema": ({"period": 20}, [ta_close(talib.EMA, 20, why=SEED_MEAN, **LATE),
                             ti_close(tulipy.ema, 20)]),
    "dema": ({"period": 20}, [ta_close(talib.DEMA, 20, why=SEED_MEAN, **LATE),
                              ti_close(tulipy.dema, 20, why=SEED_CHAIN, **LATE)]),
    "tema": ({"period": 20}, [ta_close(talib.TEMA, 20, why=SEED_MEAN, **LATE),
                              ti_close(tulipy.tema, 20, why=SEED_CHAIN, **LATE)]),
    "trix": ({"period": 15}, [ta_close(talib.TRIX, 15, why=SEED_MEAN, **LATE),
                              # That of tulipy divides by the new value.
                              from_library(trix_of_pandas, why=SEED_MEAN, **LATE)]),
    "kama": ({"period": 10}, [
        ta_close(talib.KAMA, 10),
        ti_close(tulipy.kama, 10)]),
    "hma": ({"period": 16}, [
        ti_close(tulipy.hma, 16),
        from_library(lambda b: streamed(talipp.HMA(16), floats(b.close)))]),
    "wilder": ({"period": 14}, [
        ti_close(tulipy.wilders, 14),
        from_library(lambda b: streamed(talipp.SMMA(14), floats(b.close)))]),
    "vwma": ({"period": 20}, [
        from_library(lambda b: tulip(tulipy.vwma, b.close, b.volume, (20,))),
        from_library(lambda b: streamed(talipp.VWMA(20), b.ohlcv()))]),
    "macd": ({}, [
        ta_close(talib.MACD, 12, 26, 9, why=SEED_MEAN, **LATE),
        # That of tulipy has constants of its own for 12 and 26.
        from_library(lambda b: streamed(talipp.MACD(12, 26, 9), floats(b.close),
                                        ("macd", "signal", "histogram")), why=SEED_MEAN, **LATE)]),
    "rsi": ({"period": 14}, [ta_close(talib.RSI, 14), ti_close(tulipy.rsi, 14)]),
    "true_range": ({}, [
        ta_hlc(talib.TRANGE),
        ti_hlc(tulipy.tr, settle=1, why=SEED_FIRST)]),
    "atr": ({"period": 14}, [ta_hlc(talib.ATR, 14),
                             ti_hlc(tulipy.atr, 14, why=SEED_FIRST, **LATE)]),
    "bollinger": ({"period": 20, "multiplier": 2}, [
        ta_close(talib.BBANDS, 20, 2.0, 2.0),
        from_library(lambda b: tulip(tulipy.bbands, b.close, (20, 2))[::-1])]),
    "donchian": ({"period": 20}, [
        from_library(donchian_of_talib),
        from_library(lambda b: streamed(talipp.DonchianChannels(20), b.ohlcv(),
                                        ("ub", "cb", "lb")))]),
    "keltner": ({}, [
        from_library(keltner_of_talib, why=SEED_MEAN, **LATE),
        from_library(lambda b: streamed(talipp.KeltnerChannels(20, 10, 2, 2), b.ohlcv(),
                                        ("ub", "cb", "lb")), why=SEED_MEAN, **LATE)]),
    "dx": ({"period": 14}, [ta_hlc(talib.DX, 14, why=SEED_SUM, **LATE),
                            from_library(dx_of_talipp, why=SEED_SUM, **LATE)]),
    "adx": ({"period": 14}, [
        from_library(adx_of_talib, why=SEED_SUM, **LATE),
        from_library(adx_of_talipp, why=SEED_SUM, **LATE)]),
    "stochastic_fast": ({"k_period": 14, "d_period": 3}, [
        ta_hlc(talib.STOCHF, 14, 3),
        ti_hlc(tulipy.stoch, 14, 1, 3)]),
    "stochastic_slow": ({"k_period": 14, "smoothing": 3, "d_period": 3}, [
        ta_hlc(talib.STOCH, 14, 3, 0, 3),
        ti_hlc(tulipy.stoch, 14, 3, 3)]),
    "stochastic_rsi": ({"smoothing": 1}, [
        ta_close(talib.STOCHRSI, 14, 14, 3),
        from_library(lambda b: streamed(talipp.StochRSI(14, 14, 1, 3), floats(b.close),
                                        ("k", "d")))]),
    "cci": ({"period": 20}, [
        ta_hlc(talib.CCI, 20),
        from_library(lambda b: streamed(talipp.CCI(20), b.ohlcv()))]),
    "williams_r": ({"period": 14}, [ta_hlc(talib.WILLR, 14), ti_hlc(tulipy.willr, 14)]),
    "roc": ({"period": 10}, [
        ta_close(talib.ROC, 10),
        from_library(lambda b: [100 * one for one in tulip(tulipy.roc, b.close, (10,))])]),
    "momentum": ({"period": 10}, [ta_close(talib.MOM, 10), ti_close(tulipy.mom, 10)]),
    "obv": ({}, [
        # TA-Lib begins with the first volume, we and tulipy with zero.
        from_library(lambda b: [talib.OBV(b.close, b.volume) - b.volume[0]]),
        from_library(lambda b: tulip(tulipy.obv, b.close, b.volume, ()))]),
    "mfi": ({"period": 14}, [
        from_library(lambda b: [talib.MFI(*b.hlcv, 14)], share=0.03, why=TIES),
        from_library(lambda b: tulip(tulipy.mfi, *b.hlcv, (14,)), share=0.03, why=TIES)]),
    "aroon": ({"period": 25}, [
        from_library(lambda b: aroon_of(*talib.AROON(b.high, b.low, 25))),
        from_library(lambda b: aroon_of(*tulip(tulipy.aroon, b.high, b.low, (25,))))]),
    "parabolic_sar": ({"step": "0.02", "max_step": "0.2"}, [
        from_library(lambda b: [talib.SAR(b.high, b.low, 0.02, 0.2)]),
        from_library(sar_of_talipp, share=0.03, why=f"{SEED_TREND}, {REVERSAL}", **LATE)]),
    "standard_deviation": ({"period": 20}, [ta_close(talib.STDDEV, 20, 1.0),
                                            ti_close(tulipy.stddev, 20)]),
    "linear_regression_slope": ({"period": 14}, [ta_close(talib.LINEARREG_SLOPE, 14),
                                                 ti_close(tulipy.linregslope, 14)]),
    "supertrend": ({"period": 10, "multiplier": 3}, [
        from_library(supertrend_of_pandas, share=0.04, why=f"{SEED_TREND}, {RATCHET}", **LATE),
        from_library(supertrend_of_talipp, why=SEED_TREND, **LATE)]),
    "vwap": ({}, [
        from_library(vwap_of_talipp),
        from_library(lambda b: [pandas_ta_classic.vwap(*frame(b), anchor="D").to_numpy()])]),
}


def ours(cli, name, parameters, bars):
    """The columns that the platform computes, NaN where it has none."""
    flags = [word for pair in parameters.items() for word in ("--param", "=".join(map(str, pair)))]
    chosen = ["--instrument", bars.instrument] if bars.instrument else []
    out = cli("indicators", "compute", name, "--data", bars.path, *chosen, *flags).stdout
    _, *rows = csv.reader(out.splitlines())
    assert len(rows) == len(bars.close)
    cell = lambda text: float(text) if text else numpy.nan
    return [numpy.array([cell(one) for one in column]) for column in list(zip(*rows))[1:]]


def compare(name, cli, bars):
    parameters, libraries = CASES[name]
    columns = ours(cli, name, parameters, bars)
    assert len(libraries) == 2
    for place, (make, settle, share) in enumerate(libraries):
        # A library may have fewer outputs than we.
        for output, (mine, theirs) in enumerate(zip(columns, make(bars))):
            both = ~(numpy.isnan(mine) | numpy.isnan(theirs))
            both[:settle] = False
            assert both.sum() > len(mine) / 2, (name, place, output, both.sum())
            apart = numpy.abs(mine - theirs) / numpy.maximum(1.0, numpy.abs(theirs))
            wrong = numpy.flatnonzero(both & (apart > TOLERANCE))
            assert len(wrong) <= share * both.sum(), (
                name, place, output, len(wrong), wrong[0], mine[wrong[0]], theirs[wrong[0]])


@pytest.mark.parametrize("name", CASES)
def test_it_agrees_with_two_libraries_on_generated_bars(name, cli, made):
    compare(name, cli, made)


@pytest.mark.parametrize("name", CASES)
def test_it_agrees_with_two_libraries_on_recorded_bars(name, cli, test_data):
    # A day is a session, so the price of one needs bars within it.
    if name == "vwap":
        compare(name, cli, recorded(test_data, "btcperp_minute_202201.csv.gz"))
    else:
        compare(name, cli, recorded(test_data, "us_equity_daily.csv.gz", "SPY"))


def test_the_list_has_each_with_its_warm_up_and_each_is_compared(cli, made):
    listing = cli("indicators", "--json").json["indicators"]
    assert [one["name"] for one in listing] == sorted(CASES)
    for one in listing:
        answer = cli("indicators", "compute", one["name"], "--data", made.path, "--json").json
        ready = [all(row[name] is not None for name in one["outputs"]) for row in answer["rows"]]
        assert ready.index(True) + 1 == one["warm_up"] == answer["warm_up"], one["name"]
        assert all(ready[one["warm_up"]:]) and answer["refused_rows"] == 0


@pytest.mark.parametrize("words, wanted", [
    (["smaa"], "smaa"),
    (["sma", "--param", "period=0"], "period"),
    (["sma", "--param", "length=3"], "length"),
    (["macd", "--param", "fast=30"], "fast"),
    (["bollinger", "--param", "multiplier=NaN"], "multiplier"),
])
def test_what_cannot_be_computed_is_named_in_one_line(words, wanted, cli, made):
    done = cli("indicators", "compute", *words, "--data", made.path, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert wanted in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
