"""Starts the platform as a user does and speaks to it as a client does.

`Server` is one process with a data folder; `Grpc` calls its services by name with plain
dictionaries, taking the message types from the server's reflection, so that no generated code
stands between a test and what is really served. Every wait has a deadline.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2  # noqa: F401  (registers ErrorInfo and BadRequest)
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

# How long a start may take: a cold page cache on a busy machine with two cores.
READY_SECONDS = 60.0
# Beyond the platform's own grace period of 10 s.
STOP_SECONDS = 20.0
CALL_SECONDS = 15.0

# Variables of the tests themselves: to the platform they would be settings that it does not know.
TEST_VARIABLES = ("APEX_AWAY_SECONDS", "APEX_FREEZE_SECONDS", "APEX_KILLS", "APEX_KILL_SEED", "APEX_SIM_SEEDS",
                  "APEX_SOAK",
                  "APEX_STRACE_ANSWERS")


def environment(more=None):
    """The environment for the platform."""
    kept = {key: value for key, value in os.environ.items() if key not in TEST_VARIABLES}
    return {**kept, **(more or {})}


def until(what, probe, seconds=30.0, pause=0.01):
    """Asks `probe` again and again until it answers something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}; last answer: {found!r}")
        time.sleep(pause)


def free_port():
    """Returns a port on loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """One process of the platform. Use it as a context manager, or call `start` and `stop`.

    `arguments` are what follows the binary, without `--listen` and `--data-dir`, which are added.
    `wrap` goes before the binary, for example `["strace", "-D", "-f", "-o", path]` (with `-D` the
    traced program itself is our child, so that signals reach it).
    """

    def __init__(self, binary, data_dir, arguments=("up",), *, port=None, env=None, wrap=(),
                 name="server", log_to=None):
        self.binary = str(binary)
        self.data_dir = Path(data_dir)
        self.arguments = list(arguments)
        self.port = port or free_port()
        self.env = dict(env or {})
        self.wrap = list(wrap)
        self.name = name
        # Takes standard error instead of a file of its own, for example "/dev/full".
        self.log_to = log_to
        self.process = None
        self.starts = 0

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}"

    @property
    def stderr_path(self):
        """Standard error of the last start; each start has its own file beside the data."""
        return self.data_dir.parent / f"{self.data_dir.name}.{self.name}.{self.starts}.stderr"

    @property
    def stdout_path(self):
        return self.stderr_path.with_suffix(".stdout")

    @property
    def token(self):
        return (self.data_dir / "admin.token").read_text().strip()

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        return [*self.wrap, self.binary, *self.arguments,
                "--listen", self.address, "--data-dir", str(self.data_dir)]

    def start(self, ready_seconds=READY_SECONDS):
        """Starts the process and waits until `/ready` answers 200."""
        assert self.process is None, "the server is already started"
        self.starts += 1
        with open(self.log_to or self.stderr_path, "wb") as stderr, open(self.stdout_path, "wb") as stdout:
            # A session of its own: what the process leaves behind can be ended by its group.
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                env=environment(self.env), start_new_session=True)
        try:
            self.wait_ready(ready_seconds)
        except BaseException:
            self.kill()
            raise
        return self

    def wait_ready(self, seconds=READY_SECONDS):
        """Polls `/ready` until it answers 200; fails with the log when the process ends first."""
        deadline = time.monotonic() + seconds
        last = "no answer"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"ended with {self.process.returncode} before it was ready:\n{self.log()}")
            status, body = self.get("/ready", seconds=2)
            if status == 200:
                return
            last = f"{status} {body[:300]!r}"
            time.sleep(0.01)
        raise AssertionError(f"not ready after {seconds} s ({last}):\n{self.log()}")

    def get(self, path, seconds=CALL_SECONDS):
        """Returns the HTTP status (None without an answer) and the body of a GET."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=seconds) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()
        except OSError as error:
            return None, str(error).encode()

    def log(self, last_bytes=4000):
        """The end of standard error."""
        if self.log_to:
            return f"(the log went to {self.log_to})"
        return self.stderr_path.read_bytes()[-last_bytes:].decode("utf-8", "replace")

    def stop(self, seconds=STOP_SECONDS):
        """SIGTERM, and SIGKILL when it has not ended in time. Returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {seconds} s after SIGTERM:\n{self.log()}") from None
        finally:
            self.kill()

    def kill(self):
        """SIGKILL, by its process id, then whatever it left behind in its own session."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_SECONDS)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # The usual case: nothing is left.
        self.process = None

    def restart(self, ready_seconds=READY_SECONDS):
        """Stops it if it runs, and starts it again on the same data and port."""
        self.stop()
        return self.start(ready_seconds)

    def grpc(self, token=None):
        """A client with this server's admin token, or with the token given (`""`: none)."""
        return Grpc(self.address, self.token if token is None else token)

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()


class Grpc:
    """Calls services by name: `call("OrderService", "GetOrder", {...})` answers a dictionary.

    Names without a dot are in `apextrade.v1`. Decimals are strings and 64-bit numbers are ints in
    both directions; enums are their names; fields with presence that are not set are left out.
    A refused call raises `grpc.RpcError` with `.code()` and `.details()`.
    """

    PACKAGE = "apextrade.v1"

    def __init__(self, address, token=""):
        # A restarted server must be found at once, not after a back-off of minutes.
        options = [("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200),
                   ("grpc.initial_reconnect_backoff_ms", 50),
                   ("grpc.max_receive_message_length", 64 << 20)]
        self.channel = grpc.insecure_channel(address, options=options)
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.pool = descriptor_pool.DescriptorPool()
        self.files = set()

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def services(self):
        """Names of the services that reflection lists."""
        answer = self._reflect(reflection_pb2.ServerReflectionRequest(list_services=""))
        return [service.name for service in answer.list_services_response.service]

    def methods(self, service):
        """Descriptors of the methods of a service."""
        return self._service(service).methods

    def call(self, service, method, request=None, *, seconds=CALL_SECONDS, metadata=None):
        """One request, one answer."""
        described, path = self._method(service, method)
        invoke = self.channel.unary_unary(path, **self._codec(described))
        answer = invoke(self._encode(described, request), timeout=seconds,
                        metadata=self._metadata(metadata))
        return to_dict(answer)

    def future(self, service, method, request=None, *, seconds=CALL_SECONDS, metadata=None):
        """Like `call`, without waiting: `.result()` waits and gives the dictionary or raises."""
        described, path = self._method(service, method)
        invoke = self.channel.unary_unary(path, **self._codec(described))
        return Pending(invoke.future(self._encode(described, request), timeout=seconds,
                                     metadata=self._metadata(metadata)))

    def raw(self, service, method, body, *, seconds=CALL_SECONDS):
        """Sends these bytes as the request, whatever they are, and returns the answer's bytes."""
        _, path = self._method(service, method)
        invoke = self.channel.unary_unary(path, request_serializer=lambda bytes_: bytes_,
                                          response_deserializer=lambda bytes_: bytes_)
        return invoke(body, timeout=seconds, metadata=self._metadata(None))

    def stream(self, service, method, request=None, *, seconds=CALL_SECONDS, metadata=None):
        """One request, many answers: an iterator of dictionaries with `.cancel()`."""
        described, path = self._method(service, method)
        invoke = self.channel.unary_stream(path, **self._codec(described))
        return Answers(invoke(self._encode(described, request), timeout=seconds,
                              metadata=self._metadata(metadata)))

    def session(self, service, method, requests, *, seconds=CALL_SECONDS, metadata=None):
        """Many requests (an iterable of dictionaries), many answers."""
        described, path = self._method(service, method)
        invoke = self.channel.stream_stream(path, **self._codec(described))
        encoded = (self._encode(described, request) for request in requests)
        return Answers(invoke(encoded, timeout=seconds, metadata=self._metadata(metadata)))

    def _metadata(self, more):
        return [*self.metadata, *(more or [])]

    def _service(self, service):
        name = service if "." in service else f"{self.PACKAGE}.{service}"
        try:
            return self.pool.FindServiceByName(name)
        except KeyError:
            self._load(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
            return self.pool.FindServiceByName(name)

    def _method(self, service, method):
        described = self._service(service)
        return described.methods_by_name[method], f"/{described.full_name}/{method}"

    @staticmethod
    def _codec(described):
        answer = message_factory.GetMessageClass(described.output_type)
        return {"request_serializer": lambda message: message.SerializeToString(),
                "response_deserializer": answer.FromString}

    @staticmethod
    def _encode(described, request):
        message = message_factory.GetMessageClass(described.input_type)()
        return json_format.ParseDict(request or {}, message)

    def _load(self, request):
        """Adds the files of the answer, after the files that they import."""
        answer = self._reflect(request)
        if answer.HasField("error_response"):
            raise KeyError(f"reflection: {answer.error_response.error_message}")
        files = {}
        for packed in answer.file_descriptor_response.file_descriptor_proto:
            described = descriptor_pb2.FileDescriptorProto.FromString(packed)
            files[described.name] = described
        for name in list(files):
            self._add(name, files)

    def _add(self, name, files):
        if name in self.files:
            return
        if name not in files:
            self._load(reflection_pb2.ServerReflectionRequest(file_by_filename=name))
            return
        for imported in files[name].dependency:
            self._add(imported, files)
        self.files.add(name)
        self.pool.Add(files[name])

    def _reflect(self, request):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        answers = stub.ServerReflectionInfo(iter([request]), timeout=CALL_SECONDS)
        return next(iter(answers))


class Pending:
    """An answer that may not be there yet."""

    def __init__(self, grpc_future):
        self.grpc_future = grpc_future

    def result(self):
        return to_dict(self.grpc_future.result())

    def when_done(self, callback):
        """Calls `callback(self)` on a thread of gRPC."""
        self.grpc_future.add_done_callback(lambda _: callback(self))


class Answers:
    """A stream of answers as dictionaries."""

    def __init__(self, call):
        self.grpc_call = call

    def __iter__(self):
        return self

    def __next__(self):
        return to_dict(next(self.grpc_call))

    def take(self, count):
        """The next `count` answers."""
        return [next(self) for _ in range(count)]

    def cancel(self):
        self.grpc_call.cancel()


def to_dict(message):
    """A message as a dictionary: like protobuf's JSON, but 64-bit numbers stay numbers."""
    result = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            result[field.name] = {key: _plain(inner, value[key]) for key in value}
        elif field.is_repeated:
            result[field.name] = [_plain(field, one) for one in value]
        else:
            result[field.name] = _plain(field, value)
    return result


def _plain(field, value):
    if field.message_type is not None:
        return to_dict(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    return value


def error_details(error):
    """The typed details of a refused call, by message name: `{"ErrorInfo": {...}, ...}`."""
    status = rpc_status.from_call(error)
    found = {}
    for packed in status.details if status else []:
        name = packed.type_url.rsplit("/", 1)[-1]
        message = message_factory.GetMessageClass(
            descriptor_pool.Default().FindMessageTypeByName(name))()
        packed.Unpack(message)
        found[name.rsplit(".", 1)[-1]] = to_dict(message)
    return found


def run_cli(binary, *arguments, seconds=120, env=None, check=True):
    """Runs a command to its end; with `--json` among the arguments `.json` is what it printed."""
    done = subprocess.run([str(binary), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds,
                          env=environment(env), check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    done.json = json.loads(done.stdout) if "--json" in arguments and done.stdout else None
    return done
