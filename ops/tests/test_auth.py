"""Users, logins and API keys, as their owners and as strangers meet them."""

import base64
import hashlib
import hmac
import json
import struct
import time

import grpc
import pytest

import apexlib
import trading
from trading import ACCOUNT, BTC, resting

AUTH = "AuthService"
ORDERS = "OrderService"
PASSWORD = "correct horse battery"
# The promise is five seconds; a busy machine gets as many again.
CUT_SECONDS = 10


@pytest.fixture
def admin(server):
    with server.grpc() as one:
        yield one


@pytest.fixture
def stranger(server):
    with apexlib.Grpc(server.address) as one:
        yield one


def refusal(call, *arguments, **options):
    """The code and reason of a call that has to be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    details = apexlib.error_details(caught.value)
    reasons = [one["reason"] for one in details.values() if isinstance(one, dict) and "reason" in one]
    return caught.value.code(), (reasons or [""])[0]


def login(stranger, **request):
    """Logs in as a client that waits as long as it is told to."""
    while True:
        try:
            return stranger.call(AUTH, "Login", request)
        except grpc.RpcError as error:
            details = apexlib.error_details(error)
            if details.get("ErrorInfo", {}).get("reason") != "LOGIN_RATE":
                raise
            time.sleep(float(details["RetryInfo"].get("retry_delay", {}).get("nanos", 0)) / 1e9)


def make_user(admin, stranger, name="ann", role="ROLE_TRADER", accounts=(ACCOUNT,)):
    """A user that chose its password itself, and its login."""
    admin.call(AUTH, "CreateUser", {
        "request_id": f"make-{name}", "user_id": name, "role": role, "password": "given by an admin",
        "account_ids": list(accounts)})
    first = login(stranger, user_id=name, password="given by an admin")
    assert first["must_change_password"]
    stranger.call(AUTH, "ChangePassword",
                  {"old_password": "given by an admin", "new_password": PASSWORD},
                  metadata=bearer(first["access_token"]))
    return login(stranger, user_id=name, password=PASSWORD)


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parts(token):
    header, claims, signature = token.split(".")
    opened = [json.loads(base64.urlsafe_b64decode(one + "==")) for one in (header, claims)]
    return header, claims, signature, *opened


def test_a_login_trades_and_its_end_ends_it(server, admin, stranger):
    session = make_user(admin, stranger)
    with server.grpc(token=session["access_token"]) as ann:
        assert ann.call(AUTH, "WhoAmI")["account_ids"] == [ACCOUNT]
        placed = ann.call(ORDERS, "SubmitOrder", resting("ann-1", trading.market(admin, BTC)))
        assert placed["client_order_id"] == "ann-1"
        again = stranger.call(AUTH, "Refresh", {"refresh_token": session["refresh_token"]})
        assert again["session_id"] == session["session_id"]
        assert ann.call(AUTH, "Logout") == {"ended": 1}
        assert refusal(ann.call, AUTH, "WhoAmI") == (grpc.StatusCode.UNAUTHENTICATED,
                                                     "UNAUTHENTICATED")
    assert refusal(stranger.call, AUTH, "Refresh", {"refresh_token": again["refresh_token"]}) == (
        grpc.StatusCode.UNAUTHENTICATED, "LOGIN_FAILED")


def test_tokens_that_are_not_exactly_right_are_all_refused_alike(server, admin, stranger):
    session = make_user(admin, stranger)
    token = session["access_token"]
    header, claims, signature, head, said = parts(token)
    assert head["alg"] == "EdDSA" and said["sub"] == "ann"
    assert 0 < said["exp"] - time.time() <= 300

    def signed(head, said):
        # Signed with what everybody can know, as libraries once took it.
        text = f"{part(head)}.{part(said)}"
        mac = hmac.new(head["kid"].encode(), text.encode(), hashlib.sha256).digest()
        return f"{text}.{part(mac)}"

    revoked = admin.call(AUTH, "CreateApiKey", {"request_id": "k-1", "name": "short-lived"})
    admin.call(AUTH, "RevokeApiKey", {"key_id": revoked["key"]["key_id"], "request_id": "k-2"})
    bad = {
        "alg none": f"{part({**head, 'alg': 'none'})}.{claims}.",
        "HS256": signed({**head, "alg": "HS256"}, said),
        "strange kid": f"{part({**head, 'kid': '../../key'})}.{claims}.{signature}",
        "no kid": f"{part({'alg': 'EdDSA'})}.{claims}.{signature}",
        "another user": f"{header}.{part({**said, 'sub': 'admin'})}.{signature}",
        "another audience": f"{header}.{part({**said, 'aud': 'another'})}.{signature}",
        "longer": f"{header}.{part({**said, 'exp': said['exp'] + 999})}.{signature}",
        "not yet": f"{header}.{part({**said, 'nbf': said['nbf'] + 999})}.{signature}",
        "cut": token[:-8],
        "flipped": token[:-8] + "AAAAAAAA",
        "no signature": f"{header}.{claims}.",
        "revoked key": revoked["token"],
        "no key": "apex_0000000000000000_" + "0" * 64,
        "refresh token": session["refresh_token"],
        "empty": "",
    }
    answers = set()
    for name, token in bad.items():
        with server.grpc(token=token or "x") as one:
            with pytest.raises(grpc.RpcError) as caught:
                one.call(AUTH, "WhoAmI")
            answers.add((caught.value.code(), caught.value.details()))
    assert len(answers) == 1, answers
    assert answers.pop()[0] == grpc.StatusCode.UNAUTHENTICATED


def test_nothing_tells_which_names_there_are(admin, stranger):
    make_user(admin, stranger)
    said = {}
    for name in ("ann", "nobody"):
        answers = []
        for _ in range(3):
            try:
                login(stranger, user_id=name, password="wrong password")
            except grpc.RpcError as error:
                answers.append((error.code(), error.details()))
        said[name] = answers
    assert said["ann"] == said["nobody"]
    assert {code for code, _ in said["ann"]} == {grpc.StatusCode.UNAUTHENTICATED}


def test_a_viewer_submits_nothing_and_nobody_sees_other_accounts(server, admin, stranger):
    viewer = make_user(admin, stranger, "viewer", "ROLE_VIEWER")
    with server.grpc(token=viewer["access_token"]) as one:
        assert refusal(one.call, ORDERS, "SubmitOrder", resting("v-1", trading.market(admin, BTC)))[1] == "ROLE"
    outsider = make_user(admin, stranger, "outsider", "ROLE_TRADER", accounts=())
    with server.grpc(token=outsider["access_token"]) as one:
        for account in (ACCOUNT, "nowhere"):
            asked = {**resting("o-1", trading.market(admin, BTC)), "account_id": account}
            assert refusal(one.call, ORDERS, "SubmitOrder", asked)[1] == "ACCOUNT_NOT_GRANTED"
    assert trading.orders(admin) == []


def test_what_is_revoked_is_cut_from_its_open_streams(server, admin, stranger):
    session = make_user(admin, stranger)
    key = admin.call(AUTH, "CreateApiKey", {"request_id": "k-1", "role": "ROLE_VIEWER"})
    ends = {
        "session": (session["access_token"],
                    lambda: admin.call(AUTH, "DisableUser", {"user_id": "ann", "request_id": "d-1"})),
        "key": (key["token"],
                lambda: admin.call(AUTH, "RevokeApiKey", {"key_id": key["key"]["key_id"],
                                                          "request_id": "d-2"})),
    }
    for name, (token, revoke) in ends.items():
        with server.grpc(token=token) as one:
            stream = one.stream(ORDERS, "StreamOrders", {"account_id": ACCOUNT}, seconds=60)
            assert stream.take(1), name
            begun = time.monotonic()
            revoke()
            with pytest.raises(grpc.RpcError) as caught:
                for _ in stream:
                    pass
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED, name
            assert time.monotonic() - begun < CUT_SECONDS, name


def test_users_and_sessions_outlive_a_kill(server, admin, stranger):
    session = make_user(admin, stranger)
    server.kill()
    server.start()
    with server.grpc(token=session["access_token"]) as ann:
        assert ann.call(AUTH, "WhoAmI")["user_id"] == "ann"
    with apexlib.Grpc(server.address) as stranger:
        again = stranger.call(AUTH, "Refresh", {"refresh_token": session["refresh_token"]})
        assert again["user_id"] == "ann"
        # The one before it is stolen goods by now, but for ten seconds in which its answer may have
        # been lost.
        third = stranger.call(AUTH, "Refresh", {"refresh_token": again["refresh_token"]})
        assert refusal(stranger.call, AUTH, "Refresh",
                       {"refresh_token": session["refresh_token"]})[1] == "LOGIN_FAILED"
        assert refusal(stranger.call, AUTH, "Refresh",
                       {"refresh_token": third["refresh_token"]})[1] == "LOGIN_FAILED"


def code_of(secret, at):
    """RFC 6238 with SHA-1, six digits, 30 seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    place = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[place:place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_a_second_factor_is_asked_for(admin, stranger):
    session = make_user(admin, stranger)
    own = bearer(session["access_token"])
    begun = stranger.call(AUTH, "EnableTotp", {"password": PASSWORD}, metadata=own)
    code = code_of(begun["secret"], time.time())
    on = stranger.call(AUTH, "EnableTotp", {"password": PASSWORD, "code": code}, metadata=own)
    assert len(on["recovery_codes"]) == 10
    asked = {"user_id": "ann", "password": PASSWORD}
    assert refusal(login, stranger, **asked) == (
        grpc.StatusCode.FAILED_PRECONDITION, "TOTP_REQUIRED")
    assert refusal(login, stranger, **asked, totp_code=code)[1] == "LOGIN_FAILED"
    later = code_of(begun["secret"], time.time() + 30)
    assert login(stranger, **asked, totp_code=later)["user_id"] == "ann"


def test_the_audit_has_logins_and_no_secrets(server, admin, stranger):
    session = make_user(admin, stranger)
    key = admin.call(AUTH, "CreateApiKey", {"request_id": "k-1", "name": "bot"})
    records = admin.call("AuditService", "ListAuditRecords", {"page_size": 1000})
    text = json.dumps(records)
    actions = {one["action"] for one in records["records"]}
    assert {"AuthService/Login", "AuthService/CreateUser", "AuthService/ChangePassword",
            "AuthService/CreateApiKey"} <= actions
    secrets = [PASSWORD, "given by an admin", session["access_token"], session["refresh_token"],
               key["token"]]
    for secret in secrets:
        assert secret not in text
    log = server.log(10_000_000)
    stored = b"".join(path.read_bytes() for path in server.data_dir.rglob("*")
                      if path.is_file() and path.name != "admin.token")
    for secret in secrets:
        assert secret not in log
        assert secret.encode() not in stored


def test_the_commands_for_users_and_tokens(server, admin, binary, tmp_path):
    def cli(*arguments, check=True):
        return apexlib.run_cli(binary, *arguments, "--json", "--gateway", server.url,
                               "--data-dir", str(server.data_dir), check=check)

    password = tmp_path / "password"
    password.write_text("given by an admin\n")
    made = json.loads(cli("user", "add", "bob", "--role", "trader", "--account", ACCOUNT,
                          "--password-file", str(password)).stdout)
    assert (made["role"], made["account_ids"]) == ("trader", [ACCOUNT])
    token = tmp_path / "bob.token"
    key = json.loads(cli("token", "create", "--user", "bob", "--scope", "read", "--network",
                         "127.0.0.0/8", "--out", str(token)).stdout)
    assert "token" not in key and token.stat().st_mode & 0o777 == 0o600
    with server.grpc(token=token.read_text().strip()) as bob:
        assert bob.call(AUTH, "WhoAmI")["user_id"] == "bob"
        assert refusal(bob.call, ORDERS, "SubmitOrder", resting("b-1", trading.market(admin, BTC)))[1] == "SCOPE"
    cli("user", "revoke", "bob", ACCOUNT)
    users = json.loads(cli("user", "list").stdout)["users"]
    assert {one["user_id"]: one["account_ids"] for one in users} == {"admin": [], "bob": []}
    cli("token", "revoke", key["key_id"])
    assert json.loads(cli("token", "list", "--user", "bob").stdout)["keys"] == []
    last = cli("user", "disable", "admin", check=False)
    assert last.returncode == 1 and "last admin" in last.stderr
