"""Recorded bars are compared with those that the engine makes of the recorded trades."""

import json

import grpc
import pytest

import apexlib
import trading
from trading import BTC, resting

MINUTE = 60_000_000_000


def recorded(client):
    return trading.pages(client, "MarketDataService", "GetTrades", "trades",
                         {"instrument_id": BTC})


def filled(server):
    """Returns once some trades are recorded."""
    with server.grpc() as client:
        apexlib.until("thirty prints", lambda: len(recorded(client)) >= 30, 60)


def test_a_data_folder_is_checked_once_nobody_has_it(make_server, cli, tmp_path):
    server = make_server("up").start()
    filled(server)
    data = ("--data-dir", server.data_dir)
    busy = cli("bars", "check", *data, check=False)
    assert busy.returncode == 1 and "is in use by" in busy.stderr, busy.stderr
    assert server.stop() == 0
    found = cli("bars", "check", "--json", *data).json
    assert found["equal"] and found["compared"] >= 4 and found["first_difference"] is None
    names = [one["instrument_id"] for one in found["instruments"]]
    assert BTC in names and names == sorted(names)
    one = cli("bars", "check", "BTCUSDT", "--json", *data).json
    assert [BTC] == [one["instrument_id"] for one in one["instruments"]]
    assert 4 <= one["compared"] < found["compared"] or len(names) == 1
    before = cli("bars", "check", "--to", "2020-01-01", "--json", *data).json
    assert before["equal"] and before["compared"] == 0
    unknown = cli("bars", "check", "NOSUCH", *data, check=False)
    assert unknown.returncode == 1 and "nothing was recorded of instrument NOSUCH.SIM" \
        in unknown.stderr
    missing = cli("bars", "check", "--data-dir", tmp_path / "mistyped", check=False)
    assert missing.returncode == 1 and "there is no folder" in missing.stderr


def test_a_changed_bar_of_a_database_is_found_while_a_node_records(make_server, postgres, cli):
    env = {"APEX_TIMESCALE_URL": postgres.url}
    server = make_server("up", env=env).start()
    filled(server)
    if postgres.query("SELECT layout FROM series_layout") != "plain":
        pytest.skip("on TimescaleDB roll-ups are made by the extension")
    first = int(postgres.query("SELECT min(minute) FROM (SELECT ts_event_ns / 60000000000 * "
                               "60000000000 AS minute FROM series_trade JOIN series_stream USING "
                               "(stream_no) JOIN series_instrument USING (instrument_no) "
                               f"WHERE instrument_id = '{BTC}') AS of"))
    # Its own minute is over: nothing more marks it.
    with server.grpc() as client:
        apexlib.until("the next minute",
                      lambda: int(recorded(client)[-1]["ts_event_ns"]) >= first + MINUTE, 90)
    equal = cli("bars", "check", "BTCUSDT", "--json", env=env).json
    assert equal["equal"] and equal["differ"] == 0
    cell = (f"WHERE interval_ns = {MINUTE} AND ts_open_ns = {first} AND stream_no = (SELECT "
            "stream_no FROM series_stream JOIN series_instrument USING (instrument_no) "
            f"WHERE instrument_id = '{BTC}' AND name = 'trades')")
    postgres.query(f"UPDATE series_rolled SET trade_count = trade_count + 1000 {cell}")
    done = cli("bars", "check", "--json", env=env, check=False)
    assert done.returncode == 1
    found = done.json
    # Longer bars are made of it as soon as another trade of theirs comes.
    assert not found["equal"] and 1 <= found["differ"] <= 4
    difference = found["first_difference"]
    made = int(difference.pop("made"))
    assert difference == {"instrument_id": BTC, "interval": "1m", "interval_ns": MINUTE,
                          "ts_open_ns": first, "field": "trade_count", "stored": str(made + 1000)}
    said = cli("bars", "check", "BTCUSDT", env=env, check=False)
    assert said.returncode == 1 and "differs: the 1m bar of BTCUSDT.SIM" in said.stdout
    # As the guide says.
    postgres.query(f"INSERT INTO series_dirty SELECT stream_no, {first} FROM series_stream "
                   f"JOIN series_instrument USING (instrument_no) WHERE instrument_id = '{BTC}' "
                   "AND name = 'trades' ON CONFLICT DO NOTHING")
    assert cli("bars", "check", "--json", env=env).json["equal"]
    metrics = server.get("/metrics")[1].decode()
    assert "apex_bars_compared_total" in metrics and "apex_bars_differ_total 0" in metrics


def recorder_of(server):
    status, body = server.get("/ready")
    found = json.loads(body)
    return status, [one for one in found["dependencies"] if one["name"] == "recorder"]


def test_a_recorder_that_cannot_write_degrades_a_node_that_trades_on(make_server, postgres):
    server = make_server("up", env={"APEX_TIMESCALE_URL": postgres.url}).start()
    filled(server)
    status, recorder = recorder_of(server)
    assert status == 200 and recorder[0]["ok"] and not recorder[0]["degraded"], recorder
    postgres.kill()
    apexlib.until("a degraded recorder", lambda: recorder_of(server)[1][0]["degraded"], 60)
    status, recorder = recorder_of(server)
    assert status == 200 and recorder[0]["ok"], "orders do not wait for it"
    assert "APEX_TIMESCALE_URL" in recorder[0]["detail"]
    assert "start that server" in recorder[0]["detail"]
    assert "apex_recorder_failing 1" in server.get("/metrics")[1].decode()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("meanwhile", at))
        with pytest.raises(grpc.RpcError):
            recorded(client)
    postgres.start()
    apexlib.until("a recorder that is well",
                  lambda: not recorder_of(server)[1][0]["degraded"], 60)
