"""A bucket that is set wrongly, is frozen, or is well: what commands say of it."""

import json
import subprocess
import time

import pytest

import apexlib
from s3server import S3Server

# Twice 15 s of silence, the pause between them, and a busy machine.
GIVEN_UP_SECONDS = 60


@pytest.fixture
def s3():
    one = S3Server("apex").start()
    yield one
    one.kill()


def checks(done):
    return {check["name"]: check for check in json.loads(done.stdout)}


@pytest.mark.parametrize("command", ["up", "doctor", "verify", "backup"])
def test_keys_in_the_endpoint_are_refused_and_never_shown(
        command, cli, s3, data_dir, make_server):
    # A folder without an account's journal is refused before the bucket is asked.
    assert make_server("up", data_dir=data_dir).start().stop() == 0
    env = {**s3.settings, "APEX_S3_ENDPOINT": f"http://grace:hush-hush@127.0.0.1:{s3.port}"}
    words = {"up": ["up", "--listen", "127.0.0.1:0"], "doctor": ["doctor", "--json"],
             "verify": ["verify"], "backup": ["backup", "--to", "s3"]}[command]
    (data_dir / "audit_id").write_text("0123456789abcdef s3\n")
    done = cli(*words, "--data-dir", data_dir, env=env, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "hush-hush" not in said and "grace" not in said, said
    assert "APEX_S3_ENDPOINT" in said, said


def test_a_frozen_server_is_named_and_given_up(binary, s3, data_dir, tmp_path):
    """Each command ends by itself, with the name of the server and of its setting."""
    s3.freeze()
    begun = time.monotonic()
    started = {}
    try:
        for name, words in {"up": ["up", "--listen", "127.0.0.1:0"], "doctor": ["doctor"]}.items():
            folder = tmp_path / f"new-{name}"
            started[name] = subprocess.Popen(
                [str(binary), *words, "--data-dir", str(folder)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=apexlib.environment(s3.settings))
        said = {name: "".join(one.communicate(timeout=GIVEN_UP_SECONDS))
                for name, one in started.items()}
    finally:
        s3.thaw()
        for one in started.values():
            one.kill()
    assert time.monotonic() - begun < GIVEN_UP_SECONDS
    for name, text in said.items():
        assert started[name].returncode == 1, text
        # While it waits, and at the end.
        assert "has not answered for 5 s" in text, text
        assert "no sign of life" in text, text
        assert s3.endpoint in text and "APEX_S3_ENDPOINT" in text, text
    assert not (tmp_path / "new-up").exists(), "nothing is made for a start that cannot succeed"


def test_doctor_tries_what_may_be_done_in_the_bucket(cli, s3, tmp_path):
    def check(**changed):
        done = cli("doctor", "--json", "--data-dir", tmp_path / "none", check=False,
                   env={**s3.settings, "APEX_LISTEN": f"127.0.0.1:{apexlib.free_port()}", **changed})
        found = checks(done)["s3"]
        assert found["ok"] == (done.returncode == 0), done.stdout
        return found

    found = check()
    assert found["ok"] and f"{s3.endpoint}/apex" in found["detail"], found
    assert "<Key>" not in s3.ask("GET", "/apex"), "its own object is gone again"
    found = check(APEX_S3_BUCKET="none")
    assert not found["ok"] and "APEX_S3_BUCKET" in found["detail"], found
    s3.kill()
    found = check()
    assert not found["ok"] and "APEX_S3_ENDPOINT" in found["detail"], found
    done = cli("doctor", "--json", "--data-dir", tmp_path / "none", check=False)
    assert checks(done)["s3"]["ok"] and "not set" in checks(done)["s3"]["detail"]


def test_a_bucket_that_is_away_is_told_on_its_own_line(cli, make_server, s3):
    server = make_server("up", env=s3.settings).start()
    assert server.stop() == 0
    s3.kill()
    env = {**s3.settings, "APEX_LISTEN": f"127.0.0.1:{apexlib.free_port()}"}
    done = cli("doctor", "--json", "--data-dir", server.data_dir, check=False, env=env)
    found = checks(done)
    assert done.returncode == 1 and not found["s3"]["ok"], found
    assert [name for name, check in found.items() if not check["ok"]] == ["s3"], found
    # Nothing of the journals of a data folder is in it.
    assert "whole" in found["journal"]["detail"] and "see s3" in found["audit"]["detail"], found
