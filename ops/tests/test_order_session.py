"""Order sessions: a fast client of its own, and what becomes of its orders when it or the process dies."""

import queue
import re
import sys
import types
from pathlib import Path

import grpc
import pytest
from google.protobuf import message_factory

import apexlib
import trading
from trading import ACCOUNT, BTC, resting

SECOND_NS = 1_000_000_000


class Session:
    """A client's end of `OrderService.OrderSession`."""

    def __init__(self, client, **hello):
        self.requests = queue.Queue()
        self.requests.put({"hello": {"account_id": ACCOUNT, **hello}})
        self.answers, self.events, self.number = {}, [], 0
        self.stream = client.session("OrderService", "OrderSession", iter(self.requests.get, None),
                                     seconds=120)
        self.welcome = next(self.stream)["welcome"]

    def send(self, *commands):
        """Sends commands in one message, and returns their ids."""
        first = self.number + 1
        self.number += len(commands)
        ids = list(range(first, self.number + 1))
        self.requests.put({"commands": {"commands": [
            {"command_id": number, **command} for number, command in zip(ids, commands)]}})
        return ids

    def take(self):
        message = next(self.stream)
        for answer in message.get("answers", {}).get("answers", []):
            self.answers[int(answer["command_id"])] = answer
        self.events += message.get("events", {}).get("events", [])

    def answer(self, number):
        while number not in self.answers:
            self.take()
        return self.answers[number]

    def orders(self, *commands):
        return [self.answer(number)["order"] for number in self.send(*commands)]

    def goodbye(self):
        """Ends the session in order; returns when the server has ended it too."""
        self.requests.put({"goodbye": {}})
        for _ in self.stream:
            pass

    def drop(self):
        self.stream.cancel()


def submit(client_order_id, at, **more):
    return {"submit": resting(client_order_id, at, **more)}


def statuses(client, names):
    return [trading.get_order(client, name)["status"] for name in names]


def test_many_orders_of_one_message_are_answered_and_told_of(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        session = Session(client, events={})
        names = [f"many-{n}" for n in range(100)]
        found = session.orders(*[submit(name, at) for name in names])
        assert [one["client_order_id"] for one in found] == names
        assert len({one["order_id"] for one in found}) == len(names)
        sequences = [int(one["sequence"]) for one in found]
        assert sequences == sorted(sequences)
        while sum(one["kind"] == "ORDER_EVENT_KIND_ACCEPTED" for one in session.events) < len(names):
            session.take()
        (canceled,) = session.send({"cancel_all": {"instrument_id": BTC}})
        assert len(session.answer(canceled)["canceled"]["orders"]) == len(names)
        session.goodbye()


def test_errors_are_those_of_the_unary_call(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        session = Session(client)
        wrong = {**resting("wrong", at), "quantity": "-1", "side": "SIDE_UNSPECIFIED"}
        (number,) = session.send({"submit": wrong})
        error = session.answer(number)["error"]
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("OrderService", "SubmitOrder", wrong)
        assert error["code"] == refusal.value.code().value[0]
        assert error["message"] == refusal.value.details()
        assert {one["field"] for one in error["field_violations"]} == {"quantity", "side"}
        session.goodbye()


def test_after_a_kill_the_orders_of_a_guarded_session_end_and_no_others(server):
    guarded, loose, unary = [f"guarded-{n}" for n in range(20)], ["loose-1", "loose-2"], ["unary"]
    with server.grpc() as client:
        at = trading.market(client, BTC)
        armed = Session(client, cancel_on_disconnect=True, dead_man_timeout_ns=str(5 * SECOND_NS))
        assert int(armed.welcome["dead_man_timeout_ns"]) == 5 * SECOND_NS
        armed.orders(*[submit(name, at) for name in guarded])
        plain = Session(client)
        plain.orders(*[submit(name, at) for name in loose])
        client.call("OrderService", "SubmitOrder", resting("unary", at))
        for name in guarded + loose + unary:
            trading.when_order(client, name, "ORDER_STATUS_ACCEPTED")
        server.kill()
    server.start()
    with server.grpc() as client:
        # The session has its time to come back, so nothing is canceled at once.
        assert "ORDER_STATUS_CANCELED" not in statuses(client, guarded)
        for name in guarded:
            trading.when_order(client, name, "ORDER_STATUS_CANCELED")
            assert trading.get_order(client, name)["reason_code"] == "CANCELED_ON_DISCONNECT"
        assert set(statuses(client, loose + unary)) == {"ORDER_STATUS_ACCEPTED"}


def test_a_session_that_is_taken_up_after_a_kill_keeps_its_orders(server):
    timeout = {"dead_man_timeout_ns": str(20 * SECOND_NS)}
    with server.grpc() as client:
        at = trading.market(client, BTC)
        session = Session(client, **timeout)
        session_id = session.welcome["session_id"]
        session.orders(submit("kept", at))
        trading.when_order(client, "kept", "ORDER_STATUS_ACCEPTED")
        server.kill()
    server.start()
    with server.grpc() as client:
        session = Session(client, resume_session_id=session_id, working_orders=True, **timeout)
        assert session.welcome["session_id"] == session_id and session.welcome["resumed"]
        assert next(session.stream)["working_orders"]["orders"][0]["client_order_id"] == "kept"
        # The same order again is the same order, and no second one.
        (again,) = session.orders(submit("kept", at))
        assert again["order_id"] == trading.get_order(client, "kept")["order_id"]
        session.goodbye()
        assert statuses(client, ["kept"]) == ["ORDER_STATUS_ACCEPTED"]


def test_a_client_that_goes_away_loses_its_orders_at_once(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        session = Session(client, cancel_on_disconnect=True)
        session.orders(submit("mine", at))
        client.call("OrderService", "SubmitOrder", resting("other", at))
        session.drop()
        trading.when_order(client, "mine", "ORDER_STATUS_CANCELED")
        trading.when_order(client, "other", "ORDER_STATUS_ACCEPTED")


def test_the_example_of_the_guide_runs(server, monkeypatch, capsys):
    guide = Path(__file__).resolve().parents[2] / "docs" / "guide" / "orders.md"
    blocks = re.findall(r"^```python\n(.*?)^```", guide.read_text(), re.DOTALL | re.MULTILINE)
    (example,) = [block for block in blocks if "OrderSession" in block]
    example = example.replace("127.0.0.1:8000", server.address)
    example = example.replace("data/admin.token", str(server.data_dir / "admin.token"))
    with server.grpc() as client:
        described, path = client._method("OrderService", "OrderSession")
        # What protoc would have written.
        names = re.findall(r"pb\.(\w+)", example)
        found = {name: message_factory.GetMessageClass(
            client.pool.FindMessageTypeByName(f"apextrade.v1.{name}")) for name in names}
        made = types.SimpleNamespace(**found)
        stub = types.SimpleNamespace(OrderServiceStub=lambda channel: types.SimpleNamespace(
            OrderSession=channel.stream_stream(path, **client._codec(described))))
        package = types.ModuleType("apextrade.v1")
        package.order_pb2, package.order_pb2_grpc = made, stub
        monkeypatch.setitem(sys.modules, "apextrade", types.ModuleType("apextrade"))
        monkeypatch.setitem(sys.modules, "apextrade.v1", package)
        exec(compile(example, str(guide), "exec"), {})  # noqa: S102
        assert "mm-1" in capsys.readouterr().out
        assert set(statuses(client, ["mm-1", "mm-50"])) <= {
            "ORDER_STATUS_SUBMITTED", "ORDER_STATUS_ACCEPTED"}
