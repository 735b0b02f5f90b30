"""One address that abuses HTTP/2: the server's memory stays, others' calls stay quick, and it is well
afterwards. Frames are written by hand, since a library would not let one break the protocol."""

import gzip
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import apexlib

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4

MEMORY_MIB = 50
# Others' p99, in times of the quiet one. On top of it what a busy test machine adds to any call.
SLOWER = 2.0
SLACK_SECONDS = 0.1

# How long one kind of abuse lasts. Long enough for some hundred calls of the other client.
ABUSE_SECONDS = 4.0

# The abuser's address; others come from 127.0.0.1.
ABUSER = ("127.0.0.2", 0)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value):
    """An HPACK string of less than 16 kB, not compressed."""
    data = value.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, length = len(data) - 127, b"\x7f"
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + data


def headers(path, token, more=()):
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
              ("content-type", "application/grpc"), ("te", "trailers"),
              ("authorization", f"Bearer {token}"), *more]
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def message(body=b"", compressed=0):
    return bytes([compressed]) + struct.pack(">I", len(body)) + body


class Link:
    """A connection that speaks HTTP/2 as badly as it is asked to."""

    def __init__(self, address, windows=True):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5, source_address=ABUSER)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        # As much as the protocol allows: what is not read waits at the server.
        window = struct.pack(">HI", 4, 2**31 - 1) if windows else b""
        self.send(frame(SETTINGS, 0, 0, window))
        if windows:
            self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535)))
        self.stream = 1

    def send(self, data):
        """Returns False when the server has closed the connection, or takes nothing more."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def next_stream(self):
        stream, self.stream = self.stream, self.stream + 2
        return stream

    def call(self, path, token, body, more=()):
        stream = self.next_stream()
        return self.send(frame(HEADERS, END_HEADERS, stream, headers(path, token, more))
                         + frame(DATA, END_STREAM, stream, message(body)))

    def close(self):
        self.socket.close()


SUBSCRIBE = "/apextrade.v1.MarketDataService/Subscribe"
SUBMIT = "/apextrade.v1.OrderService/SubmitOrder"
GET = "/apextrade.v1.AccountService/GetAccount"


def until(deadline):
    while time.monotonic() < deadline:
        yield


def reconnecting(server, deadline, write):
    """Calls `write` on one connection after the other, until the time is over."""
    count = 0
    while time.monotonic() < deadline:
        try:
            link = Link(server.address)
        except OSError:
            time.sleep(0.01)
            continue
        for _ in until(deadline):
            count += 1
            if not write(link):
                break
        link.close()
    return count


def many_streams(server, deadline):
    """20,000 open streams, which are never ended."""
    links, opened = [], 0
    for _ in until(deadline):
        if opened >= 20_000:
            break
        try:
            link = Link(server.address)
        except OSError:
            time.sleep(0.01)
            continue
        links.append(link)
        block = headers(SUBMIT, server.token)
        for _ in range(250):
            if not link.send(frame(HEADERS, END_HEADERS, link.next_stream(), block)):
                break
            opened += 1
    time.sleep(max(0.0, deadline - time.monotonic()))
    for link in links:
        link.close()
    return opened


def silent_sockets(server, deadline):
    """1,000 sockets that say nothing."""
    host, port = server.address.split(":")
    sockets = []
    for _ in range(1_000):
        try:
            sockets.append(socket.create_connection(
                (host, int(port)), timeout=1, source_address=ABUSER))
        except OSError:
            break
    time.sleep(max(0.0, deadline - time.monotonic()))
    for one in sockets:
        one.close()
    return len(sockets)


def slow_readers(server, deadline):
    """1,000 streams of market data with the largest windows, and nobody reads."""
    links, opened = [], 0
    for _ in range(8):
        link = Link(server.address)
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        links.append(link)
        for _ in range(125):
            opened += link.call(SUBSCRIBE, server.token, b"")
            # A client may open 500 a second.
            time.sleep(0.002)
    time.sleep(max(0.0, deadline - time.monotonic()))
    for link in links:
        link.close()
    return opened


def rapid_reset(server, deadline):
    """CVE-2023-44487: each stream is reset as soon as it is opened."""
    def write(link):
        data = b""
        for _ in range(100):
            stream = link.next_stream()
            data += frame(HEADERS, END_HEADERS, stream, headers(GET, server.token))
            data += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        return link.send(data)
    return reconnecting(server, deadline, write)


def made_to_reset(server, deadline):
    """CVE-2025-8671: the server is brought to reset the streams itself."""
    def write(link):
        data = b""
        for _ in range(100):
            stream = link.next_stream()
            data += frame(HEADERS, END_HEADERS, stream, headers(GET, server.token))
            data += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0))
        return link.send(data)
    return reconnecting(server, deadline, write)


def pings(server, deadline):
    """PINGs whose answers nobody reads."""
    return reconnecting(server, deadline, lambda link: link.send(frame(PING, 0, 0, bytes(8)) * 500))


def settings(server, deadline):
    return reconnecting(server, deadline, lambda link: link.send(frame(SETTINGS, 0, 0) * 500))


def continuations(server, deadline):
    """CVE-2024-24549 and its like: headers that never end."""
    def write(link):
        if link.stream == 1 and not link.send(frame(HEADERS, 0, link.next_stream(), headers(GET, "x"))):
            return False
        return link.send(frame(CONTINUATION, 0, 1, b"\x00" + text("x-more") + text("y" * 8_000)))
    return reconnecting(server, deadline, write)


def large_messages(server, deadline):
    """Messages of 5 MiB."""
    body = message(bytes(5 << 20))
    parts = [body[at:at + 16_384] for at in range(0, len(body), 16_384)]

    def write(link):
        stream = link.next_stream()
        if not link.send(frame(HEADERS, END_HEADERS, stream, headers(SUBMIT, server.token))):
            return False
        return all(link.send(frame(DATA, 0, stream, part)) for part in parts)
    return reconnecting(server, deadline, write)


def gzip_bomb(server, deadline):
    """50 MB of zeros in 50 kB, with the flag of a compressed message."""
    bomb = message(gzip.compress(bytes(50_000_000)), compressed=1)
    parts = [bomb[at:at + 16_384] for at in range(0, len(bomb), 16_384)]
    block = headers(SUBMIT, server.token, [("grpc-encoding", "gzip")])

    def write(link):
        stream = link.next_stream()
        last = len(parts) - 1
        return link.send(frame(HEADERS, END_HEADERS, stream, block)
                         + b"".join(frame(DATA, int(at == last), stream, part)
                                    for at, part in enumerate(parts)))
    return reconnecting(server, deadline, write)


def nested(server, deadline):
    """Messages in messages, as deep as 60 kB go, and text that is no UTF-8."""
    deep = b""
    while len(deep) < 60_000:
        size, length = len(deep), b""
        while size >= 128:
            length += bytes([size % 128 + 128])
            size //= 128
        deep = b"\x0a" + length + bytes([size]) + deep
        if len(deep) > 4_000:
            # Groups nest at two bytes a level.
            deep = b"\x0b" * 28_000 + b"\x0c" * 28_000
            break
    bad = b"\x0a\x04\xff\xfe\xc3\x28"

    def write(link):
        ok = True
        for body in (deep, bad):
            stream = link.next_stream()
            data = message(body)
            ok = ok and link.send(frame(HEADERS, END_HEADERS, stream, headers(SUBMIT, server.token)))
            for at in range(0, len(data), 16_384):
                part = data[at:at + 16_384]
                ok = ok and link.send(frame(DATA, int(at + 16_384 >= len(data)), stream, part))
        return ok
    return reconnecting(server, deadline, write)


ABUSES = [many_streams, silent_sockets, slow_readers, rapid_reset, made_to_reset, pings, settings,
          continuations, large_messages, gzip_bomb, nested]


def resident_mib(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1_024


class Other:
    """Another client, which calls all the time and notes how long each takes."""

    def __init__(self, server):
        self.client = server.grpc()
        self.spent = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping.is_set():
            begun = time.monotonic()
            self.client.call("AccountService", "GetAccount", {"account_id": "paper"})
            self.spent.append(time.monotonic() - begun)
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(apexlib.CALL_SECONDS)
        self.client.close()

    def p99(self):
        """The median of the 99th percentiles of five windows: one hiccup of the machine is one window."""
        assert len(self.spent) >= 50, f"only {len(self.spent)} calls were answered"
        size = len(self.spent) // 5
        windows = [sorted(self.spent[at * size:(at + 1) * size]) for at in range(5)]
        return statistics.median(window[int(len(window) * 0.99)] for window in windows)


@pytest.fixture(scope="module")
def server(binary, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("abuse") / "data"
    data_dir.mkdir()
    with apexlib.Server(binary, data_dir) as one:
        # What the first calls need once is there before anything is measured.
        with one.grpc() as client:
            client.call("AccountService", "GetAccount", {"account_id": "paper"})
            client.stream("MarketDataService", "Subscribe", {}).take(50)
        yield one
        assert "panicked" not in one.stderr_path.read_text(errors="replace")


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
def test_abuse_from_one_address_is_noticed_by_nobody_else(server, abuse):
    with Other(server) as other:
        # What the abuse before left behind is cleared away first.
        apexlib.until("calm", lambda: len(other.spent) > 20 and max(other.spent[-20:]) < SLACK_SECONDS)
        other.spent.clear()
        time.sleep(ABUSE_SECONDS / 2)
    quiet = other.p99()
    before = peak = resident_mib(server)
    # A process of its own, so that it does not take this one's time from the other client.
    command = [sys.executable, __file__, abuse.__name__, server.address, server.token]
    with Other(server) as other:
        apexlib.until("the other client", lambda: other.spent)
        attack = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 10 * ABUSE_SECONDS
            while attack.poll() is None:
                peak = max(peak, resident_mib(server))
                time.sleep(0.02)
                assert time.monotonic() < deadline, "the abuse does not end"
        finally:
            attack.kill()
        done = int(attack.communicate()[0])
    busy = other.p99()
    print(f"{abuse.__name__}: {done} times; memory {before:.1f} to {peak:.1f} MiB; "
          f"p99 {quiet * 1e3:.2f} ms quiet, {busy * 1e3:.2f} ms beside it, {len(other.spent)} calls")
    assert done > 0, "nothing was tried"
    assert peak - before < MEMORY_MIB
    assert busy < SLOWER * quiet + SLACK_SECONDS
    # It is well afterwards: new connections, all of its parts.
    apexlib.until("/ready", lambda: server.get("/ready")[0] == 200)
    with server.grpc() as client:
        assert client.call("AccountService", "GetAccount", {"account_id": "paper"})["account_id"] == "paper"
        assert client.stream("MarketDataService", "Subscribe", {}).take(2)


if __name__ == "__main__":
    _, name, address, token = sys.argv
    target = SimpleNamespace(address=address, token=token)
    print(globals()[name](target, time.monotonic() + ABUSE_SECONDS))
