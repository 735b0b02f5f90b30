"""What outlives a PostgreSQL server whose disk is lost: a base backup, and the WAL since."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import apexlib
from postgres import PATIENCE, Postgres, unprivileged

# As in docs/guide/backup.md: a file is there whole or not at all, and is never written over.
COMMAND = """\
#!/bin/sh -e
# $1: the file, $2: its name.
to=$APEX_WAL_ARCHIVE/$2
if test -f "$to"; then exec cmp -s "$1" "$to"; fi
cp "$1" "$to.part"
sync "$to.part"
mv "$to.part" "$to"
sync "$APEX_WAL_ARCHIVE"
"""


class Archive:
    """A folder of its own, as another machine's would be."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="apex-archive-"))
        self.wal, self.base = self.folder / "wal", self.folder / "base"
        self.wal.mkdir()
        self.command = self.folder / "archive.sh"
        self.command.write_text(COMMAND.replace("$APEX_WAL_ARCHIVE", str(self.wal)))
        self.command.chmod(0o755)
        user = unprivileged()
        if user:
            for path in (self.folder, self.wal, self.command):
                os.chown(path, user["user"], user["group"])
        self.servers, self.receiver = [], None

    def primary(self, *settings):
        """A server that archives its WAL here, a file a second at the least while it writes."""
        server = Postgres(["archive_mode=on", f"archive_command={self.command} %p %f",
                           "archive_timeout=1s", *settings])
        self.servers.append(server)
        return server

    def back_up(self, server):
        server._run("pg_basebackup", "--pgdata", str(self.base), "--checkpoint=fast",
                    "--wal-method=none", "--dbname", server.url)

    def wait_for_all(self, server):
        """Closes the WAL file that is written, and waits until it is here."""
        server.query("SELECT pg_switch_wal()", "postgres")
        written = server.query(
            "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)", "postgres")
        apexlib.until(f"WAL file {written} in the archive",
                      lambda: (self.wal / written).exists(), PATIENCE)

    def receive(self, server, application):
        """Streams the WAL here too, each record before its commit is answered."""
        streamed = self.folder / "streamed"
        streamed.mkdir()
        server.own(streamed)
        server.query("SELECT pg_create_physical_replication_slot('receiver', true)", "postgres")
        self.receiver = subprocess.Popen(
            [server.programs / "pg_receivewal", "--directory", streamed, "--synchronous",
             "--slot", "receiver", "--no-password",
             "--dbname", f"{server.url}?application_name={application}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=self.folder, **server.user)
        server.set("synchronous_standby_names", f"'{application}'")
        apexlib.until("the receiver", lambda: server.query(
            "SELECT sync_state FROM pg_stat_replication", "postgres") == "sync", PATIENCE)
        return streamed

    def recovered(self, **target):
        """A server that has recovered from here, up to a target or to the end of the WAL."""
        streamed = self.folder / "streamed"

        def fill(server):
            # The last file of a stream is not whole, and read as far as it goes.
            for path in streamed.iterdir() if streamed.exists() else ():
                whole = self.wal / path.name.removesuffix(".partial")
                if not whole.exists():
                    shutil.copy(path, whole)
                    server.own(whole)
            data = server.folder / "data"
            shutil.copytree(self.base, data)
            (data / "recovery.signal").touch()
            for path in (data, *data.rglob("*")):
                server.own(path)
            data.chmod(0o700)

        targets = [f"recovery_target_{name}={value}" for name, value in target.items()]
        if targets:
            targets.append("recovery_target_action=promote")
        # Its receiver is not there any more, and commits would wait for it.
        server = Postgres([f"restore_command=cp {self.wal}/%f %p",
                           "synchronous_standby_names=", *targets], fill)
        self.servers.append(server)
        apexlib.until("the end of the recovery", lambda: server.query(
            "SELECT pg_is_in_recovery()", "postgres") == "f", PATIENCE)
        return server

    def close(self):
        if self.receiver:
            self.receiver.kill()
            self.receiver.wait(PATIENCE)
        for server in self.servers:
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
