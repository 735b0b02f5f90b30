"""A PostgreSQL server of a test's own, which can be made to fail."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import apexlib

PATIENCE = 60.0
USER = "apex"


def programs():
    """The folder of the newest server that is installed, or None."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin")
                 if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def unprivileged():
    """Whom to run it as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        except KeyError:
            pass
    raise AssertionError("there is no user postgres or nobody to run PostgreSQL as")


class Postgres:
    """A server with an empty database `apex`, or on a data folder that `fill` makes."""

    def __init__(self, settings=(), fill=None):
        self.programs, self.user = programs(), unprivileged()
        self.settings = list(settings)
        # Not below pytest's own folder, into which another user cannot look.
        self.folder = Path(tempfile.mkdtemp(prefix="apex-postgres-"))
        self.own(self.folder)
        self.port = apexlib.free_port()
        self.process, self.paused = None, []
        if fill:
            fill(self)
            self.start()
            return
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
                  "--username", USER, "--pgdata", str(self.folder / "data"))
        self.start()
        self.query("CREATE DATABASE apex", "postgres")

    @property
    def url(self):
        return f"postgres://{USER}@127.0.0.1:{self.port}/apex"

    def own(self, path):
        if self.user:
            os.chown(path, self.user["user"], self.user["group"])

    def _run(self, program, *arguments):
        """Runs a program of the server's, as its user, to its end."""
        done = subprocess.run([self.programs / program, *arguments], cwd=self.folder,
                              capture_output=True, text=True, check=False, **self.user)
        assert done.returncode == 0, done.stderr

    def start(self):
        settings = [word for one in self.settings for word in ("-c", one)]

        def answers():
            if self.process is None or self.process.poll() is not None:
                # Children of a killed server hold its memory for a moment.
                with open(self.folder / "log", "ab") as log:
                    self.process = subprocess.Popen(
                        [self.programs / "postgres", "-D", self.folder / "data",
                         "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                         "-c", "unix_socket_directories=", *settings],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                        **self.user)
            return self._psql("SELECT 1", "postgres").returncode == 0

        apexlib.until("PostgreSQL", answers, PATIENCE, pause=0.05)

    def _psql(self, sql, database):
        return subprocess.run(
            [self.programs / "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet",
             "--set", "ON_ERROR_STOP=1", "--command", sql,
             f"postgres://{USER}@127.0.0.1:{self.port}/{database}"],
            capture_output=True, text=True, check=False)

    def query(self, sql, database="apex"):
        """Runs a statement as the administrator and returns what psql prints."""
        done = self._psql(sql, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def set(self, name, value):
        """Changes a setting of the running server, for sessions old and new."""
        self.query(f"ALTER SYSTEM SET {name} = {value}", "postgres")
        self.query("SELECT pg_reload_conf()", "postgres")

    def pause(self):
        """Stops all its processes where they are: it answers nothing and refuses nothing."""
        first = self.process.pid
        os.kill(first, signal.SIGSTOP)
        self.paused = [first]
        for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            try:
                os.kill(int(child), signal.SIGSTOP)
            except ProcessLookupError:
                continue  # It has just ended.
            self.paused.append(int(child))

    def resume(self):
        for one in reversed(self.paused):
            try:
                os.kill(one, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.paused = []

    def kill(self):
        """At once, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.resume()
            self.process.wait(PATIENCE)
            self.process = None

    def cut(self):
        """Cuts every connection of the platform, whatever is under way on it."""
        self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE application_name = 'apextrade'", "postgres")

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
