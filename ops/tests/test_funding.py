"""Funding of perpetual contracts: what the venue's journal says was paid is what the account has,
counted once more with decimals."""

import json
import time
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

import apexlib
import trading

GOLD = "GOLD-PERP.SIM"
RATE = Decimal("0.001")
INTERVAL_NS = 400_000_000
HUNDRED_MILLIONTH = Decimal("0.00000001")

# A rate of its own, since the interest of so short an interval would be nothing.
INSTRUMENTS = f"""
[instruments."{GOLD}"]
kind = "linear"
base_currency = "GOLD"
quote_currency = "USDT"
price_increment = "0.10"
quantity_increment = "0.01"
min_notional = "5"
initial_margin = "0.05"
maintenance_margin = "0.025"
funding_interval_ns = {INTERVAL_NS}
funding_rate = "{RATE}"
start_price = "2400"
"""


@pytest.fixture
def instruments(tmp_path):
    path = tmp_path / "instruments.toml"
    path.write_text(INSTRUMENTS)
    return path


def trade(client, name, side, quantity):
    client.call("OrderService", "SubmitOrder", trading.order(name, GOLD, side, quantity))

    def filled():
        found = client.call("OrderService", "GetOrder",
                            {"account_id": trading.ACCOUNT, "client_order_id": name})
        return found["status"] == "ORDER_STATUS_FILLED" and found

    return apexlib.until(f"the fill of {name}", filled)


def funding_of(client):
    """What the account was paid, in USDT; negative was paid by it."""
    return Decimal(trading.account(client)["funding"].get("USDT", "0"))


def cash_of(client):
    return Decimal(trading.account(client)["cash"]["USDT"])


def reports(venue):
    """The account's executions and payments in the venue's journal, in order."""
    found = []
    for line in (venue.data_dir / "venue.jsonl").read_bytes().split(b"\n")[:-1]:
        entry = json.loads(line)
        report = entry["entry"].get("report", {}).get("report", {})
        if entry["account_id"] == trading.ACCOUNT:
            found += [(kind, content) for kind, content in report.items()
                      if kind in ("Filled", "Funding")]
    return found


def check_payments(venue, gaps):
    """Counts every payment anew from position, mark and rate. Returns their sum and what was paid
    out for the trades; `gaps` says whether some may stand for several times."""
    position, funding, spent, last_time = Decimal(0), Decimal(0), Decimal(0), None
    for kind, content in reports(venue):
        if kind == "Filled":
            quantity = Decimal(content["last_quantity"]).scaleb(-2)
            signed = quantity if content["side"] == "Buy" else -quantity
            position += signed
            spent += signed * Decimal(content["last_price"]).scaleb(-1) + Decimal(content["fee"])
            continue
        payment = content["payment"]
        at = payment["ts_event"]
        assert at % INTERVAL_NS == 0
        assert payment["funding_id"] == f"F{at}"
        times = 1 if last_time is None else (at - last_time) // INTERVAL_NS
        assert times >= 1, "paid twice"
        assert gaps or times == 1, "a time was left out"
        last_time = at
        assert Decimal(content["rate"]) == RATE
        once = -(position * Decimal(content["mark"]).scaleb(-1) * RATE).quantize(
            HUNDRED_MILLIONTH, ROUND_HALF_EVEN)
        assert Decimal(payment["amount"]) == once * times
        funding += once * times
    assert position == 0
    return funding, spent


def test_the_market_inside_pays_and_goes_on_after_a_kill(make_server, instruments):
    server = make_server("up", "--feed", "sim", "--instruments", instruments).start()
    with server.grpc() as client:
        trading.market(client, GOLD)
        trade(client, "buy", "BUY", "2.00")
        first = apexlib.until("funding", lambda: funding_of(client))
        assert first < 0, "a long pays at a rate above zero"
    server.kill()
    time.sleep(3 * INTERVAL_NS / 1e9)
    server.start()
    with server.grpc() as client:
        # At half of the start price the mark cannot be: three times at least came at once.
        least = 3 * 2 * 1200 * RATE
        apexlib.until("what was missed", lambda: funding_of(client) <= first - least)
        trade(client, "sell", "SELL", "2.00")
        held = trading.account(client)
        assert trading.account(client)["funding"] == held["funding"], "flat, so nothing is paid"


def test_what_the_venue_paid_is_what_the_account_has(venue, make_server, instruments):
    venue.kill()
    venue.start("--instruments", str(instruments))
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        trading.market(client, GOLD)
        before = cash_of(client)
        trade(client, "buy", "BUY", "3.00")
        apexlib.until("two payments", lambda: len(
            [kind for kind, _ in reports(venue) if kind == "Funding"]) >= 2)
        trade(client, "turn", "SELL", "5.00")
        apexlib.until("a payment to the short", lambda: [
            kind for kind, _ in reports(venue)][-1] == "Funding")
        trade(client, "flat", "BUY", "2.00")
        funding, spent = check_payments(venue, gaps=False)
        apexlib.until("all of it", lambda: funding_of(client) == funding)
        assert cash_of(client) == before - spent + funding


def test_no_payment_is_lost_or_made_twice_over_kills(venue, make_server, instruments):
    venue.kill()
    venue.start("--instruments", str(instruments))
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        trading.market(client, GOLD)
        before = cash_of(client)
        trade(client, "buy", "BUY", "1.50")
        apexlib.until("a payment", lambda: funding_of(client) < 0)
        # Over several times of payment the venue is not there, then the account.
        venue.kill()
        time.sleep(3 * INTERVAL_NS / 1e9)
        venue.start("--instruments", str(instruments))
        count = len(reports(venue))
        apexlib.until("payments after the venue's restart", lambda: len(reports(venue)) > count)
    server.kill()
    count = len(reports(venue))
    apexlib.until("payments while the account is away", lambda: len(reports(venue)) > count + 2)
    server.start()
    with server.grpc() as client:
        trade(client, "sell", "SELL", "1.50")
        funding, spent = check_payments(venue, gaps=True)
        apexlib.until("all of it", lambda: funding_of(client) == funding)
        assert cash_of(client) == before - spent + funding
        open_differences = client.call(
            "AccountService", "GetReconciliation", {"account_id": trading.ACCOUNT})
        assert not open_differences.get("differences")
