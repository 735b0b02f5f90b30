"""`apextrade book`: the levels of both sides and the orders at them, as the API has them."""

from collections import OrderedDict
from decimal import Decimal

import grpc
import pytest

import trading
from apexlib import error_details
from trading import BTC


def test_the_book_of_an_instrument_is_shown(server, cli):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    with server.grpc() as client:
        trading.market(client, BTC)  # Once there is a book.
    found = cli("book", BTC, "--depth", "3", "--json", *link).json
    assert found["instrument_id"] == BTC and not found["stale"]
    for side, sign in (("bids", -1), ("asks", 1)):
        prices = [sign * float(level["price"]) for level in found[side]]
        assert 1 <= len(prices) <= 3 and prices == sorted(prices)
    table = cli("book", BTC, *link).stdout.splitlines()
    assert table[0].split() == ["BID", "QUANTITY", "BID", "ASK", "ASK", "QUANTITY"]
    assert 2 <= len(table) <= 11
    unknown = cli("book", "BTCUSD.SIM", *link, check=False)
    assert unknown.returncode == 1 and BTC in unknown.stderr
    too_deep = cli("book", BTC, "--depth", "21", *link, check=False)
    assert too_deep.returncode == 2 and "--depth" in too_deep.stderr


def test_single_orders_are_shown_with_their_place(server, cli):
    link = ("--gateway", server.url, "--data-dir", server.data_dir)
    with server.grpc() as client:
        trading.market(client, BTC)
    found = cli("book", BTC, "--orders", "--depth", "3", "--json", *link).json
    assert found["instrument_id"] == BTC
    for side, sign in (("bids", -1), ("asks", 1)):
        prices = [sign * Decimal(order["price"]) for order in found[side]]
        assert 1 <= len(set(prices)) <= 3 and prices == sorted(prices)
        assert all(Decimal(order["quantity"]) > 0 for order in found[side])
    table = cli("book", BTC, "--orders", *link).stdout.splitlines()
    assert table[0].split() == ["BID", "ORDER", "BID", "QUANTITY", "BID",
                                "ASK", "ASK", "QUANTITY", "ASK", "ORDER"]
    unknown = cli("book", "BTCUSD.SIM", "--orders", *link, check=False)
    assert unknown.returncode == 1 and BTC in unknown.stderr


class Folded:
    """The orders of a book, folded from the stream."""

    def __init__(self, snapshot):
        self.update_id = int(snapshot["update_id"])
        self.scale = (snapshot["price_exponent"], snapshot["quantity_exponent"])
        self.orders = OrderedDict()
        for side, name in (("bids", "SIDE_BUY"), ("asks", "SIDE_SELL")):
            for order in snapshot[side]:
                self.orders[order["order_id"]] = [name, int(order["price"]),
                                                  int(order["quantity"])]

    def take(self, update):
        assert int(update["update_id"]) == self.update_id + 1
        self.update_id += 1
        for change in update["changes"]:
            kind = change["kind"].removeprefix("ORDER_BOOK_CHANGE_KIND_")
            number, quantity = change["order_id"], int(change["quantity"])
            if kind == "ADD":
                assert number not in self.orders
                self.orders[number] = [change["side"], int(change["price"]), quantity]
                continue
            order = self.orders[number]
            assert order[:2] == [change["side"], int(change["price"])]
            if kind == "MODIFY":
                assert 0 < quantity <= order[2]
                order[2] = quantity
            elif kind == "EXECUTE":
                order[2] -= quantity
                assert order[2] >= 0
            else:
                assert kind == "CANCEL" and quantity == order[2]
                order[2] = 0
            if not order[2]:
                del self.orders[number]

    def levels(self, side):
        sums = {}
        for name, price, quantity in self.orders.values():
            if name == side:
                sums[price] = sums.get(price, 0) + quantity
        best = sorted(sums.items(), reverse=side == "SIDE_BUY")[:20]
        return [(Decimal(price).scaleb(self.scale[0]), Decimal(quantity).scaleb(self.scale[1]))
                for price, quantity in best]


def test_the_orders_of_the_stream_sum_up_to_the_levels(server):
    with server.grpc() as client:
        trading.market(client, BTC)
        stream = client.stream("MarketDataService", "StreamOrderBook", {"instrument_id": BTC},
                               seconds=60)
        folded = Folded(next(stream)["snapshot"])
        agreed = 0
        for batch in stream:
            assert not batch.get("snapshot"), "nobody lags here"
            # Levels of a moment; compared once the orders have come to the same update.
            book = client.call("MarketDataService", "GetBook",
                               {"instrument_id": BTC, "depth": 20})
            wanted = int(book["update_id"])
            updates = list(batch["updates"])
            while True:
                for update in updates:
                    folded.take(update)
                    if folded.update_id == wanted:
                        for side, name in (("SIDE_BUY", "bids"), ("SIDE_SELL", "asks")):
                            levels = [(Decimal(level["price"]), Decimal(level["quantity"]))
                                      for level in book[name]]
                            assert folded.levels(side) == levels
                        agreed += 1
                if folded.update_id >= wanted:
                    break
                updates = next(stream)["updates"]
            if agreed >= 5:
                break
        stream.cancel()


def test_a_feed_without_single_orders_refuses_them_by_name(make_server, venue, cli):
    with make_server("up", "--venue", venue.address) as linked:
        with linked.grpc() as client:
            trading.market(client, BTC)
            stream = client.stream("MarketDataService", "StreamOrderBook", {"instrument_id": BTC})
            with pytest.raises(grpc.RpcError) as refused:
                next(stream)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert error_details(refused.value)["ErrorInfo"]["reason"] == "NO_SINGLE_ORDERS"
        shown = cli("book", BTC, "--orders", "--gateway", linked.url,
                    "--data-dir", linked.data_dir, check=False)
        assert shown.returncode == 1 and "levels" in shown.stderr
