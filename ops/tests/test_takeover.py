"""An account that goes on from another data folder: what the first one acknowledged while the database
was away is neither forgotten nor passed over in silence."""

import json
import shutil

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, resting

FORCE = "--take-over-without-reserve"


@pytest.fixture
def start(make_server, venue, postgres):
    """Makes nodes of one database and one venue, each on a folder of its own unless it is given."""
    env = {"APEX_DATABASE_URL": postgres.url}
    return lambda *more, data_dir=None: make_server(
        "up", "--venue", venue.address, *more, data_dir=data_dir, env=env)


def halted_while_away(server, postgres):
    """An order is canceled and the account halted, both on the reserve alone; then a kill."""
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for name in ("keep-0", "keep-1"):
            client.call("OrderService", "SubmitOrder", resting(name, at))
            trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
        postgres.pause()
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "keep-0"}, seconds=30)
        trading.when_order(client, "keep-0", "ORDER_STATUS_CANCELED")
        client.call("RiskService", "Halt", {
            "account_id": ACCOUNT, "request_id": "drill", "reason": "drill"}, seconds=30)
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"
    server.kill()
    postgres.resume()


def test_another_folder_is_refused_and_forced_it_starts_halted(start, postgres, cli):
    first, second = start(), start()
    first.start()
    halted_while_away(first, postgres)
    epochs = "SELECT string_agg(account_id || epoch, ' ' ORDER BY account_id) FROM journal_account"
    before = postgres.query(epochs)
    with pytest.raises(AssertionError) as refused:
        second.start()
    text = str(refused.value)
    for words in ("account paper may have a reserve in", str(first.data_dir), "since 20",
                  "nothing was changed", FORCE):
        assert words in text, text
    assert postgres.query(epochs) == before
    # The same is told before a start, on either folder.
    env = {"APEX_DATABASE_URL": postgres.url}
    for data_dir, words in ((second.data_dir, f'{first.data_dir}" may hold a reserve of'),
                            (first.data_dir, "of account paper are in the data folder alone")):
        told = cli("doctor", "--json", "--data-dir", data_dir, env=env, check=False)
        check = next(one for one in told.json if one["name"] == "reserve")
        assert not check["ok"] and words in check["detail"] and check["fix"], check

    forced = start(FORCE, data_dir=second.data_dir).start()
    with forced.grpc() as client:
        account = trading.account(client)
        assert account["trading_state"] == "TRADING_STATE_HALTED", account
        at = trading.market(client, BTC)
        with pytest.raises(grpc.RpcError) as denied:
            client.call("OrderService", "SubmitOrder", resting("after", at))
        assert "TRADING_HALTED" in denied.value.details(), denied.value
        # What the venue did is reported by it.
        trading.when_order(client, "keep-0", "ORDER_STATUS_CANCELED")
        notes = list(trading.pages(client, "AuditService", "ListAuditRecords", "records",
                                   {"action": "Node/TookOverWithoutReserve"}))
        assert any(str(first.data_dir) in str(note) and "account paper" in str(note)
                   for note in notes), notes
    forced.stop()
    # It is accounted for, and nothing was lost of what is in the database.
    with pytest.raises(AssertionError, match="written by another owner since"):
        first.start()
    third = start().start()
    with third.grpc() as client:
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"
    third.stop()
    verified = cli("verify", "--json", "--data-dir", third.data_dir,
                   env=env)
    assert verified.json["ok"] is True
    # Moved away, what was accounted for is asked for no more.
    for name in ("paper", "=audit"):
        shutil.move(first.data_dir / "reserve" / name, first.data_dir / f"{name} moved away")
    # The others have made their tokens since.
    (first.data_dir / "admin.token").unlink()
    first.start()
    with first.grpc() as client:
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"


def test_a_reserve_that_was_moved_away_is_asked_for_and_forced_the_account_is_halted(
        start, postgres):
    first = start().start()
    halted_while_away(first, postgres)
    shutil.move(first.data_dir / "reserve" / ACCOUNT, first.data_dir / "moved away")
    with pytest.raises(AssertionError, match=f"reserve/{ACCOUNT}, moved away"):
        first.start()
    forced = start(FORCE, data_dir=first.data_dir).start()
    with forced.grpc() as client:
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"
        changes = trading.pages(client, "RiskService", "ListTradingStateChanges", "changes",
                                {"account_id": ACCOUNT})
        assert any("moved away" in one["reason"] for one in changes), changes


def test_the_folder_with_the_reserve_goes_on_and_an_orderly_end_lets_any_folder(start, postgres):
    first, second = start(), start()
    first.start()
    halted_while_away(first, postgres)
    first.start()
    with first.grpc() as client:
        account = trading.account(client)
        assert account["trading_state"] == "TRADING_STATE_HALTED", account
        assert trading.get_order(client, "keep-0")["status"] == "ORDER_STATUS_CANCELED"
        # What was done meanwhile is in the audit as well, though the process was killed.
        halts = list(trading.pages(client, "AuditService", "ListAuditRecords", "records",
                                   {"action": "RiskService/Halt"}))
        assert [one["code"] for one in halts] == ["OK"], halts
    first.stop()
    second.start()
    with second.grpc() as client:
        assert trading.account(client)["trading_state"] == "TRADING_STATE_HALTED"
        assert trading.get_order(client, "keep-0")["status"] == "ORDER_STATUS_CANCELED"


BARE = "BARE.SIM"
STOPS = 20

DEFINITION = f"""
[instruments."{BARE}"]
kind = "spot"
base_currency = "BARE"
quote_currency = "USDT"
price_increment = "0.01"
quantity_increment = "0.01"
start_price = "100"
walk_milliticks = 3000
lacks = ["stop"]
"""


def sent(venue):
    """The ids of the orders that the venue was sent, in their order."""
    lines = (venue.data_dir / "venue.jsonl").read_text().splitlines()
    entries = (json.loads(line)["entry"] for line in lines)
    orders = (entry.get("order") or entry.get("refused") for entry in entries)
    return [order["client_order_id"] for order in orders if order]


def test_a_stop_that_comes_due_while_the_database_is_away_waits_and_leaves_once(
        start, venue, postgres, tmp_path):
    path = tmp_path / "instruments.toml"
    path.write_text(DEFINITION)
    venue.kill()
    venue.start("--instruments", str(path))
    server = start().start()
    with server.grpc() as client:
        begun = trading.market(client, BARE)
        stops = {f"buy-{i}": begun.ask + i * 5 * begun.tick for i in range(1, STOPS)}
        for name, price in stops.items():
            client.call("OrderService", "SubmitOrder", trading.order(
                name, BARE, "BUY", "0.01", order_type="ORDER_TYPE_STOP", stop_price=str(price)))
        client.call("OrderService", "SubmitOrder", trading.order(
            "far", BARE, "BUY", "0.01", order_type="ORDER_TYPE_STOP",
            stop_price=str(2 * begun.ask)))
        postgres.pause()
        # It is noticed by what has to be durable.
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "far"}, seconds=30)
        apexlib.until("the account to be away", lambda: trading.account(client)["journal"]
                      == "JOURNAL_HEALTH_AWAY", 30)
        status, body = server.get("/ready")
        assert status == 503 and b"stops and other orders that come due wait" in body, body
        before = sent(venue)

        def one_is_met():
            ask = trading.market(client, BARE).ask
            return [name for name, price in stops.items() if name not in before and price < ask]

        met = apexlib.until("a stop's price", one_is_met, 120, pause=0.02)
        assert sent(venue) == before, "an order left on the reserve"
        postgres.resume()
        apexlib.until("the database", lambda: server.get("/ready")[0] == 200, 60)
        # By the market of now: it is met again, if the price has gone back meanwhile.
        apexlib.until(f"one of {met}", lambda: set(met) & set(sent(venue)), 120)
        client.call("OrderService", "CancelAllOrders", {"account_id": ACCOUNT}, seconds=60)
        apexlib.until("no working order", lambda: trading.settled(client) == [], 60)
    ids = sent(venue)
    assert len(ids) == len(set(ids)), "an order was sent twice"
