"""A server that speaks S3, of a test alone: the package `moto`."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import apexlib

# It takes any key.
SIGNED = ("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")


class S3Server:
    """`moto_server` with one empty bucket; what it holds is in its memory."""

    def __init__(self, bucket):
        self.bucket, self.port, self.process = bucket, apexlib.free_port(), None

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self):
        return {"APEX_S3_ENDPOINT": self.endpoint, "APEX_S3_BUCKET": self.bucket,
                "APEX_S3_ACCESS_KEY": "key", "APEX_S3_SECRET_KEY": "a-secret-of-the-test"}

    def start(self):
        program = Path(sys.executable).parent / "moto_server"
        self.process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(self.port)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "moto_server has ended"
            try:
                return self.ask("GET", "/moto-api/") is not None
            except (urllib.error.URLError, ConnectionError):
                return False

        apexlib.until("an answer of moto_server", answers)
        self.ask("PUT", f"/{self.bucket}")
        return self

    def ask(self, method, path):
        request = urllib.request.Request(self.endpoint + path, method=method,
                                         headers={"Authorization": SIGNED})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def freeze(self):
        """The system goes on taking connections for it; nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(apexlib.STOP_SECONDS)
            self.process = None
