"""A strategy in any language that asked for its account is told how that stands."""

import queue
from decimal import Decimal

import trading
from trading import BTC


class Strategy:
    """A session of `StrategyService.Connect` that answers every batch and wants nothing more."""

    def __init__(self, client, strategy_id, *, account):
        self.requests = queue.SimpleQueue()
        self.strategy_id = strategy_id
        self.say({"hello": {"protocol": "STRATEGY_PROTOCOL_V1", "account_id": trading.ACCOUNT,
                            "strategy_id": strategy_id, "account": account}})
        self.commands = 0
        self.answers = client.session("StrategyService", "Connect",
                                      iter(self.requests.get, None), seconds=60)
        self.welcome = next(self.answers)["welcome"]

    def say(self, request):
        self.requests.put(request)

    def submit(self, **order):
        self.commands += 1
        self.say({"commands": {"commands": [{"command_id": self.commands, "submit": {
            "client_order_id": f"{self.strategy_id}-{self.commands}", **order}}]}})

    def events(self):
        """Events as they come; each batch is answered before the next one."""
        for answer in self.answers:
            assert not answer.get("end"), answer
            if outcome := answer.get("outcome"):
                assert not outcome["reason_code"], outcome
            if batch := answer.get("events"):
                self.say({"commands": {"answers_sequence": batch["sequence"]}})
                yield from batch["events"]

    def end(self):
        self.say({"goodbye": {"reason": "done"}})
        kinds = [answer["end"]["kind"] for answer in self.answers if answer.get("end")]
        self.requests.put(None)
        return kinds


def test_a_strategy_sees_cash_and_equity_of_its_account_before_and_behind_a_fill(make_server):
    server = make_server("up").start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        strategy = Strategy(client, "looks", account=True)
        before = strategy.welcome["account"]
        account = client.call("AccountService", "GetAccount", {"account_id": trading.ACCOUNT})
        assert before["cash"] == account["cash"] and before["equity"] == account["equity"]
        assert before["base_currency"] == account["base_currency"]
        assert before["trading_state"] == "TRADING_STATE_ACTIVE"
        strategy.submit(instrument_id=BTC, side="SIDE_BUY", order_type="ORDER_TYPE_MARKET",
                        quantity=str(at.quantity * 10), time_in_force="TIME_IN_FORCE_IOC")
        cost = None
        told = None
        for event in strategy.events():
            if (of_order := event.get("order")) and of_order["kind"] == "ORDER_EVENT_KIND_FILLED":
                done = of_order["order"]
                if done["status"] == "ORDER_STATUS_FILLED":
                    cost = Decimal(done["filled_quantity"]) * Decimal(done["average_price"])
            if (now := event.get("account")) and cost:
                told = now
                if now["cash"] != before["cash"]:
                    break
        spent = Decimal(before["cash"][at.quote]) - Decimal(told["cash"][at.quote])
        assert cost <= spent <= cost * Decimal("1.01"), "the price of it, and a fee"
        # What was bought is worth about what it cost.
        assert abs(Decimal(told["equity"]) - Decimal(before["equity"])) <= cost / 20
        assert strategy.end() == ["SESSION_END_KIND_DONE"]


def test_a_strategy_that_did_not_ask_is_told_nothing_of_the_account(make_server):
    server = make_server("up").start()
    with server.grpc() as client:
        at = trading.market(client, BTC)
        strategy = Strategy(client, "quiet", account=False)
        assert not strategy.welcome.get("account")
        strategy.submit(instrument_id=BTC, side="SIDE_BUY", order_type="ORDER_TYPE_MARKET",
                        quantity=str(at.quantity), time_in_force="TIME_IN_FORCE_IOC")
        seen = []
        for event in strategy.events():
            seen.append(event)
            if event.get("order", {}).get("order", {}).get("status") == "ORDER_STATUS_FILLED":
                break
        assert not any(event.get("account") for event in seen)
        assert strategy.end() == ["SESSION_END_KIND_DONE"]
