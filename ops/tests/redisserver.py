"""A Redis server of a test alone, which can be made to suffer."""

import os
import shutil
import signal
import subprocess

import pytest
import redis

import apexlib

PASSWORD = "a-secret-of-the-test"
PROGRAM = "redis-server"


def installed():
    """Skips the test, by name, where the program is missing; in CI it has to be there."""
    if shutil.which(PROGRAM) is None and not os.environ.get("CI"):
        pytest.skip(f"{PROGRAM} is not installed "
                    "(Debian and Ubuntu: sudo apt-get install redis-server)")


class RedisServer:
    """`redis-server` on a port that it keeps over its own restarts. It keeps nothing on disk."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, apexlib.free_port(), None

    @property
    def url(self):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self):
        """As any other program would read it."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=10)

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--requirepass", PASSWORD, "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "redis-server has ended"
            try:
                return self.client().ping()
            except redis.ConnectionError:
                return False

        apexlib.until("an answer of redis-server", answers)
        return self

    def crash(self):
        """SIGKILL, by its process id. What it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(apexlib.STOP_SECONDS)
            self.process = None

    def freeze(self):
        """Its connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
