"""The audit from outside: orders and what operators do are recorded with who, what, from where,
before, after and result; a kill loses nothing that was answered; and whoever changes the files is
found out by `apextrade verify`, which names the first bad record."""

import json
import shutil
import struct
import subprocess

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, resting

HEADER, TRAILER = 72, 12


def cli(server, *arguments, ok=True):
    done = subprocess.run(
        [server.binary, *arguments], capture_output=True, text=True, timeout=60,
        env=apexlib.environment())
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return json.loads(done.stdout)


def verify(server, data_dir=None, ok=True):
    return cli(server, "verify", "--data-dir", str(data_dir or server.data_dir), "--json", ok=ok)


def listed(client, **filters):
    return list(trading.pages(client, "AuditService", "ListAuditRecords", "records", filters))


def one(client, **filters):
    found = listed(client, **filters)
    assert len(found) == 1, found
    return found[0]


def refused(call):
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    return refusal.value.code()


def act(server):
    """Orders and actions, one of each kind: 8 calls, of which 3 are refused."""
    with server.grpc() as client:
        at = trading.market(client, BTC)
        client.call("OrderService", "SubmitOrder", resting("kept-1", at))
        client.call("OrderService", "CancelOrder",
                    {"account_id": ACCOUNT, "client_order_id": "kept-1", "request_id": "cancel-1"})
        assert refused(lambda: client.call("OrderService", "SubmitOrder", {
            **resting("bad-1", at), "quantity": "x"})) == grpc.StatusCode.INVALID_ARGUMENT
        limits = client.call("RiskService", "GetLimits", {"account_id": ACCOUNT})
        client.call("RiskService", "SetLimits", {
            "account_id": ACCOUNT, "request_id": "limits-1",
            "limits": {**limits, "max_open_orders": 7}})
        client.call("RiskService", "Halt", {
            "account_id": ACCOUNT, "request_id": "halt-1", "reason": "a drill"})
        assert refused(lambda: client.call("OrderService", "SubmitOrder", resting(
            "halted-1", at))) == grpc.StatusCode.FAILED_PRECONDITION
        client.call("RiskService", "Resume", {
            "account_id": ACCOUNT, "request_id": "resume-1", "reason": "over"})
    with server.grpc(token="apex_none_wrong") as stranger:
        assert refused(lambda: stranger.call("RiskService", "Halt", {
            "request_id": "stranger-1"})) == grpc.StatusCode.UNAUTHENTICATED


def test_who_did_what_from_where_with_which_result(server):
    act(server)
    token = server.token
    with server.grpc() as client:
        submit = one(client, action="SubmitOrder", result="AUDIT_RESULT_OK")
        assert submit["principal"] == "admin" and submit["role"] == "admin"
        assert submit["key_id"] and submit["key_id"] in token
        assert submit["peer"].startswith("127.0.0.1:") and "grpc" in submit["user_agent"]
        assert submit["account_id"] == ACCOUNT and submit["request_id"] == "kept-1"
        assert json.loads(submit["request"])["client_order_id"] == "kept-1"
        assert json.loads(submit["after"])["client_order_id"] == "kept-1"
        assert submit["answer_sequence"] > submit["sequence"]
        assert submit["ts_answered_ns"] >= submit["ts_ns"] > 0

        limits = one(client, action="RiskService/SetLimits")
        assert "max_open_orders" not in json.loads(limits["before"])
        assert json.loads(limits["after"])["max_open_orders"] == 7
        halt = one(client, action="Halt", principal="admin")
        states = [json.loads(halt[when])["accounts"][0]["trading_state"]
                  for when in ("before", "after")]
        assert states == ["TRADING_STATE_ACTIVE", "TRADING_STATE_HALTED"]
        assert json.loads(halt["request"])["reason"] == "a drill"

        turned_away = {(found["request_id"], found["code"], found["reason"])
                       for found in listed(client, result="AUDIT_RESULT_REFUSED")}
        assert turned_away == {
            ("bad-1", "INVALID_ARGUMENT", ""),
            ("halted-1", "FAILED_PRECONDITION", "TRADING_HALTED"),
            ("", "UNAUTHENTICATED", "UNAUTHENTICATED"),
        }
        stranger = one(client, action="Halt", result="AUDIT_RESULT_REFUSED")
        assert stranger["principal"] == "" and stranger["peer"].startswith("127.0.0.1:")

        # Newest first, page by page, each once; and bounds of time cut where they say.
        everything = listed(client)
        order = [found["sequence"] for found in everything]
        assert order == sorted(set(order), reverse=True)
        assert {found["action"] for found in everything} >= {"Node/Started", "Node/KeyCreated"}
        paged, begin = [], ""
        while not paged or begin:
            page = client.call("AuditService", "ListAuditRecords",
                               {"page_size": 2, "page_token": begin})
            assert len(page["records"]) <= 2
            paged += page["records"]
            begin = page["next_page_token"]
        assert paged == everything
        since = halt["ts_ns"]
        later = listed(client, from_ns=since)
        assert later == [found for found in everything if found["ts_ns"] >= since]
        earlier = listed(client, to_ns=since)
        assert later + earlier == everything
        assert listed(client, account_id="nobody") == []
        checked = client.call("AuditService", "VerifyAudit")
        assert checked["ok"] and "first_bad" not in checked

    shown = cli(server, "audit", "list", "--gateway", server.url, "--data-dir",
                str(server.data_dir), "--json", "--action", "SetLimits")
    assert shown["records"][0]["after"]["max_open_orders"] == 7
    checked = cli(server, "audit", "verify", "--gateway", server.url, "--data-dir",
                  str(server.data_dir), "--json")
    assert checked["ok"] and checked["records"] >= len(everything)
    # No secret of the token is anywhere in the files.
    secret = token.rsplit("_", 1)[1].encode()
    assert len(secret) == 64
    folder = server.data_dir / "journal" / "=audit"
    assert all(secret not in path.read_bytes() for path in folder.iterdir())


def test_what_was_answered_is_recorded_after_a_kill(server):
    answered = []
    with server.grpc() as client:
        at = trading.market(client, BTC)
        for number in range(50):
            client.call("OrderService", "SubmitOrder", resting(f"kill-{number}", at))
            answered.append(f"kill-{number}")
        client.call("RiskService", "Halt", {
            "account_id": ACCOUNT, "request_id": "halt-1", "reason": "before a kill"})
    server.kill()
    assert verify(server)["ok"]
    server.start()
    with server.grpc() as client:
        found = {it["request_id"] for it in listed(client, action="SubmitOrder")}
        assert set(answered) <= found
        assert one(client, action="Halt")["result"] == "AUDIT_RESULT_OK"
        starts = listed(client, action="Node/Started")
        assert len(starts) == 2


def frames(content):
    """Start, length and first sequence of each batch of a segment file."""
    at, found = 0, []
    while content[at:at + 4] == b"AXJF":
        body, = struct.unpack_from("<I", content, at + 8)
        first, = struct.unpack_from("<Q", content, at + 16)
        length = HEADER + body + TRAILER
        found.append((at, length, first))
        at += length
    return found


@pytest.fixture
def stopped(server):
    act(server)
    assert server.stop() == 0
    found = verify(server)
    assert found["ok"] and found["audit"]["unseen"] == 0, "the stop left a checkpoint of its end"
    assert found["audit"]["records"] >= 14 and found["audit"]["checkpoints"] >= 2
    return server


def edit(content, batches):
    start, length, first = batches[5]
    content[start + length - TRAILER - 2] ^= 1
    return first


def delete(content, batches):
    start, length, first = batches[6]
    del content[start:start + length]
    content.extend(bytes(length))
    return first


def reorder(content, batches):
    (one_at, one_length, first), (other_at, other_length, _) = batches[3], batches[4]
    one_batch = content[one_at:one_at + one_length]
    other_batch = content[other_at:other_at + other_length]
    content[one_at:other_at + other_length] = other_batch + one_batch
    return first


def truncate(content, batches):
    start, _, first = batches[-3]
    content[start:] = bytes(len(content) - start)
    return first


@pytest.mark.parametrize("tamper", [edit, delete, reorder, truncate])
def test_tampering_is_found_and_the_first_bad_record_named(stopped, tmp_path, tamper):
    copy = tmp_path / "tampered"
    shutil.copytree(stopped.data_dir, copy)
    path, = (copy / "journal" / "=audit").glob("*.seg")
    content = bytearray(path.read_bytes())
    size = len(content)
    expected = tamper(content, frames(content))
    assert len(content) == size
    path.write_bytes(content)
    found = verify(stopped, copy, ok=False)
    assert not found["ok"]
    assert found["first_bad"]["account_id"] == "=audit"
    assert found["audit"]["first_bad"]["sequence"] == expected, found
    assert found["state_hash"] == verify(stopped)["state_hash"], "the accounts are as they were"


def test_an_audit_that_is_gone_or_begun_anew_is_found(stopped, tmp_path):
    copy = tmp_path / "gone"
    shutil.copytree(stopped.data_dir, copy)
    shutil.rmtree(copy / "journal" / "=audit")
    assert verify(stopped, copy, ok=False)["audit"]["first_bad"]["sequence"] == 1


def test_a_backup_holds_the_audit(stopped, tmp_path):
    place, copy = tmp_path / "backups", tmp_path / "restored"
    cli(stopped, "backup", "--data-dir", str(stopped.data_dir), "--to", str(place), "--json")
    cli(stopped, "restore", "--from", str(place), "--data-dir", str(copy), "--json")
    assert verify(stopped, copy)["audit"] == verify(stopped)["audit"]
