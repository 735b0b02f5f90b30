"""Watches `StreamOrders` as a client does, and says what an order's events are to be."""

import re
import threading
import time

import grpc

from trading import ACCOUNT, DONE

KIND = "ORDER_EVENT_KIND_"


class Watch:
    """Every order event of the account, from now on, by client_order_id."""

    def __init__(self, server):
        self.client = server.grpc()
        self.stream = self.client.stream("OrderService", "StreamOrders",
                                         {"account_id": ACCOUNT}, seconds=None)
        # From the first message on the stream misses nothing.
        assert "heartbeat" in next(self.stream)
        self.events, self.all = {}, []
        self.failure = None
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            for message in self.stream:
                if "event" not in message:
                    continue
                event = message["event"]
                with self.news:
                    self.all.append(event)
                    name = event["order"]["client_order_id"]
                    self.events.setdefault(name, []).append(event)
                    self.news.notify_all()
        except grpc.RpcError as error:
            with self.news:
                self.failure = error
                self.news.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.cancel()
        self.thread.join(30)
        self.client.close()
        assert not self.thread.is_alive(), "the stream does not end"

    def kinds(self, name):
        """The kinds of an order's events so far, without their common beginning."""
        with self.news:
            return [one["kind"].removeprefix(KIND) for one in self.events.get(name, [])]

    def last(self, name):
        """The order as it stood after its last event."""
        with self.news:
            return self.events[name][-1]["order"]

    def when(self, name, what, is_so, seconds=60.0):
        """Waits until `is_so` of the order after its last event, and all its events, and returns
        the order. `TimeoutError` when the time is over, and a failure at once when it has ended."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                told = self.events.get(name)
                if told and is_so(told[-1]["order"], told):
                    return told[-1]["order"]
                left = deadline - time.monotonic()
                assert self.failure is None, f"the stream ended: {self.failure}"
                kinds = [one["kind"].removeprefix(KIND) for one in told or []]
                if told and told[-1]["order"]["status"] in DONE:
                    raise AssertionError(f"{name} ended, waited for it {what}: {kinds}, "
                                         f"{told[-1]['order']['reason']}")
                if left <= 0:
                    raise TimeoutError(f"waited {seconds} s for {name} {what}: {kinds}")
                self.news.wait(left)

    def when_all(self, sequence, seconds=30.0):
        """Waits for the event of this sequence, and returns all events up to there."""
        with self.news:
            there = self.news.wait_for(
                lambda: self.all and self.all[-1]["sequence"] >= sequence, seconds)
            assert there, f"no event {sequence} on the stream"
            return list(self.all)

    def when_done(self, name, seconds=60.0):
        return self.when(name, "to end", lambda order, _: order["status"] in DONE, seconds)

    def when_kind(self, name, kind, seconds=60.0):
        return self.when(name, kind, lambda _, told: any(
            one["kind"] == KIND + kind for one in told), seconds)


def check_kinds(kinds, expected):
    """`expected` are kinds in order; `+` behind one is once or more, `*` any number of times, and
    brackets hold several together: `ACCEPTED (PENDING_AMEND AMENDED)* FILLED+`."""
    pattern = re.sub(r"[A-Z_]+", r"(?:\g<0>;)", expected).replace(" ", "")
    told = "".join(f"{kind};" for kind in kinds)
    assert re.fullmatch(pattern, told), f"expected {expected}, told {' '.join(kinds)}"


def check_again(client, live):
    """Read again from the first event on, the stream tells the same as it did live."""
    again = client.stream("OrderService", "StreamOrders",
                          {"account_id": ACCOUNT, "from_sequence": 1})
    told = (message["event"] for message in again if "event" in message)
    for one, event in zip(live, told):
        assert one == event, f"live {one}, read again {event}"
    again.cancel()
