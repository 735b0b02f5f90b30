"""What became of an order, an amend or a cancel is told, also where the venue refused it."""

import pytest
import trading
from trading import BTC
from watching import Watch


OWN = """
[instruments."OWN.SIM"]
kind = "spot"
base_currency = "OWN"
quote_currency = "USDT"
price_increment = "0.01"
quantity_increment = "0.001"
start_price = "100"
"""


@pytest.fixture
def world(make_server, cli):
    """A running platform, its market, and `orders ...` on the command line."""
    server = make_server("up").start()
    link = ("--gateway", server.url, "--data-dir", server.data_dir)

    def orders(*words):
        return cli("orders", *words, "--json", *link, check=False)

    with Watch(server) as watch, server.grpc() as client:
        yield trading.market(client, BTC), orders, watch


def test_a_refused_amend_says_why_and_what_was_asked_for(world):
    at, orders, watch = world
    rests, crosses = at.price("0.90"), at.price("1.10")
    made = orders("submit", "BTCUSDT", "buy", at.quantity, "--limit-price", rests, "--post-only",
                  "--client-order-id", "po", "--wait-seconds", "10")
    assert made.returncode == 0 and made.json["status"] == "ORDER_STATUS_ACCEPTED", made.stderr
    refused = orders("amend", "po", "--limit-price", crosses, "--wait-seconds", "10")
    assert refused.returncode == 1
    assert "po: the change was refused, the order is as before: " in refused.stderr
    assert refused.json["status"] == "ORDER_STATUS_ACCEPTED"
    assert refused.json["limit_price"] == made.json["limit_price"]
    asked, answered = [
        one for one in watch.events["po"]
        if one["kind"] in ("ORDER_EVENT_KIND_PENDING_AMEND", "ORDER_EVENT_KIND_AMEND_REJECTED")]
    assert float(asked["asked_limit_price"]) == float(crosses)
    assert float(asked["asked_quantity"]) == float(at.quantity)
    assert asked["asked_stop_price"] == ""
    assert answered["reason"] and answered["reason"] in refused.stderr


def test_a_taken_amend_and_a_cancel_end_well(world):
    at, orders, _ = world
    orders("submit", "BTCUSDT", "buy", at.quantity * 2, "--limit-price", at.price("0.90"),
           "--client-order-id", "rest", "--wait-seconds", "10")
    amended = orders("amend", "rest", "--quantity", at.quantity, "--wait-seconds", "10")
    assert amended.returncode == 0, amended.stderr
    assert float(amended.json["quantity"]) == float(at.quantity)
    canceled = orders("cancel", "rest", "--wait-seconds", "10")
    assert canceled.returncode == 0, canceled.stderr
    assert canceled.json["status"] == "ORDER_STATUS_CANCELED"


@pytest.mark.parametrize("terms", [(), ("--limit-price", "1.10", "--time-in-force", "ioc")])
def test_an_order_that_does_not_rest_is_waited_for_until_it_has_ended(world, terms):
    at, orders, _ = world
    terms = [at.price(word) if word == "1.10" else word for word in terms]
    for number in range(5):
        made = orders("submit", "BTCUSDT", "buy", at.quantity, *terms,
                      "--client-order-id", f"m-{number}", "--wait-seconds", "10")
        assert made.returncode == 0 and made.json["status"] == "ORDER_STATUS_FILLED", made.stderr


def test_an_order_that_the_venue_refuses_ends_with_1_where_it_is_waited_for(world):
    at, orders, _ = world
    crossing = ("submit", "BTCUSDT", "buy", at.quantity, "--limit-price", at.price("1.10"),
                "--post-only")
    refused = orders(*crossing, "--wait-seconds", "10")
    assert refused.returncode == 1
    assert refused.json["status"] == "ORDER_STATUS_REJECTED" and refused.json["reason"]
    # Without waiting it was only asked for.
    assert orders(*crossing).returncode == 0


def test_a_start_without_the_market_of_its_orders_says_so(make_server, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    server = make_server("up", "--instruments", file).start()
    with server.grpc() as client:
        at = trading.market(client, "OWN.SIM")
        client.call("OrderService", "SubmitOrder", trading.resting("own", at))
        trading.when_order(client, "own", "ORDER_STATUS_ACCEPTED")
    assert "this run has no market" not in server.log(1 << 20)
    assert server.stop() == 0
    server.arguments = ("up",)
    server.start()
    said = [line for line in server.log(1 << 20).splitlines() if "this run has no market" in line]
    assert len(said) == 1 and "OWN.SIM" in said[0] and "--instruments" in said[0]
