"""The helpers themselves: a wait that never ends or a lost field would make other tests lie."""

import json
import subprocess
import sys
from concurrent import futures

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

import apexlib

# A stand-in for the platform: it knows --listen, answers /ready, and ends on SIGTERM.
PROGRAM = """\
import http.server, signal, sys
host, port = sys.argv[sys.argv.index("--listen") + 1].split(":")
data = sys.argv[sys.argv.index("--data-dir") + 1]
open(data + "/admin.token", "w").write("secret\\n")
asked = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(200 if len(asked) > 1 else 503)
        self.end_headers()
        self.wfile.write(b"{}")
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if "broken" in sys.argv:
    sys.exit("cannot open the journal")
print("listening", file=sys.stderr, flush=True)
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\n{PROGRAM}")
    path.chmod(0o755)
    return path


def test_a_server_is_ready_only_when_ready_answers_200(program, data_dir):
    with apexlib.Server(program, data_dir) as server:
        assert server.get("/ready")[0] == 200
        assert server.token == "secret"
        assert "listening" in server.log()
        process = server.process
    assert process.returncode == 0


def test_a_server_that_ends_early_shows_its_log(program, data_dir):
    server = apexlib.Server(program, data_dir, ("up", "broken"))
    with pytest.raises(AssertionError, match="cannot open the journal"):
        server.start()
    assert server.process is None


def test_a_server_that_ignores_sigterm_is_killed_and_reported(program, data_dir):
    server = apexlib.Server(program, data_dir, ("up", "stubborn")).start()
    process = server.process
    with pytest.raises(AssertionError, match="still running"):
        server.stop(seconds=0.3)
    assert process.returncode == -9
    assert server.get("/ready", seconds=1)[0] is None


def test_a_killed_server_starts_again_on_the_same_port_with_a_log_of_its_own(program, data_dir):
    server = apexlib.Server(program, data_dir).start()
    port, first_log = server.port, server.stderr_path
    server.kill()
    server.start()
    assert server.port == port
    assert server.stderr_path != first_log
    assert server.stop() == 0


def test_a_wrapped_program_is_still_our_child(program, data_dir):
    with apexlib.Server(program, data_dir, wrap=["env", "A=b"]) as server:
        assert server.get("/ready")[0] == 200


def test_a_command_gives_its_json_or_its_error():
    done = apexlib.run_cli(sys.executable, "-c", "print('{\"ok\": true}')", "--json")
    assert done.json == {"ok": True}
    with pytest.raises(AssertionError, match="no such file"):
        apexlib.run_cli(sys.executable, "-c", "import sys; sys.exit('no such file')")
    with pytest.raises(subprocess.TimeoutExpired):
        apexlib.run_cli(sys.executable, "-c", "input and __import__('time').sleep(60)", seconds=0.2)


class Health(health.HealthServicer):
    """The stock health service, which refuses the service `refused` with typed details."""

    def Check(self, request, context):
        if dict(context.invocation_metadata()).get("authorization") != "Bearer secret":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        if request.service == "refused":
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason="NO_REFERENCE_PRICE", domain="x"))
            context.abort_with_status(rpc_status.to_status(status_pb2.Status(
                code=code_pb2.FAILED_PRECONDITION, message="denied", details=[detail])))
        return super().Check(request, context)


@pytest.fixture
def address():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    servicer = Health()
    servicer.set("apextrade", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(
        [health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


def test_a_service_is_called_by_name_through_reflection(address):
    with apexlib.Grpc(address, "secret") as client:
        assert "grpc.health.v1.Health" in client.services()
        answer = client.call("grpc.health.v1.Health", "Check", {"service": "apextrade"})
        assert answer == {"status": "SERVING"}


def test_a_stream_gives_dictionaries_and_can_be_cancelled(address):
    with apexlib.Grpc(address, "secret") as client:
        answers = client.stream("grpc.health.v1.Health", "Watch", {"service": "apextrade"})
        assert answers.take(1) == [{"status": "SERVING"}]
        answers.cancel()
        with pytest.raises(grpc.RpcError):
            next(answers)


def test_a_refused_call_has_a_code_and_typed_details(address):
    with apexlib.Grpc(address, "secret") as client:
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("grpc.health.v1.Health", "Check", {"service": "refused"})
        assert refusal.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        reason = apexlib.error_details(refusal.value)["ErrorInfo"]["reason"]
        assert reason == "NO_REFERENCE_PRICE"
    with apexlib.Grpc(address) as client:
        with pytest.raises(grpc.RpcError) as refusal:
            client.call("grpc.health.v1.Health", "Check", {})
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_an_unknown_service_or_field_is_an_error(address):
    with apexlib.Grpc(address, "secret") as client:
        with pytest.raises(KeyError):
            client.call("NoService", "Get")
        with pytest.raises(Exception, match="no_field"):
            client.call("grpc.health.v1.Health", "Check", {"no_field": 1})


def test_a_message_becomes_a_dictionary_with_numbers_as_numbers():
    retry = error_details_pb2.RetryInfo()
    assert apexlib.to_dict(retry) == {}
    retry.retry_delay.seconds = 2**40
    assert apexlib.to_dict(retry) == {"retry_delay": {"seconds": 2**40, "nanos": 0}}
    info = error_details_pb2.ErrorInfo(reason="R", metadata={"a": "b"})
    assert apexlib.to_dict(info) == {"reason": "R", "domain": "", "metadata": {"a": "b"}}
    assert json.dumps(apexlib.to_dict(info))
