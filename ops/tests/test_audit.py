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
from s3server import S3Server
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


def without_audit(server, copy, *more):
    """A copy of a data folder whose audit is gone, with what else is named."""
    shutil.copytree(server.data_dir, copy)
    shutil.rmtree(copy / "journal" / "=audit")
    for name in more:
        (copy / name).unlink()
    return copy


def test_an_audit_that_went_with_the_note_of_its_id_is_missed(stopped, tmp_path):
    audit_id = verify(stopped)["audit"]["audit_id"]
    copy = without_audit(stopped, tmp_path / "gone", "audit_id")
    found = verify(stopped, copy, ok=False)
    bad = found["audit"]["first_bad"]
    assert not found["ok"] and found["first_bad"]["account_id"] == "=audit"
    assert bad["sequence"] == 1 and audit_id in bad["reason"], bad
    assert found["audit"]["checkpoints"] >= 2 and found["audit"]["records"] == 0
    # Without its checkpoints the note that one is kept still tells.
    shutil.rmtree(copy / "objects" / "data" / "audit")
    assert audit_id in verify(stopped, copy, ok=False)["audit"]["first_bad"]["reason"]


@pytest.mark.parametrize("gone_too", [(), ("audit_id",)])
def test_no_start_goes_over_a_missing_audit_unless_that_is_accepted(
        stopped, make_server, tmp_path, gone_too):
    copy = without_audit(stopped, tmp_path / "gone", *gone_too)
    with pytest.raises(AssertionError, match="--new-audit") as refusal:
        make_server("up", data_dir=copy).start()
    said = [line for line in str(refusal.value).splitlines() if line.startswith("apextrade: ")]
    assert len(said) == 1 and "gone" in said[0] and "backup" in said[0], said
    assert not verify(stopped, copy, ok=False)["ok"], "it is still missed"

    with make_server("up", "--new-audit", data_dir=copy) as server:
        with server.grpc() as client:
            first = listed(client)[-1]
            assert first["action"] == "Node/AuditBegunAnew" and first["sequence"] == 1, first
            assert "gone" in first["message"] or "gone" in json.dumps(first), first
    assert verify(stopped, copy)["audit"]["records"] >= 3
    with pytest.raises(AssertionError, match="leave --new-audit out"):
        make_server("up", "--new-audit", data_dir=copy).start()
    with make_server("up", data_dir=copy):
        pass


def test_checkpoints_in_a_bucket_miss_an_audit_that_is_gone(make_server, tmp_path):
    s3 = S3Server("apex").start()
    try:
        server = make_server("up", env=s3.settings).start()
        act(server)
        assert server.stop() == 0

        def checked(data_dir):
            done = subprocess.run(
                [server.binary, "verify", "--data-dir", str(data_dir), "--json"], timeout=60,
                capture_output=True, text=True, env=apexlib.environment(s3.settings))
            return done.returncode, json.loads(done.stdout)

        status, whole = checked(server.data_dir)
        assert status == 0 and whole["audit"]["checkpoints"] >= 2
        # The end is cut off, and the note that says where the checkpoints are is gone.
        copy = tmp_path / "cut"
        shutil.copytree(server.data_dir, copy)
        path, = (copy / "journal" / "=audit").glob("*.seg")
        content = bytearray(path.read_bytes())
        expected = truncate(content, frames(content))
        path.write_bytes(content)
        (copy / "audit_id").unlink()
        status, found = checked(copy)
        assert status == 1 and found["audit"]["first_bad"]["sequence"] == expected, found
        copy = without_audit(server, tmp_path / "gone", "audit_id")
        status, found = checked(copy)
        assert status == 1 and whole["audit"]["audit_id"] in found["audit"]["first_bad"]["reason"]
    finally:
        s3.kill()


def test_damage_of_the_audit_is_told_as_what_it_is(stopped, make_server):
    path, = (stopped.data_dir / "journal" / "=audit").glob("*.seg")
    content = bytearray(path.read_bytes())
    expected = edit(content, frames(content))
    path.write_bytes(content)

    def run(*words):
        return subprocess.run([stopped.binary, *words, "--data-dir", str(stopped.data_dir)],
                              capture_output=True, text=True, timeout=60,
                              env=apexlib.environment({"APEX_LISTEN": "127.0.0.1:1"}))

    told = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)}
    assert told["journal"]["ok"] and not told["audit"]["ok"], told
    assert f"record {expected}" in told["audit"]["detail"]
    said = run("verify").stdout
    assert f'audit (journal "=audit"), record {expected}: ' in said, said
    assert "damaged: account" not in said
    with pytest.raises(AssertionError, match="ended with 1") as refusal:
        make_server("up", data_dir=stopped.data_dir).start()
    line, = [line for line in str(refusal.value).splitlines() if line.startswith("apextrade: ")]
    assert 'the audit (journal "=audit")' in line and "whole data folder" not in line, line


def test_an_action_that_no_record_has_is_an_error_that_names_those_that_have(server):
    with server.grpc() as client:
        with pytest.raises(grpc.RpcError) as refusal:
            listed(client, action="RiskService/Hlat")
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        violation, = apexlib.error_details(refusal.value)["BadRequest"]["field_violations"]
        assert violation["field"] == "action" and 'did you mean "RiskService/Halt"' in violation["description"]
        for known in ("Halt", "RiskService/Halt", "Started", "StrategyService/Connect"):
            listed(client, action=known)


def test_a_backup_holds_the_audit(stopped, tmp_path):
    place, copy = tmp_path / "backups", tmp_path / "restored"
    cli(stopped, "backup", "--data-dir", str(stopped.data_dir), "--to", str(place), "--json")
    cli(stopped, "restore", "--from", str(place), "--data-dir", str(copy), "--json")
    assert verify(stopped, copy)["audit"] == verify(stopped)["audit"]
