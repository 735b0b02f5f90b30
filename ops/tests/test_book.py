"""`apextrade book`: the levels of both sides, as the API has them."""

import trading
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
