"""Several accounts in one `up`: made while it runs, traded with each other, killed, read back, halted
and limited together, and started over."""

import itertools
import json
import threading
import time
from decimal import Decimal

import grpc
import pytest

import apexlib
import trading
from trading import BTC, ETH, order, resting

ALPHA, BETA = "alpha", "beta.2"


def create(client, account_id, request_id=None, **more):
    return client.call("AccountService", "CreateAccount",
                       {"account_id": account_id, "request_id": request_id or f"make-{account_id}",
                        **more})


def reset(client, account_id, request_id):
    return client.call("AccountService", "ResetPaper",
                       {"account_id": account_id, "request_id": request_id})


def submit(client, account_id, request):
    return client.call("OrderService", "SubmitOrder", {**request, "account_id": account_id})


def refused(call):
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    return refusal.value.code(), apexlib.error_details(refusal.value)


def accounts(client, page_size=1000):
    found, token = {}, ""
    while True:
        page = client.call("AccountService", "ListAccounts",
                           {"page_size": page_size, "page_token": token})
        assert len(page["accounts"]) <= page_size
        found.update((one["account_id"], one) for one in page["accounts"])
        token = page["next_page_token"]
        if not token:
            return found


def executions(client, account_id):
    return list(trading.pages(client, "OrderService", "ListExecutions", "executions",
                              {"account_id": account_id}))


def cash(account, currency="USDT"):
    return Decimal(account["cash"].get(currency, "0"))


def states(client):
    """What a restart must bring back, once nothing is under way any more."""
    def owed(name):
        working = trading.orders(client, account_id=name, working_only=True)
        return [one for one in working if one["status"] in trading.OPEN_ENDS]

    apexlib.until("answers to all orders", lambda: not any(map(owed, accounts(client))))
    return {name: (one["sequence"], one["state_hash"]) for name, one in accounts(client).items()}


def filled(client, account_id, client_order_id):
    def probe():
        found = client.call("OrderService", "GetOrder", {
            "account_id": account_id, "client_order_id": client_order_id})
        return found if found["status"] in trading.DONE else None
    return apexlib.until(f"{client_order_id} of {account_id} to end", probe)


def cross(client, seller, buyer):
    """Lets two accounts trade with each other: one offers inside the spread, the other takes it. The
    simulated traders may be faster, so it is tried until it happened."""
    for number in itertools.count():
        assert number < 300, "no trade between the two accounts"
        at = trading.market(client, (BTC, ETH)[number % 2])
        price = at.ask - at.tick
        if price <= at.bid:
            continue
        mine = f"cross-{number}"
        submit(client, seller, order(mine, at.instrument_id, "SELL", at.quantity, price,
                                     post_only=True))
        submit(client, buyer, order(mine, at.instrument_id, "BUY", at.quantity, price,
                                    time_in_force="TIME_IN_FORCE_IOC"))
        taken = filled(client, buyer, mine)
        try:
            client.call("OrderService", "CancelOrder",
                        {"account_id": seller, "client_order_id": mine,
                         "request_id": f"end-{number}"})
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        filled(client, seller, mine)
        if taken["status"] != "ORDER_STATUS_FILLED":
            continue
        sold = [one for one in executions(client, seller) if one["client_order_id"] == mine]
        bought = [one for one in executions(client, buyer) if one["client_order_id"] == mine]
        pairs = [(a, b) for a in sold for b in bought
                 if (a["ts_event_ns"], a["last_price"]) == (b["ts_event_ns"], b["last_price"])]
        if pairs:
            return pairs[0]


def test_two_accounts_trade_with_each_other_and_outlive_a_kill(make_server, tmp_path):
    folder = tmp_path / "data"
    server = make_server("up", data_dir=folder).start()
    with server.grpc() as client:
        stream = client.stream("OrderService", "StreamOrders", {}, seconds=120)
        heard, seen = [], threading.Thread(target=lambda: heard.extend(orders_of(stream, BETA)))
        seen.start()
        made = create(client, ALPHA, cash={"USDT": "250000"})
        assert (made["account_id"], made["mode"]) == (ALPHA, "ACCOUNT_MODE_PAPER")
        assert cash(made) == 250_000 and made["venue_connected"]
        made = create(client, BETA)
        assert cash(made) == 10_000_000 and made["base_currency"] == "USDT"
        assert list(accounts(client)) == sorted(["paper", ALPHA, BETA])
        assert list(accounts(client, page_size=1)) == sorted(["paper", ALPHA, BETA])
        at = trading.market(client, BTC)
        for name in (ALPHA, BETA, "paper"):
            # The same id is an order of its own in each account, and can trade at once.
            submit(client, name, order("first", BTC, "BUY", at.quantity))
            assert filled(client, name, "first")["status"] == "ORDER_STATUS_FILLED"
            submit(client, name, resting("rests", at))
        sold, bought = cross(client, ALPHA, BETA)
        assert sold["exec_id"] != bought["exec_id"]
        assert sold["last_quantity"] == bought["last_quantity"]
        # A stream over all accounts has heard of the one that was made after it began.
        seen.join(60)
        assert heard == ["first"]
        ready = json.loads(server.get("/ready")[1])["dependencies"]
        assert {"account alpha", "account beta.2", "account paper"} <= {one["name"] for one in ready}
        # Collected every few seconds.
        apexlib.until("figures of both", lambda: all(
            f'apex_account_working_orders{{account_id="{name}"}} 1' in server.get("/metrics")[1].decode()
            for name in (ALPHA, BETA)))
        before = states(client)
        ids = {name: [one["exec_id"] for one in executions(client, name)] for name in before}
    server.kill()
    again = make_server("up", data_dir=folder).start()
    with again.grpc() as client:
        assert states(client) == before
        for name, known in ids.items():
            assert [one["exec_id"] for one in executions(client, name)] == known
            assert int(trading.account(client, name)["working_orders"]) == 1
        # No id is given twice, whichever account had the highest.
        for name in before:
            submit(client, name, order("second", ETH, "BUY",
                                       trading.market(client, ETH).quantity))
            assert filled(client, name, "second")["status"] == "ORDER_STATUS_FILLED"
        everything = [one["exec_id"] for name in before for one in executions(client, name)]
        assert len(everything) == len(set(everything))
        # Made by the same request it is the same account, after a kill too.
        assert create(client, ALPHA, cash={"USDT": "250000"})["account_id"] == ALPHA
    again.stop()
    found = json.loads(apexlib.run_cli(again.binary, "verify", "--data-dir", folder, "--json").stdout)
    assert found["ok"] and {one["account_id"] for one in found["accounts"]} == set(before)


def orders_of(stream, account_id):
    """Returns the client order ids of an account up to its first filled order."""
    for answer in stream:
        event = answer.get("event") or {}
        found = event.get("order") or event
        if found.get("account_id") == account_id and found.get("status") == "ORDER_STATUS_FILLED":
            return [found["client_order_id"]]
    return []


def test_a_request_makes_one_account_and_an_id_is_one_account(server):
    with server.grpc() as client:
        first = create(client, ALPHA, "r1", cash={"USDT": "100"})
        again = create(client, ALPHA, "r1", cash={"USDT": "100"})
        assert again["sequence"] == first["sequence"]
        for account_id, request_id, more in [
                (ALPHA, "r1", {"cash": {"USDT": "101"}}), (ALPHA, "r1", {}),
                (ALPHA, "r1", {"cash": {"USDT": "100"}, "base_currency": "BTC"}),
                (ALPHA, "r2", {"cash": {"USDT": "100"}}), (BETA, "r1", {"cash": {"USDT": "100"}}),
                ("paper", "r3", {})]:
            code, details = refused(lambda: create(client, account_id, request_id, **more))
            assert code == grpc.StatusCode.ALREADY_EXISTS, (account_id, request_id, more)
            assert details["ErrorInfo"]["reason"] in ("ACCOUNT_EXISTS", "REQUEST_ID_REUSED")
        # Asked for at the same time by the same request it is made once.
        pending = [client.future("AccountService", "CreateAccount",
                                 {"account_id": BETA, "request_id": "r4"}) for _ in range(8)]
        answers = [one.result() for one in pending]
        assert {one["account_id"] for one in answers} == {BETA}
        assert sorted(accounts(client)) == sorted(["paper", ALPHA, BETA])


def test_a_bad_wish_is_refused_with_its_field_and_leaves_nothing(server):
    bad = ["", "..", ".", "...", "../up", "a/b", "/etc/x", "a\\b", "nul\0l", "x" * 65, "ä", "a b",
           "line\n", "paper/", "a%2fb"]
    with server.grpc() as client:
        before = sorted(path.name for path in (server.data_dir / "journal").iterdir())
        wishes = [("account_id", {"account_id": name}) for name in bad]
        wishes += [("request_id", {"request_id": name}) for name in ("", "x" * 65, "a b")]
        wishes += [("base_currency", {"base_currency": name}) for name in ("ZZZ", "u s", "x" * 40)]
        wishes += [("cash", {"cash": content}) for content in (
            {"ZZZ": "1"}, {"USDT": "0"}, {"USDT": "-1"}, {"USDT": "1e9"}, {"USDT": "1" * 30},
            {"": "1"}, {f"C{number}": "1" for number in range(40)})]
        for field, content in wishes:
            wish = {"account_id": "good", "request_id": "good", **content}
            code, details = refused(
                lambda: client.call("AccountService", "CreateAccount", wish))
            assert code == grpc.StatusCode.INVALID_ARGUMENT, wish
            fields = [one["field"] for one in details["BadRequest"]["field_violations"]]
            assert any(found.startswith(field) for found in fields), (wish, fields)
        assert sorted(path.name for path in (server.data_dir / "journal").iterdir()) == before
        assert list(accounts(client)) == ["paper"]
        # What was refused has used nothing up.
        create(client, "good", "good")
        longest = "x" * 64
        create(client, longest, "longest")
        at = trading.market(client, BTC)
        submit(client, longest, order("y" * 36, BTC, "BUY", at.quantity))
        assert filled(client, longest, "y" * 36)["status"] == "ORDER_STATUS_FILLED"


def test_a_kill_while_an_account_is_made_leaves_none_or_a_whole_one(make_server, tmp_path):
    folder = tmp_path / "data"
    whole, cut, delay = 0, 0, 0.02
    # The delay goes to where both come out, which is where a kill hits the making itself.
    for number in itertools.count():
        if min(whole, cut) >= 4:
            break
        assert number < 40, f"{whole} whole and {cut} cut: the kills do not hit the making"
        name = f"made-{number}"
        server = make_server("up", data_dir=folder).start()
        with server.grpc() as client:
            pending = client.future("AccountService", "CreateAccount",
                                    {"account_id": name, "request_id": name,
                                     "cash": {"USDT": "777"}})
            apexlib.until("its journal", (folder / "journal" / name).exists, pause=0.001)
            time.sleep(delay)
            server.kill()
            try:
                answered = bool(pending.result())
            except grpc.RpcError:
                answered = False
        server = make_server("up", data_dir=folder).start()
        with server.grpc() as client:
            found = accounts(client).get(name)
            assert found or not answered, "an account was answered and is gone"
            if found:
                whole, delay = whole + 1, delay * 0.6
                assert cash(found) == 777 and found["trading_state"] == "TRADING_STATE_ACTIVE"
                limits = client.call("RiskService", "GetLimits", {"account_id": name})
                assert int(limits["max_orders_per_second"]) == 5000, limits
            else:
                cut, delay = cut + 1, delay * 1.5
            # The same request makes it, or finds it.
            assert cash(create(client, name, name, cash={"USDT": "777"})) == 777
        server.stop()
        found = json.loads(
            apexlib.run_cli(server.binary, "verify", "--data-dir", folder, "--json").stdout)
        assert found["ok"], found


def test_a_platform_halt_stops_every_account(server):
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for name in (ALPHA, BETA):
            create(client, name)
            submit(client, name, resting("rests", at))
        answer = client.call("RiskService", "Halt",
                             {"request_id": "stop", "cancel": True, "reason": "drill"})
        canceled = {one["account_id"]: int(one["cancels_requested"]) for one in answer["accounts"]}
        assert canceled == {ALPHA: 1, BETA: 1, "paper": 0}
        for name in ("paper", ALPHA, BETA):
            code, details = refused(lambda: submit(client, name, resting("late", at)))
            assert code == grpc.StatusCode.FAILED_PRECONDITION
            assert details["ErrorInfo"]["reason"] == "TRADING_HALTED"
        for name in (ALPHA, BETA):
            assert filled(client, name, "rests")["status"] == "ORDER_STATUS_CANCELED"


def test_the_limit_over_all_accounts_counts_those_that_were_made(make_server, tmp_path):
    folder = tmp_path / "data"
    server = make_server("up", data_dir=folder).start()

    def view(client):
        found = client.call("RiskService", "GetPlatformLimits", {})
        return found, {one["account_id"]: Decimal(one["exposure"] or 0)
                       for one in found["accounts"]}

    def fits(client, account_id, client_order_id, at, lots):
        request = resting(client_order_id, at)
        request["quantity"] = str(at.quantity * lots)
        try:
            submit(client, account_id, request)
            return True
        except grpc.RpcError as error:
            assert apexlib.error_details(error)["ErrorInfo"]["reason"] == "EXPOSURE_LIMIT"
            return False

    with server.grpc() as client:
        at = trading.market(client, BTC)
        lot = at.quantity * (at.bid + at.ask) / 2
        create(client, ALPHA)
        amount = (lot * Decimal("10.5")).quantize(Decimal("0.01"))
        client.call("RiskService", "SetPlatformLimits",
                    {"request_id": "limit", "max_exposure": str(amount), "currency": "USDT"})
        # One that joins under the limit begins without a share that others hold.
        create(client, BETA)
        assert fits(client, ALPHA, "a", at, 5) and fits(client, BETA, "b", at, 4)
        assert not fits(client, ALPHA, "over", at, 3) and not fits(client, BETA, "over", at, 3)
        assert not fits(client, "paper", "over", at, 3)
        found, used = apexlib.until("both are told", lambda: (
            lambda seen: seen if sum(seen[1].values()) > 8 * lot else None)(view(client)))
        assert set(used) == {"paper", ALPHA, BETA}
        assert Decimal(found["handed_out"]) <= amount
        assert used[ALPHA] < 6 * lot and used[BETA] < 5 * lot, "nothing is counted twice"
    server.kill()
    again = make_server("up", data_dir=folder).start()
    with again.grpc() as client:
        at = trading.market(client, BTC)
        apexlib.until("the limit is in force", lambda: view(client)[0]["in_force"])
        assert not fits(client, BETA, "late", at, 4)
        for name in (ALPHA, BETA):
            client.call("OrderService", "CancelAllOrders",
                        {"account_id": name, "request_id": "free"})
        # What they gave back is there for another one.
        tries = itertools.count()
        apexlib.until("the share is free", lambda: fits(client, "paper", f"t{next(tries)}", at, 8))


def test_a_reset_pays_back_to_the_opening_and_takes_nothing_away(server):
    with server.grpc() as client:
        create(client, ALPHA, cash={"USDT": "500000"})
        at = trading.market(client, BTC)
        submit(client, ALPHA, resting("rests", at))
        submit(client, ALPHA, order("in", BTC, "BUY", at.quantity))
        assert filled(client, ALPHA, "in")["status"] == "ORDER_STATUS_FILLED"
        code, details = refused(lambda: reset(client, ALPHA, "again"))
        assert code == grpc.StatusCode.FAILED_PRECONDITION
        assert details["ErrorInfo"]["reason"] == "ACCOUNT_NOT_IDLE"
        client.call("OrderService", "FlattenAccount",
                    {"account_id": ALPHA, "request_id": "out"})

        def idle():
            found = trading.account(client, ALPHA)
            held = client.call("AccountService", "ListPositions", {"account_id": ALPHA})
            return not int(found["working_orders"]) and not held["positions"]
        apexlib.until("the account is flat", idle)
        before = trading.account(client, ALPHA)
        assert cash(before) < 500_000, "fees were paid"
        known = executions(client, ALPHA)
        after = reset(client, ALPHA, "again")
        assert cash(after) == 500_000
        assert (after["realized_pnl"], after["fees"]) == (before["realized_pnl"], before["fees"])
        assert executions(client, ALPHA) == known
        # Repeated it pays nothing, even when the account has moved on.
        client.call("AccountService", "AdjustCash", {
            "account_id": ALPHA, "request_id": "in", "currency": "USDT", "amount": "5"})
        assert cash(reset(client, ALPHA, "again")) == 500_005
        # Ids are used for ever.
        code, _ = refused(lambda: submit(client, ALPHA, order("in", ETH, "BUY", "1")))
        assert code == grpc.StatusCode.ALREADY_EXISTS
        code, _ = refused(lambda: reset(client, "nobody", "r"))
        assert code == grpc.StatusCode.NOT_FOUND


def test_the_number_of_accounts_has_a_bound(server):
    with server.grpc() as client:
        for number in range(63):
            create(client, f"n-{number}")
        code, details = refused(lambda: create(client, "one-more"))
        assert code == grpc.StatusCode.FAILED_PRECONDITION
        assert details["ErrorInfo"]["reason"] == "TOO_MANY_ACCOUNTS"
        assert not (server.data_dir / "journal" / "one-more").exists()
        # Who is there already is still found.
        assert create(client, "n-7")["account_id"] == "n-7"
        answer = client.call("RiskService", "Halt", {"request_id": "stop", "reason": "drill"})
        assert len(answer["accounts"]) == 64
    server.restart()
    with server.grpc() as client:
        assert len(accounts(client, page_size=10)) == 64


def test_commands_make_and_reset_an_account(server):
    where = ("--gateway", server.url, "--data-dir", server.data_dir)

    def cli(*arguments, check=True):
        return apexlib.run_cli(server.binary, "accounts", *arguments, *where, check=check)

    made = json.loads(cli("create", ALPHA, "--cash", "USDT=1234.5", "--json").stdout)
    assert (made["account_id"], made["cash"]) == (ALPHA, {"USDT": "1234.5"})
    assert ALPHA in cli("reset", ALPHA).stdout
    again = cli("create", ALPHA, check=False)
    assert again.returncode == 1 and "exists already" in again.stderr
    wrong = cli("create", BETA, "--cash", "USDT", check=False)
    assert wrong.returncode == 1 and "USDT=100000" in wrong.stderr


def test_accounts_at_a_venue_in_another_process(make_server, venue, tmp_path):
    folder = tmp_path / "data"
    server = make_server("up", "--venue", venue.address, data_dir=folder).start()
    with server.grpc() as client:
        code, details = refused(lambda: create(client, ALPHA, cash={"USDT": "5"}))
        assert code == grpc.StatusCode.FAILED_PRECONDITION
        assert details["ErrorInfo"]["reason"] == "NOT_IN_THIS_RUN"
        create(client, ALPHA)

        def reconciled(name):
            found = client.call("AccountService", "GetReconciliation", {"account_id": name})
            return found["reconciled"] and trading.account(client, name)["venue_connected"]
        apexlib.until("the account agrees with its venue", lambda: reconciled(ALPHA))
        at = trading.market(client, BTC)
        for name in ("paper", ALPHA):
            submit(client, name, order("first", BTC, "BUY", at.quantity))
            assert filled(client, name, "first")["status"] == "ORDER_STATUS_FILLED"
        assert len(executions(client, ALPHA)) == len(executions(client, "paper")) == 1
        code, details = refused(lambda: reset(client, ALPHA, "r"))
        assert details["ErrorInfo"]["reason"] == "NOT_IN_THIS_RUN"
    server.kill()
    again = make_server("up", "--venue", venue.address, data_dir=folder).start()
    with again.grpc() as client:
        apexlib.until("the account agrees again", lambda: client.call(
            "AccountService", "GetReconciliation", {"account_id": ALPHA})["reconciled"])
        assert len(executions(client, ALPHA)) == 1
        at = trading.market(client, BTC)
        submit(client, ALPHA, order("second", BTC, "SELL", at.quantity))
        assert filled(client, ALPHA, "second")["status"] == "ORDER_STATUS_FILLED"
        assert not client.call("AccountService", "GetReconciliation",
                               {"account_id": ALPHA})["differences"]
