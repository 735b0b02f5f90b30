"""Reads what strace wrote: which orders were on disk when their answers left.

Needs `-f -y` and strings long enough to hold whole buffers. The order of the lines proves it:
strace logs the start of a call before the kernel works on it and its end after, and holds the
caller in between. So a sync whose end stands above the start of a socket write was over by then.
"""

import re
import subprocess

TRACED = "fdatasync,fsync,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg"
SYNCS = ("fdatasync", "fsync")

_CALL = re.compile(rb"^(\d+) +(\w+)\((\d+)<((?:[^>\\]|\\.)*)>")
_RESUMED = re.compile(rb"^(\d+) +<\.\.\. (\w+) resumed>")
_RESULT = re.compile(rb" = (-?\d+)(?: \w+ \([^)]*\))?(?: \(INJECTED\))?\s*$")


def why_not():
    """Why strace cannot be used on this machine, or None."""
    try:
        done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e",
                               "inject=fdatasync:error=EIO:when=1000", "true"],
                              capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace cannot be run: {error}"
    return None if done.returncode == 0 else f"strace is not permitted: {done.stderr.strip()}"


class Trace:
    """Walks over a trace once. `mark` finds the ids in a buffer; `journal` tells by its path
    whether a file holds the journal."""

    def __init__(self, mark, journal):
        self.mark, self.journal = re.compile(mark), journal
        self.waiting = {}  # Unfinished calls by thread: (name, path, ids, position of the start).
        self.written = {}  # Ids in a journal file that no sync has covered: position of the end.
        self.durable = set()
        self.answered = set()
        self.too_early = []
        self.syncs = self.failed_syncs = 0
        self.position = 0

    def read(self, path):
        with open(path, "rb") as file:
            for line in file:
                self.position += 1
                self._line(line)
        return self

    def _line(self, line):
        found = _CALL.match(line)
        if found:
            thread, name, path = found[1], found[2].decode(), found[4].decode("latin-1")
            ids = set() if name in SYNCS else set(self.mark.findall(line))
            if path.startswith(("socket:", "TCP")):
                self._answer(ids)
            call = (name, path, ids, self.position)
            if b"<unfinished ...>" in line[-20:]:
                self.waiting[thread] = call
            else:
                self._end(call, line)
            return
        found = _RESUMED.match(line)
        if found and found[1] in self.waiting:
            self._end(self.waiting.pop(found[1]), line)

    def _end(self, call, line):
        name, path, ids, start = call
        result = _RESULT.search(line)
        good = result is not None and int(result[1]) >= 0
        if name in SYNCS:
            self._synced(path, start, good)
        elif good and self.journal(path):
            for one in ids:
                self.written.setdefault((path, one), self.position)

    def _synced(self, path, start, good):
        if not self.journal(path):
            return
        self.syncs += good
        self.failed_syncs += not good
        if not good:
            return
        covered = [key for key, end in self.written.items() if key[0] == path and end < start]
        for key in covered:
            del self.written[key]
            self.durable.add(key[1])
        # What is durable once stays so; later events of the same order are of no interest here.
        for key in [key for key in self.written if key[1] in self.durable]:
            del self.written[key]

    def _answer(self, ids):
        for one in ids:
            self.answered.add(one)
            if one not in self.durable:
                self.too_early.append((self.position, one))
