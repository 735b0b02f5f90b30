"""A venue without stops and icebergs: the account stands in for it, over a kill too, and the venue is
sent nothing that it lacks."""

import json

import apexlib
import trading
from trading import ACCOUNT
from watching import Watch

BARE = "BARE.SIM"

DEFINITION = f"""
[instruments."{BARE}"]
kind = "spot"
base_currency = "BARE"
quote_currency = "USDT"
price_increment = "0.01"
quantity_increment = "0.01"
start_price = "100"
walk_milliticks = 2000
lacks = ["stop", "iceberg", "day"]
"""


def sent(venue):
    """The orders that the venue was sent, in their order."""
    lines = (venue.data_dir / "venue.jsonl").read_text().splitlines()
    entries = (json.loads(line)["entry"] for line in lines)
    return [entry.get("order") or entry.get("refused") for entry in entries
            if "order" in entry or "refused" in entry]


def test_what_the_venue_lacks_is_done_by_the_account(venue, make_server, tmp_path):
    path = tmp_path / "instruments.toml"
    path.write_text(DEFINITION)
    venue.kill()
    venue.start("--instruments", str(path))
    server = make_server("up", "--venue", venue.address).start()
    with server.grpc() as client:
        market = trading.market(client, BARE)
        # One price that will be met, and one that will not.
        for name, price in (("near", market.ask), ("far", 2 * market.ask)):
            client.call("OrderService", "SubmitOrder", trading.order(
                name, BARE, "BUY", "0.5", order_type="ORDER_TYPE_STOP", stop_price=str(price),
                time_in_force="TIME_IN_FORCE_DAY"))
        far = trading.get_order(client, "far")
        assert (far["status"], far["held_for"]) == ("ORDER_STATUS_PENDING_NEW", "HOLD_EMULATED")
    server.kill()
    server.start()
    with Watch(server) as watch, server.grpc() as client:
        # It may have left before the kill, or behind it.
        trading.when_order(client, "near", "ORDER_STATUS_FILLED", 60)
        assert trading.get_order(client, "far")["held_for"] == "HOLD_EMULATED"
        market = trading.market(client, BARE)
        client.call("OrderService", "SubmitOrder", trading.order(
            "iceberg", BARE, "BUY", "0.5", str(2 * market.ask), display_quantity="0.2"))
        found = watch.when_done("iceberg")
        assert found["status"] == "ORDER_STATUS_FILLED", found
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "far"})
        apexlib.until("no working order", lambda: trading.settled(client) == [])
    orders = sent(venue)
    # The stop as the market order that it became, and the iceberg part by part.
    assert [order["order_type"] for order in orders] == ["Market"] + ["Limit"] * 3
    assert sum(order["quantity"] for order in orders[1:]) == 50
    assert all(order["terms"].get("display_quantity") is None for order in orders)
    assert all(order["time_in_force"] != "Day" for order in orders)
