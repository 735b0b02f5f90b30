"""An order of unknown outcome that a person settles, and a venue that has it all the same."""

import itertools

import apexlib
import trading
from trading import BTC
from venuesim import Operator


def lost(client, market):
    """Returns an order far below the market that the venue has and says nothing of: the fault is
    set by another session, and may come behind the first orders."""
    for number in itertools.count():
        name = f"lost-{number}"
        client.call("OrderService", "SubmitOrder", trading.order(
            name, BTC, "BUY", market.quantity, round(market.bid / 2)))
        found = trading.when_order(
            client, name, ("ORDER_STATUS_ACCEPTED", "ORDER_STATUS_UNKNOWN"), 60)
        if found["status"] == "ORDER_STATUS_UNKNOWN":
            return found


def test_a_person_settles_an_order_that_the_venue_says_nothing_of(venue, make_server, cli):
    server = make_server("up", "--venue", venue.address).start()
    link = ("--gateway", server.url, "--data-dir", server.data_dir)

    def resolve(name, reason, **options):
        return cli("orders", "resolve", name, "--reason", reason, "--json", *link, **options)

    operator = Operator(venue)
    with server.grpc() as client:
        market = trading.market(client, BTC)
        refused = resolve("nothing", "test", check=False)
        assert refused.returncode == 1 and "ORDER_NOT_FOUND" in refused.stderr, refused.stderr
        operator.faults(mute=True)
        name = lost(client, market)["client_order_id"]
        assert resolve(name, "not in the list").json["status"] == "ORDER_STATUS_CANCELED"
        settled = trading.get_order(client, name)
        assert (settled["status"], settled["reason_code"]) == ("ORDER_STATUS_CANCELED", "RESOLVED")
        closed = resolve(name, "once more", check=False)
        assert closed.returncode == 1 and "ORDER_CLOSED" in closed.stderr, closed.stderr
        # The person was wrong, and the order works at the venue: it is canceled there.
        operator.faults()
        truth = apexlib.until("the venue has ended it", lambda: (
            lambda found: found if name in found.ends else None)(venue.truth([market])), 60)
        assert truth.ends[name] == "Canceled"
        assert name not in truth.filled()
    operator.close()
