"""Orders for the opening and the close trade there, and nowhere else: from the request over gRPC to
the auction of the exchange, whose sessions an operator opens and closes."""

import json

import apexlib
import trading
from trading import AAPL
from venuesim import Operator, VenueSim
from watching import Watch, check_kinds

def controls(venue):
    """The edges that the venue has in its journal."""
    lines = (venue.data_dir / "venue.jsonl").read_text().splitlines()
    entries = (json.loads(line)["entry"] for line in lines)
    return [entry["control"]["session"]["edge"] for entry in entries
            if "session" in entry.get("control", {})]


def submit(client, name, side, time_in_force, price):
    """One share; both sides together always trade in an auction."""
    client.call("OrderService", "SubmitOrder", trading.order(
        name, AAPL, side, "1", price, time_in_force=f"TIME_IN_FORCE_{time_in_force}"))
    trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")


def test_orders_for_the_opening_and_the_close_fill_in_their_auction(
        binary, tmp_path, make_server, calendar):
    calendar("XNYS")
    folder = tmp_path / "venue"
    folder.mkdir()
    venue = VenueSim(binary, folder, apexlib.free_port())
    try:
        venue.start("--calendar", "XNYS")
        server = make_server("up", "--venue", venue.address).start()
        operator = Operator(venue)
        edges = []
        with Watch(server) as watch, server.grpc() as client:
            market = trading.market(client, AAPL)
            low, high = (str(round(market.bid * share / 100, 2)) for share in (98, 102))

            def decide(edge):
                operator.session(AAPL, edge)
                edges.append(edge)
                apexlib.until("the venue has decided", lambda: controls(venue) == edges)

            # What is to be sold is bought first, whatever the hour is in New York.
            decide("open")
            client.call("OrderService", "SubmitOrder",
                        trading.order("stock", AAPL, "BUY", "2", high))
            watch.when_done("stock")
            for edge, time_in_force in (("close", "AT_OPEN"), ("open", "AT_CLOSE")):
                decide(edge)
                for side, price in (("BUY", high), ("SELL", low)):
                    submit(client, f"{time_in_force}-{side}", side, time_in_force, price)
            operator.session(AAPL, "close")
            names = [f"{when}-{side}" for when in ("AT_OPEN", "AT_CLOSE") for side in ("BUY", "SELL")]
            for name in names:
                found = watch.when_done(name)
                assert found["status"] == "ORDER_STATUS_FILLED", found
                assert found["filled_quantity"] == found["quantity"]
                check_kinds(watch.kinds(name), "INITIALIZED SUBMITTED ACCEPTED FILLED+")
            # All of an auction trade at one price.
            prices = {name: trading.get_order(client, name)["average_price"] for name in names}
            for when in ("AT_OPEN", "AT_CLOSE"):
                assert prices[f"{when}-BUY"] == prices[f"{when}-SELL"], prices
        operator.close()
    finally:
        venue.kill()
