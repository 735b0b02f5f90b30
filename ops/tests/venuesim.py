"""The simulated venue in a process of its own."""

import json
import re
import socket
import subprocess

import apexlib
from trading import VenueTruth


class VenueSim:
    """`apextrade venue-sim` on a port that it keeps over its own restarts."""

    def __init__(self, binary, data_dir, port):
        self.binary, self.data_dir, self.port = binary, data_dir, port
        self.process = None
        self.starts = 0

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, *more):
        self.starts += 1
        self.stderr_path = self.data_dir.parent / f"venue.{self.starts}.stderr"
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                [str(self.binary), "venue-sim", "--listen", self.address,
                 "--data-dir", str(self.data_dir), *more],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                env=apexlib.environment(), start_new_session=True)
        said = self.process.stdout.readline().decode()
        assert re.search(rf"127\.0\.0\.1:{self.port}\b", said), (
            said, self.stderr_path.read_text(errors="replace"))
        return self

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(apexlib.STOP_SECONDS)
            self.process.stdout.close()
            self.process = None

    def truth(self, markets):
        return VenueTruth(self.data_dir / "venue.jsonl", markets)


PROTOCOL, HEARTBEAT_MS = 3, 60_000


class Operator:
    """A session with the venue that trades nothing: it decides for the venue, and makes it fail."""

    def __init__(self, venue):
        host, port = venue.address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.lines = self.socket.makefile("rb")
        self.send({"logon": {"protocol": PROTOCOL, "account_id": "operator",
                             "next_report_sequence": 1, "heartbeat_ms": HEARTBEAT_MS}})
        assert "logged_on" in json.loads(self.lines.readline())

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def session(self, instrument_id, edge):
        self.send({"control": {"session": {"instrument_id": instrument_id, "edge": edge}}})

    def faults(self, **faults):
        """Instead of those before; none makes it well again."""
        none = {"drop_after_commands": None, "answer_delay_ms": 0, "duplicate_reports": False,
                "mute": False, "reject_all": False}
        self.send({"set_faults": {**none, **faults}})

    def close(self):
        self.socket.close()
