"""Deployed strategies as their users meet them: deployed, started, paused, changed and stopped over
the API and the command line, over kills of a strategy's process and of the platform."""

import itertools
import os
import signal
import time
from pathlib import Path

import grpc
import pytest
from apexlib import error_details, run_cli, until
from trading import ACCOUNT, BTC, market, order

# Bars are a second long, and the averages need some of them before the strategy acts.
TRADES_SECONDS = 90.0
STATE_SECONDS = 30.0
# A strategy that trades each second or so orders again within this, if it may at all.
QUIET_SECONDS = 8.0

NAME = "ema-a"
NUMBERS = itertools.count()
# Averages so short that their order changes every few bars; each change is an order.
PARAMETERS = {"fast": "1", "slow": "2", "warmup": "1", "act_on": "state", "mode": "long_short"}


def hosts(pid):
    """The ids of the strategy hosts that the process `pid` has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # It ended meanwhile.
        if int(fields[1]) == pid and b"strategy-host" in arguments and fields[0] != "Z":
            found.append(int(folder.name))
    return found


class Desk:
    """The calls about one strategy."""

    def __init__(self, client, strategy_id=NAME):
        self.client, self.strategy_id = client, strategy_id

    def call(self, method, request_id=None, **more):
        named = {"account_id": ACCOUNT, "strategy_id": self.strategy_id}
        if method not in ("GetStrategy", "ListStrategyVersions"):
            named["request_id"] = request_id or f"r-{os.getpid()}-{next(NUMBERS)}"
        return self.client.call("StrategyService", method, {**named, **more})

    def deploy(self, parameters=None, **more):
        return self.call("Deploy", strategy_type="ema-cross", mode="STRATEGY_MODE_PAPER",
                         parameters=PARAMETERS if parameters is None else parameters,
                         instrument_ids=[BTC], **more)

    def show(self):
        return self.call("GetStrategy")

    def wait(self, state, seconds=STATE_SECONDS):
        def reached():
            found = self.show()
            return found if found["strategy"]["state"] == f"STRATEGY_STATE_{state}" else None
        return until(f"state {state}", reached, seconds, 0.05)

    def orders(self):
        """All orders of the strategy, by id."""
        found, token = {}, ""
        while True:
            page = self.client.call("OrderService", "ListOrders", {
                "account_id": ACCOUNT, "strategy_id": self.strategy_id, "page_size": 1000,
                "page_token": token})
            found.update((one["client_order_id"], one) for one in page["orders"])
            token = page["next_page_token"]
            if not token:
                return found

    def own(self):
        """Those that the strategy itself made."""
        return {name: one for name, one in self.orders().items()
                if name.startswith(f"{self.strategy_id}-")}

    def new_orders(self, before, count=1, seconds=TRADES_SECONDS):
        """Waits for orders beyond those of `before`."""
        def came():
            after = self.own()
            return after if len(set(after) - set(before)) >= count else None
        return until("new orders of the strategy", came, seconds, 0.1)


def refused(call):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code().name, error_details(raised.value)


def numbers(names):
    """The numbers of the strategy's orders, in order."""
    return sorted(int(name.rpartition("-")[2]) for name in names)


def test_a_strategy_is_deployed_started_paused_changed_and_stopped(make_server):
    with make_server("up") as server, server.grpc() as client:
        types = client.call("StrategyService", "ListStrategyTypes")["strategy_types"]
        ema, = (one for one in types if one["strategy_type"] == "ema-cross")
        fast = next(one for one in ema["parameters"] if one["name"] == "fast")
        assert (fast["kind"], fast["default_value"], fast["min"]) == (
            "PARAMETER_KIND_INTEGER", "10", "1")

        desk = Desk(client)
        wrong = refused(lambda: desk.deploy({"fast": "0", "speed": "1", "mode": "up"}))
        assert wrong[0] == "INVALID_ARGUMENT"
        fields = [one["field"] for one in wrong[1]["BadRequest"]["field_violations"]]
        assert fields == ["parameters[fast]", "parameters[mode]", "parameters[speed]"]

        deployed = desk.deploy(request_id="deploy-1")
        assert deployed["state"] == "STRATEGY_STATE_DEPLOYED"
        assert deployed["version"]["version"] == 1 and len(deployed["version"]["content_hash"]) == 64
        assert desk.deploy(request_id="deploy-1") == deployed, "the same request, the same answer"
        assert refused(desk.deploy)[0] == "ALREADY_EXISTS"
        assert refused(lambda: desk.call("Start", "deploy-1"))[0] == "ALREADY_EXISTS"
        assert not hosts(server.pid), "it does not run before it is started"
        code, details = refused(lambda: desk.call("Pause", working_orders="WORKING_ORDERS_KEEP"))
        assert (code, details["ErrorInfo"]["reason"]) == (
            "FAILED_PRECONDITION", "STRATEGY_NOT_RUNNING")

        # A halted account starts nothing.
        client.call("RiskService", "Halt", {"account_id": ACCOUNT, "reason": "t", "request_id": "h"})
        code, details = refused(lambda: desk.call("Start"))
        assert (code, details["ErrorInfo"]["reason"]) == ("FAILED_PRECONDITION", "ACCOUNT_HALTED")
        client.call("RiskService", "Resume", {"account_id": ACCOUNT, "reason": "t", "request_id": "s"})

        desk.call("Start")
        desk.wait("RUNNING")
        traded = desk.new_orders({}, 2)
        assert all(one["instrument_id"] == BTC for one in traded.values()), "what it is shown"

        # A pause: what rests is canceled, and nothing more comes.
        found = market(client, BTC)
        resting = order("rests", BTC, "BUY", found.quantity * 100, found.price("0.9"),
                        strategy_id=NAME)
        client.call("OrderService", "SubmitOrder", resting)
        paused = desk.call("Pause", working_orders="WORKING_ORDERS_CANCEL")
        assert paused["strategy"]["state"] == "STRATEGY_STATE_PAUSED"
        assert "rests" in [one["client_order_id"] for one in paused["canceled_orders"]]
        before = desk.own()
        until("no working order", lambda: desk.show()["working_orders"] == 0, STATE_SECONDS, 0.05)
        quiet = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < quiet:
            assert set(desk.own()) == set(before), "an order of a paused strategy"
            time.sleep(0.2)
        shown = desk.show()
        assert shown["strategy"]["connected"], "it is kept warm"
        assert len(hosts(server.pid)) == 1

        # New parameters reach the running one; those that cannot need a restart.
        version = shown["strategy"]["version"]["version"]
        code, details = refused(lambda: desk.call(
            "UpdateParameters", expected_version=version + 1, parameters={"quantity": "1"}))
        assert (code, details["ErrorInfo"]["reason"]) == ("ABORTED", "STALE_VERSION")
        code, details = refused(lambda: desk.call(
            "UpdateParameters", expected_version=version, parameters={"slow": "3"}))
        assert details["ErrorInfo"]["reason"] == "STRATEGY_RESTART_NEEDED"
        host, = hosts(server.pid)
        quantity = str(found.quantity * 300)
        updated = desk.call("UpdateParameters", expected_version=version,
                            parameters={"quantity": quantity})
        assert updated["applied"] == "PARAMETERS_APPLIED_LIVE"
        assert updated["strategy"]["version"]["version"] == 2

        desk.call("Start")
        desk.new_orders(before, 1)

        def holds():
            held = desk.show()["positions"]
            return held and abs(float(held[0]["quantity"])) == float(quantity)
        until("a position of the new size", holds, TRADES_SECONDS, 0.1)
        assert hosts(server.pid) == [host], "the same process goes on"
        updated = desk.call("UpdateParameters", expected_version=2, parameters={"slow": "3"},
                            allow_restart=True)
        assert updated["applied"] == "PARAMETERS_APPLIED_RESTARTED"
        until("another process", lambda: hosts(server.pid) not in ([], [host]), STATE_SECONDS, 0.05)
        assert desk.wait("RUNNING")["strategy"]["restarts"] == 0, "it was asked for"
        versions = desk.call("ListStrategyVersions")["versions"]
        assert [one["version"] for one in versions] == [3, 2, 1]

        # Its end takes its position with it.
        until("a position", lambda: desk.show()["positions"], TRADES_SECONDS, 0.1)
        stopped = desk.call("Stop", "stop-1", working_orders="WORKING_ORDERS_CANCEL",
                            close_positions=True)
        assert stopped["strategy"]["state"] == "STRATEGY_STATE_STOPPED" and stopped["closing"]
        assert not hosts(server.pid), "its process is gone"

        def flat():
            found = desk.show()
            return not found["positions"] and found["working_orders"] == 0
        until("no position", flat, STATE_SECONDS, 0.05)
        closing = client.call("OrderService", "GetClosing",
                              {"account_id": ACCOUNT, "request_id": "stop-1"})
        assert closing["state"] == "CLOSING_STATE_FLAT"
        # A spot account sells nothing that it does not hold, which is what long_short asks for where the
        # market falls first.
        denied = [one["reason_code"] for one in desk.own().values()
                  if one["status"] == "ORDER_STATUS_DENIED"]
        assert set(denied) <= {"INSUFFICIENT_BUYING_POWER"}, denied


def test_what_is_wanted_outlives_kills_of_the_platform(make_server):
    running, paused = "runs", "rests"
    server = make_server("up")
    with server:
        with server.grpc() as client:
            for name in (running, paused):
                Desk(client, name).deploy()
                Desk(client, name).call("Start")
            for name in (running, paused):
                Desk(client, name).new_orders({}, 1)
            Desk(client, paused).call("Pause", working_orders="WORKING_ORDERS_KEEP")
            kept = Desk(client, paused).own()
            before = Desk(client, running).own()
        server.kill()
        server.start()
        with server.grpc() as client:
            desk = Desk(client, running)
            desk.wait("RUNNING")
            after = desk.new_orders(before, 2)
            assert set(before) <= set(after)
            made = numbers(after)
            assert made == list(range(1, len(made) + 1)), "it goes on counting"
            denied = [one for one in after.values() if one["status"] == "ORDER_STATUS_DENIED"]
            assert not denied, denied
            shown = Desk(client, paused).wait("PAUSED")
            until("its session", lambda: Desk(client, paused).show()["strategy"]["connected"],
                  STATE_SECONDS, 0.05)
            assert set(Desk(client, paused).own()) == set(kept), shown

            # The process of a strategy that is killed comes again, and is told.
            events = client.stream("StrategyService", "StreamStrategyEvents",
                                   {"strategy_id": running}, seconds=STATE_SECONDS)
            next(events)
            for pid in hosts(server.pid):
                os.kill(pid, signal.SIGKILL)
            states = []
            for message in events:
                event = message.get("event")
                if event and event["kind"] == "DEPLOYMENT_EVENT_KIND_STATE_CHANGED":
                    states.append(event["state"].removeprefix("STRATEGY_STATE_"))
                if states[-1:] == ["RUNNING"]:
                    break
            assert states == ["BACKING_OFF", "STARTING", "RUNNING"]
            events.cancel()
            assert desk.show()["strategy"]["restarts"] == 1
            assert "SIGKILL" in desk.show()["strategy"]["reason"]


def test_a_strategy_that_fails_at_each_start_is_quarantined_until_a_person_starts_it(make_server):
    server = make_server("up")
    with server:
        with server.grpc() as client:
            desk = Desk(client)
            # Within the bounds of the type, and a length of bars that no feed here has.
            desk.deploy({**PARAMETERS, "bar_interval_ms": "7"})
            desk.call("Start")
            reason = desk.wait("QUARANTINED")["strategy"]["reason"]
            assert "bar_interval_ns" in reason, reason
        server.kill()
        server.start()
        with server.grpc() as client:
            desk = Desk(client)
            assert desk.wait("QUARANTINED")["strategy"]["reason"] == reason
            assert not hosts(server.pid)
            desk.call("UpdateParameters", expected_version=1, reset=["bar_interval_ms"])
            desk.call("Start")
            assert desk.wait("RUNNING")["strategy"]["reason"] == ""


def test_the_flag_of_the_command_line_and_the_service_are_one(make_server):
    flags = ["--strategy", "ema-cross", *(part for name, value in PARAMETERS.items()
                                         for part in ("--param", f"{name}={value}"))]
    server = make_server("up", *flags)
    with server:
        with server.grpc() as client:
            desk = Desk(client, "ema-cross")
            found = desk.wait("RUNNING")["strategy"]
            assert found["version"]["parameters"] == PARAMETERS
            assert found["restart_policy"] == "RESTART_POLICY_ON_FAILURE"
            desk.call("Pause", working_orders="WORKING_ORDERS_KEEP")
        server.stop()
        server.arguments = ["up", *flags[:-1], "mode=long_only"]
        server.start()
        with server.grpc() as client:
            # What a person paused stays so, whatever stands in a unit file.
            found = Desk(client, "ema-cross").wait("PAUSED")["strategy"]
            assert found["version"]["version"] == 2
            assert found["version"]["parameters"]["mode"] == "long_only"
            Desk(client, "ema-cross").call("Start")
            Desk(client, "ema-cross").wait("RUNNING")
        server.stop()
        server.arguments = ["up"]
        server.start()
        with server.grpc() as client:
            found = Desk(client, "ema-cross").wait("STOPPED")["strategy"]
            assert "restart policy" in found["reason"]
            assert not hosts(server.pid)


def test_the_command_line_does_all_of_it(make_server, binary):
    with make_server("up") as server:
        def cli(*arguments, check=True):
            return run_cli(binary, "strategies", *arguments, "--gateway", server.url,
                           "--token-file", server.data_dir / "admin.token", check=check)

        assert cli("types", "--json").json["strategy_types"][0]["strategy_type"] == "ema-cross"
        assert "bar_interval_ms" in cli("types").stdout
        pairs = [part for name, value in PARAMETERS.items() for part in ("--param", f"{name}={value}")]
        done = cli("deploy", NAME, "--type", "ema-cross", *pairs, "--instrument", BTC, "--start",
                   "--json").json
        assert done["state"] == "STRATEGY_STATE_STARTING"
        with server.grpc() as client:
            Desk(client).wait("RUNNING")
        assert NAME in cli("list", "--state", "running").stdout
        assert cli("list", "--state", "stopped", "--json").json == {"strategies": []}
        silent = cli("pause", NAME, check=False)
        assert silent.returncode == 2 and "--cancel-orders" in silent.stderr
        done = cli("pause", NAME, "--keep-orders", "--json").json
        assert done["strategy"]["state"] == "STRATEGY_STATE_PAUSED"
        wrong = cli("set", NAME, "fast=0", check=False)
        assert wrong.returncode == 1 and "the smallest is 1" in wrong.stderr, wrong.stderr
        done = cli("set", NAME, "mode=long_only", "--json").json
        assert done["applied"] == "PARAMETERS_APPLIED_LIVE"
        assert "live" in cli("set", NAME, "--reset", "mode").stdout
        cli("start", NAME)
        shown = cli("show", NAME, "--json").json
        assert shown["strategy"]["version"]["version"] == 3 and len(shown["versions"]) == 3
        assert NAME in cli("show", NAME).stdout
        stopped = cli("stop", NAME, "--cancel-orders", "--close", "--json").json
        assert stopped["strategy"]["state"] == "STRATEGY_STATE_STOPPED"
        unknown = cli("start", "ema-b", check=False)
        assert unknown.returncode == 1 and NAME in unknown.stderr, unknown.stderr
