"""What the market said is recorded, and can be read while it goes on and after a restart."""

from decimal import Decimal

import apexlib
import grpc
import pytest
import trading
from trading import BTC

MINUTE = 60_000_000_000


def recorded(client, method, field, **request):
    return trading.pages(client, "MarketDataService", method, field,
                         {"instrument_id": BTC, **request})


def trades(client, **request):
    return recorded(client, "GetTrades", "trades", **request)


def bars_of(prints):
    """Open, high, low, close, volume and count of each minute, by the prints."""
    cells = {}
    for one in prints:
        cells.setdefault(int(one["ts_event_ns"]) // MINUTE * MINUTE, []).append(one)
    found = {}
    for start, cell in cells.items():
        prices = [Decimal(one["price"]) for one in cell]
        volume = sum(Decimal(one["quantity"]) for one in cell)
        found[start] = (prices[0], max(prices), min(prices), prices[-1], volume, len(cell))
    return found


def test_prints_and_their_bars_outlive_a_restart(make_server, cli):
    server = make_server("up").start()
    with server.grpc() as client:
        apexlib.until("twenty prints", lambda: len(trades(client)) >= 20, 60)
    assert server.stop() == 0
    server.start()
    with server.grpc() as client:
        before = trades(client)
        times = [int(one["ts_event_ns"]) for one in before]
        assert times == sorted(times)
        last = times[-1]
        # A restart goes on behind what there is.
        after = apexlib.until("prints of the second run", lambda: [
            one for one in trades(client) if int(one["ts_event_ns"]) > last], 60)
        assert after
        up_to = {"to_ns": last + 1}
        made = recorded(client, "GetBars", "bars", interval_ns=MINUTE,
                        to_ns=last // MINUTE * MINUTE)
        expected = bars_of(trades(client, **up_to))
        for bar in made:
            assert expected[int(bar["ts_open_ns"])] == (
                Decimal(bar["open"]), Decimal(bar["high"]), Decimal(bar["low"]),
                Decimal(bar["close"]), Decimal(bar["volume"]), int(bar["trade_count"]))
        assert len(made) == len(expected) - 1 if len(expected) > 1 else not made
        # Page by page it is the same.
        whole, paged, token = trades(client, **up_to), [], ""
        while True:
            page = client.call("MarketDataService", "GetTrades", {
                "instrument_id": BTC, "page_size": 7, "page_token": token, **up_to})
            paged += page["trades"]
            token = page["next_page_token"]
            if not token:
                break
        assert paged == whole
        shown = cli("bars", "BTCUSDT", "--json", "--gateway", server.url,
                    "--data-dir", server.data_dir).json["bars"]
        assert shown and Decimal(shown[-1]["low"]) <= Decimal(shown[-1]["high"])
        metrics = server.get("/metrics")[1].decode()
        assert "apex_recorder_failing 0" in metrics
        assert 'apex_recorder_rows_total{outcome="stored"}' in metrics


def test_what_is_not_recorded_says_so(make_server):
    server = make_server("up", env={"APEX_RECORD_TRADES_DAYS": "0"}).start()
    with server.grpc() as client:
        trading.market(client, BTC)
        for method, says in [("GetTrades", "APEX_RECORD_TRADES_DAYS"),
                             ("GetQuotes", "APEX_RECORD_QUOTES_DAYS")]:
            with pytest.raises(grpc.RpcError) as refused:
                client.call("MarketDataService", method, {"instrument_id": BTC})
            assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert says in refused.value.details()
            assert apexlib.error_details(refused.value)["ErrorInfo"]["reason"] == "NOT_RECORDED"


def test_bars_that_nobody_makes_are_refused_by_their_field(server):
    with server.grpc() as client:
        trading.market(client, BTC)
        with pytest.raises(grpc.RpcError) as refused:
            client.call("MarketDataService", "GetBars",
                        {"instrument_id": BTC, "interval_ns": 7})
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "interval_ns" in str(apexlib.error_details(refused.value))
