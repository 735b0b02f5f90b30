"""The models of the simulated venue, chosen by flags and settings: each against a sum of its own."""

from decimal import ROUND_CEILING, Decimal

import pytest

import apexlib
from trading import ACCOUNT, BTC, market, order, when_order

MINUTE = 60_000_000_000
START = 1_700_000_040_000_000_000
STEP = Decimal("0.01")
QUANTITY = Decimal(100)
VOLUME = 200


def bars():
    """Minute bars that rise and fall for forty minutes each: (open, high, low, close) in cents."""
    level, rows = 10_000, []
    for number in range(240):
        rises = number // 40 % 2 == 0
        opens, level = level + 3, level + (11 if rises else -9)
        # The high is always further from the open than the low is.
        rows.append((opens, max(opens, level) + 50, min(opens, level) - 20, level))
    return rows


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "DATA.csv"
    cents = lambda value: f"{value / 100:.2f}"
    lines = [f"{START + MINUTE * number}," + ",".join(map(cents, row)) + f",{VOLUME}"
             for number, row in enumerate(bars())]
    path.write_text("ts_ns,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def backtest(cli, data):
    def run(*words, **options):
        return cli("backtest", "--strategy", "ema-cross", "--data", data, "--param", "fast=3",
                   "--param", "slow=8", "--param", f"quantity={QUANTITY}", "--param", "warmup=8",
                   "--param", "mode=long_only", "--param", "act_on=cross", *words, "--json",
                   **options)
    return run


def decisions():
    """The bars at whose close the averages have crossed, with the side that follows."""
    fast = slow = above = None
    found = []
    for number, (_, _, _, cents) in enumerate(bars()):
        close = cents / 100
        fast = close if fast is None else 2 / 4 * close + (1 - 2 / 4) * fast
        slow = close if slow is None else 2 / 9 * close + (1 - 2 / 9) * slow
        if number >= 8:
            if above is not None and (fast > slow) != above:
                found.append((number, "SIDE_BUY" if fast > slow else "SIDE_SELL"))
            above = fast > slow
    # A first sale has nothing to sell.
    return found if found[0][1] == "SIDE_BUY" else found[1:]


def fills(report):
    return [(one["ts_ns"], one["side"], Decimal(one["quantity"]), Decimal(one["price"]))
            for one in report["fills"]]


def at_open(bars_later):
    """Each decision filled whole at the open of a later bar."""
    rows = bars()
    return [(START + MINUTE * (number + bars_later), side, QUANTITY,
             Decimal(rows[number + bars_later][0]) / 100) for number, side in decisions()]


def test_no_choice_and_the_default_ones_are_the_same_run(backtest):
    plain = backtest().json
    assert fills(plain) == at_open(1) and len(plain["fills"]) >= 4
    chosen = backtest("--latency", "none", "--bar-path", "adaptive", "--bar-volume", "unlimited",
                      "--slippage", "none", "--fee", "none", "--price-collar", "none").json
    assert chosen["fills"] == plain["fills"]
    assert chosen["state_hash"] == plain["state_hash"]
    assert any("no latency" in one for one in plain["assumptions"])
    assert not any(one.startswith(("latency", "bar-path")) for one in plain["assumptions"])


@pytest.mark.parametrize("latency, later", [
    ("5ms/none", 1), ("59s/none", 1), ("60s/none", 2), ("90s/none", 2), ("150s/none", 3),
    ("samples:90s,90s/none", 2), ("5ms", 1),
])
def test_an_order_meets_the_first_bar_after_its_arrival(latency, later, backtest):
    report = backtest("--latency", latency).json
    assert fills(report) == at_open(later)
    said = [one for one in report["assumptions"] if one.startswith("latency ")]
    assert len(said) == 1 and not any("no latency" in one for one in report["assumptions"])


def test_a_latency_of_lots_follows_the_seed(backtest):
    one, same, other = (backtest("--latency", "tail:10s:60s", "--seed", seed).json
                        for seed in (1, 1, 2))
    assert one["fills"] == same["fills"] != other["fills"]
    assert any(said.startswith("seed 1: what is random") for said in one["assumptions"])


@pytest.mark.parametrize("slippage, worse", [
    ("7bps", lambda price: (price * 7 / 10_000 / STEP).to_integral_value(ROUND_CEILING) * STEP),
    ("3ticks", lambda price: 3 * STEP),
])
def test_slippage_makes_each_price_worse_by_what_it_says(slippage, worse, backtest):
    report = backtest("--slippage", slippage).json
    expected = [(time, side, quantity,
                 price + worse(price) if side == "SIDE_BUY" else price - worse(price))
                for time, side, quantity, price in at_open(1)]
    assert fills(report) == expected
    assert any(one.startswith(f"slippage {slippage}") for one in report["assumptions"])
    if slippage == "7bps":
        assert fills(backtest("--slippage-bps", "7").json) == expected


@pytest.mark.parametrize("fee, expected", [
    ("per-share:0.005", lambda price: QUANTITY * Decimal("0.005")),
    ("per-share:0.005:min:1.25", lambda price: Decimal("1.25")),
    ("per-share:0.02:min:1.25", lambda price: QUANTITY * Decimal("0.02")),
    ("-1bps:5bps", lambda price: QUANTITY * price * 5 / 10_000),  # Each of them takes.
    ("2.5bps", lambda price: QUANTITY * price * Decimal("2.5") / 10_000),
])
def test_fees_are_exact(fee, expected, backtest):
    report = backtest("--fee", fee).json
    assert fills(report) == at_open(1)
    found = [Decimal(one["fee"]) for one in report["fills"]]
    assert found == [expected(price) for _, _, _, price in at_open(1)]
    assert Decimal(report["fees"]) == sum(found)
    assert any(one.startswith(f"fee {fee}") for one in report["assumptions"])
    assert "no fee" not in report["assumptions"]


@pytest.mark.parametrize("path, extreme", [
    ("high-first", 1), ("low-first", 2), ("adaptive", 2),
])
def test_quarters_fill_half_at_the_open_and_half_at_the_first_extreme(path, extreme, backtest):
    report = backtest("--bar-volume", "quarters", "--bar-path", path).json
    rows, expected = bars(), []
    for number, side in decisions():
        time, row = START + MINUTE * (number + 1), rows[number + 1]
        expected += [(time, side, Decimal(VOLUME // 4), Decimal(row[at]) / 100)
                     for at in (0, extreme)]
    assert fills(report) == expected


BAD = [
    ("--latency", "fast", "tail:BASE:MEAN"),
    ("--latency", "8d", "up to 7d"),
    ("--fee", "1:5", "per-share:MONEY"),
    ("--price-collar", "2", "a share from 0 to 1"),
    ("--queue", "middle", "back, proportional or front"),
    ("--slippage", "5", "2ticks"),
    ("--bar-path", "ohlc", "adaptive, high-first or low-first"),
    ("--bar-volume", "half", "unlimited or quarters"),
]


@pytest.mark.parametrize("flag, value, allowed", BAD)
def test_a_wrong_word_names_its_flag_and_what_is_allowed(flag, value, allowed, backtest, cli):
    runs = [backtest(flag, value, check=False)]
    if flag not in ("--bar-path", "--bar-volume"):
        runs += [cli("replay", "none.gz", flag, value, check=False),
                 cli("up", flag, value, check=False)]
    if flag in ("--latency", "--fee", "--price-collar"):
        runs.append(cli("venue-sim", flag, value, check=False))
    for done in runs:
        assert done.returncode == 2, done.stderr
        said = " ".join(done.stderr.split())
        assert flag in said and f'"{value}"' in said and allowed in said, said


def test_a_model_where_it_changes_nothing_is_refused(backtest, cli):
    for done in (backtest("--queue", "front", check=False),
                 cli("up", "--queue", "front", check=False)):
        assert done.returncode == 2, done.stderr
        assert "queue does not go with" in done.stderr and "latency" in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    both = backtest("--fee", "5bps", "--fee-bps", "5", check=False)
    assert both.returncode == 2 and "--fee-bps" in both.stderr


def test_settings_choose_models_and_flags_come_before_them(backtest, tmp_path):
    settings = tmp_path / "models.toml"
    settings.write_text('[simulation]\nlatency = "90s/none"\nfee = "5bps"\nqueue = "front"\n')
    report = backtest("--config", settings).json
    assert fills(report) == at_open(2)
    assert Decimal(report["fees"]) > 0
    assert not any("queue" in one for one in report["assumptions"]), "it does not go with bars"
    fee = {"APEX_SIMULATION_FEE": "none"}
    assert Decimal(backtest("--config", settings, env=fee).json["fees"]) == 0
    assert fills(backtest("--config", settings, "--latency", "none").json) == at_open(1)
    taker = sum(QUANTITY * price / 1_000 for _, _, _, price in at_open(2))
    assert Decimal(backtest("--config", settings, "--fee-bps", "10").json["fees"]) == taker
    settings.write_text('[simulation]\nlatncy = "90s"\n')
    done = backtest("--config", settings, check=False)
    assert done.returncode == 1 and "simulation_latency" in done.stderr, done.stderr
    settings.write_text('[simulation]\nlatency = "soon"\n')
    done = backtest("--config", settings, check=False)
    assert done.returncode == 2 and "[simulation]" in done.stderr and "tail:" in done.stderr


# Replays.

BID, AHEAD = "99.00", 5


@pytest.fixture
def recording(tmp_path):
    """A book that stands, then, after `seconds`, 2 are sold at a bid of 5; then it stands again."""
    def write(seconds):
        def frame(at_ns, stream, data):
            return f'{at_ns} {{"stream":"btcusdt@{stream}","data":{data}}}'

        def depth(at_ns, number):
            return frame(at_ns, "depth@100ms",
                         f'{{"e":"depthUpdate","E":{at_ns // 1_000_000},"s":"BTCUSDT",'
                         f'"U":{number},"u":{number},"b":[["50.00","{number}.000"]],"a":[]}}')

        sold = START + int(seconds * 1_000_000_000)
        trade = (f'{{"e":"trade","E":{sold // 1_000_000},"s":"BTCUSDT","t":1,"p":"{BID}",'
                 f'"q":"2.000","T":{sold // 1_000_000},"m":true}}')
        lines = [f'{START} {{"lastUpdateId":100,"bids":[["{BID}","{AHEAD}.000"]],'
                 f'"asks":[["111.00","5.000"]]}}',
                 depth(START + 1_000_000, 101), frame(sold, "trade", trade),
                 depth(sold + 100_000_000, 102)]
        path = tmp_path / "market.txt"
        path.write_text("\n".join(lines) + "\n")
        return path
    return write


@pytest.mark.parametrize("queue, filled", [("back", "0"), ("front", "2")])
def test_the_front_of_the_queue_fills_what_its_back_does_not(
        queue, filled, make_server, recording):
    server = make_server("up", "--replay", recording(6), "--queue", queue).start()
    with server.grpc() as client:
        client.call("OrderService", "SubmitOrder",
                    order("q-1", "BTCUSDT.BINANCE", "BUY", "3.000", BID))
        when_order(client, "q-1", "ORDER_STATUS_ACCEPTED")

        def after_the_sale():
            found = client.call("MarketDataService", "GetBook",
                                {"instrument_id": "BTCUSDT.BINANCE", "depth": 5})
            return [one for one in found["bids"] if Decimal(one["quantity"]) == 102]

        apexlib.until("the last frame", after_the_sale)
        found = client.call("OrderService", "GetOrder",
                            {"account_id": ACCOUNT, "client_order_id": "q-1"})
        assert Decimal(found["filled_quantity"]) == Decimal(filled)


def test_a_replay_states_its_models_and_takes_the_default_ones_for_none(cli, recording, tmp_path):
    def run(name, *words):
        return cli("replay", recording(1), *words, "--data-dir", tmp_path / name, "--json").json

    plain, none = run("plain"), run("none", "--latency", "none", "--queue", "back")
    assert plain["assumptions"] == []
    assert none["state_hash"] == plain["state_hash"]
    assert [one.split(":")[0] for one in none["assumptions"]] == ["latency none", "queue back"]


def test_what_is_under_way_arrives_although_the_market_stands_still(make_server, recording):
    server = make_server("up", "--replay", recording(1), "--speed", "max",
                         "--latency", "70ms/30ms").start()
    with server.grpc() as client:
        market(client, "BTCUSDT.BINANCE")
        client.call("OrderService", "SubmitOrder",
                    order("late-1", "BTCUSDT.BINANCE", "BUY", "1.000", "60.00"))
        done = when_order(client, "late-1", "ORDER_STATUS_ACCEPTED")
        # The clock of a replay is moved by what arrives and by nothing else.
        assert int(done["ts_updated_ns"]) - int(done["ts_created_ns"]) == 100_000_000


def test_an_unfinished_replay_goes_on_with_its_own_models_only(make_server, cli, recording):
    file = recording(30)
    server = make_server("up", "--replay", file, "--latency", "5000us").start()
    server.kill()
    refused = cli("replay", file, "--latency", "6ms", "--data-dir", server.data_dir, check=False)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "--latency 5ms" in refused.stderr and "--latency 6ms" in refused.stderr
    same = cli("replay", file, "--latency", "5ms", "--data-dir", server.data_dir, "--json")
    assert same.json["assumptions"][0].startswith("latency 5ms")


# In real time: what a clock shows is at least the latency.

def both_ways(client, milliseconds):
    at = market(client, BTC)
    client.call("OrderService", "SubmitOrder",
                order("slow-1", BTC, "BUY", str(at.quantity), at.price("0.9")))
    done = when_order(client, "slow-1", "ORDER_STATUS_ACCEPTED")
    took = int(done["ts_updated_ns"]) - int(done["ts_created_ns"])
    assert took >= 2 * milliseconds * 1_000_000, took


def test_the_market_inside_is_some_way_off(make_server):
    server = make_server("up", "--latency", "300ms", "--fee", "1bps:5bps",
                         "--price-collar", "0.25").start()
    with server.grpc() as client:
        found = client.call("InstrumentService", "GetInstrument", {"instrument_id": BTC})
        assert Decimal(found["price_collar"]) == Decimal("0.25")
        assert Decimal(found["taker_fee"]) == Decimal("0.0005")
        both_ways(client, 300)


def test_a_venue_sim_is_some_way_off(make_server, venue):
    venue.kill()
    venue.start("--latency", "300ms")
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        both_ways(client, 300)
