"""What an account says of its margin and of whose profit it is, against what its executions, its
orders and the instruments' rules come to. Only the marks are taken from the answer: open profit
says at which mark it was counted, and everything else has to follow from that."""

from decimal import Decimal

import apexlib
import trading
from trading import ACCOUNT, BTC, order

PERP = "BTCUSDT-PERP.SIM"


def rules(client, instrument_id):
    found = client.call("InstrumentService", "GetInstrument", {"instrument_id": instrument_id})
    return {key: Decimal(found[key] or found["initial_margin"])
            for key in ("initial_margin", "maintenance_margin", "taker_fee") if key in found}


def bought(client, instrument_id):
    """Quantity, cost and fees of an instrument by its executions; all of them buys."""
    rows = [row for row in trading.executions(client) if row["instrument_id"] == instrument_id]
    assert rows and {row["side"] for row in rows} == {"SIDE_BUY"}
    quantity = sum(Decimal(row["last_quantity"]) for row in rows)
    cost = sum(Decimal(row["last_quantity"]) * Decimal(row["last_price"]) for row in rows)
    return quantity, cost, sum(Decimal(row["fee"]) for row in rows)


def test_margin_and_attribution_follow_from_executions_and_rules(make_server):
    server = make_server("up").start()
    with server.grpc() as client:
        spot, perp = trading.market(client, BTC), trading.market(client, PERP)
        started = {key: Decimal(value) for key, value in trading.account(client)["cash"].items()}
        buys = [("spot", spot, spot.quantity * 3, "scalper"), ("perp", perp, Decimal(2), "swinger")]
        for name, at, quantity, strategy in buys:
            client.call("OrderService", "SubmitOrder", order(
                name, at.instrument_id, "BUY", quantity, strategy_id=strategy))
            trading.when_order(client, name, ["ORDER_STATUS_FILLED"])
        rest = Decimal(perp.price("0.9"))
        client.call("OrderService", "SubmitOrder", order("rests", PERP, "BUY", 1, rest))
        trading.settled(client)

        account = trading.account(client)
        of_perp, of_spot = rules(client, PERP), bought(client, BTC)
        quantity, cost, fees = bought(client, PERP)
        rows = {(row["strategy_id"], row["instrument_id"]): row for row in account["attribution"]}
        assert set(rows) == {("scalper", BTC), ("swinger", PERP)}
        assert account["attribution_partial"] is False
        for key, (_, _, paid) in ((("scalper", BTC), of_spot),
                                  (("swinger", PERP), (quantity, cost, fees))):
            row = rows[key]
            assert row["currency"] == "USDT"
            assert Decimal(row["fees"]) == paid
            assert Decimal(row["realized_pnl"]) == 0 and Decimal(row["funding"]) == 0
        assert all(Decimal(amount) == 0 for amount in account["funding"].values())
        opened = {key[1]: Decimal(row["unrealized_pnl"]) for key, row in rows.items()}
        assert Decimal(account["unrealized_pnl"]) == sum(opened.values())

        # Spot is paid, a contract pays its fee only.
        cash = started["USDT"] - of_spot[1] - of_spot[2] - fees
        assert Decimal(account["cash"]["USDT"]) == cash
        margin = account["margin"]
        assert margin["partial"] is False and account["partial"] is False
        others = Decimal(account["equity"]) - cash - of_spot[1] - sum(opened.values())
        assert Decimal(margin["collateral"]) == cash + others + opened[PERP]

        notional = cost + opened[PERP]
        part = {key: Decimal(value) for key, value in margin["by_instrument"][PERP].items()}
        assert set(margin["by_instrument"]) == {PERP}, "a paid spot position holds nothing"
        assert part["initial"] == notional * of_perp["initial_margin"]
        assert part["maintenance"] == notional * of_perp["maintenance_margin"]
        taker = Decimal("0.0005")
        assert part["reserved"] == rest * (of_perp["initial_margin"] + taker)
        for key in ("initial", "maintenance", "reserved"):
            assert Decimal(margin[key]) == part[key], key
        free = Decimal(margin["collateral"]) - part["initial"] - part["reserved"]
        assert Decimal(margin["free"]) == free
        ratio = part["maintenance"] / Decimal(margin["collateral"])
        assert abs(Decimal(margin["ratio"]) - ratio) < Decimal("1e-15")


def test_the_command_line_shows_the_margin_of_each_instrument(server, cli):
    with server.grpc() as client:
        perp = trading.market(client, PERP)
        client.call("OrderService", "SubmitOrder", order(
            "wide", PERP, "BUY", perp.quantity, perp.price("0.9")))
        trading.settled(client)
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    found = cli("accounts", *link, "--json").json["accounts"]
    mine = next(one for one in found if one["account_id"] == ACCOUNT)["margin"]
    reserved = mine["by_instrument"][PERP]["reserved"]
    assert Decimal(reserved) > 0
    text = cli("accounts", "--wide", *link).stdout
    row = next(line for line in text.splitlines() if PERP in line)
    assert reserved in row
    assert PERP not in cli("accounts", *link).stdout
