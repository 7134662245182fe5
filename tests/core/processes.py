"""Children of the nursery, and the ledger as anybody can read it: with SQLite and SHA-256 alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

HERE = Path(__file__).parent
COMMAND = HERE.parents[1] / "bin" / "rally"
GENESIS = "0" * 64
# Nothing here takes this long; what does is a failure and not a hang.
PATIENCE_S = 60.0

Doc = dict[str, Any]


@dataclass(eq=False)
class Child:
    """A forked process: what it said so far, line by line.

    Attributes:
        is_over: it says nothing any more; a daemon stops talking when it listens.
        is_dead: it has been killed.
    """

    pid: int
    tool: str
    role: str
    stdin: int
    stdout: int
    lines: list[Doc] = field(default_factory=list)
    rest: bytes = b""
    is_over: bool = False
    is_dead: bool = False

    def read(self) -> list[Doc]:
        """The lines that came since; none at its end."""
        data = os.read(self.stdout, 1 << 16)
        self.is_over = not data
        *whole, self.rest = (self.rest + data).split(b"\n")
        new = [json.loads(line) if line.startswith(b"{") else {"text": line} for line in whole]
        self.lines += new
        return new

    def say(self) -> None:
        """Send the line that it waits for; one that has ended needs none."""
        with suppress(BrokenPipeError):
            os.write(self.stdin, b"\n")


class World:
    """An environment of its own, a room in it, and the processes that live there."""

    def __init__(self, folder: Path, door: socket.socket) -> None:
        self.root = folder / "repo"
        self.root.mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder),
            "XDG_STATE_HOME": str(folder / "state"), "RALLY_RUNTIME_DIR": str(folder / "run"),
        }  # fmt: skip
        self.children: list[Child] = []
        self.commands: list[subprocess.Popen[bytes]] = []
        self._door = door

    def spawn(self, role: str, tool: str = "", **request: Any) -> Child:
        """A new child of the nursery."""
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        request |= {"role": role, "tool": tool, "env": self.env, "cwd": str(self.root)}
        socket.send_fds(self._door, [json.dumps(request).encode()], [in_read, out_write])
        pid = int(self._door.recv(64))
        for fd in (in_read, out_write):
            os.close(fd)
        child = Child(pid, tool, role, in_write, out_read)
        self.children.append(child)
        return child

    def kill(self, child: Child) -> None:
        """End a child in the middle of whatever it does, and hear what it had said before."""
        if child.is_dead:
            return
        os.kill(child.pid, signal.SIGKILL)
        while not child.is_over:
            child.read()
        self._door.sendall(json.dumps({"bury": child.pid}).encode())
        assert int(self._door.recv(64)) == child.pid
        child.is_dead = True
        os.close(child.stdin)
        os.close(child.stdout)

    def start_daemon(self) -> Child:
        """A daemon that listens."""
        daemon = self.spawn("daemon")
        assert daemon.read() == [{"text": b"ready"}]
        return daemon

    def rally(self, *argv: str, **env: str) -> subprocess.Popen[bytes]:
        """The command itself, as a process of its own in the room; answers JSON."""
        process = subprocess.Popen(
            [sys.executable, COMMAND, *argv, "--json"],
            cwd=self.root, env={**self.env, **env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.commands.append(process)
        return process

    def ask(self, *argv: str, **env: str) -> Doc:
        """The command's main result, or its error."""
        return answer_of(self.rally(*argv, **env))

    def close(self) -> None:
        """End everybody."""
        for child in self.children:
            self.kill(child)
        for process in self.commands:
            process.kill()
            process.communicate()


def answer_of(process: subprocess.Popen[bytes]) -> Doc:
    """What a command answered, once it has ended: its main result, or its error."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert err == b"", err
    envelope = json.loads(out)
    answer = envelope["data"][envelope["command"]] if envelope["ok"] else envelope["error"]
    assert isinstance(answer, dict)
    return answer


@contextmanager
def nursery() -> Iterator[socket.socket]:
    """The way to a nursery that runs as long as the context."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen([sys.executable, HERE / "nursery.py"], stdin=theirs)
        try:
            yield ours
        finally:
            ours.close()
            process.wait(PATIENCE_S)


def listen(children: list[Child]) -> Iterator[tuple[Child, list[Doc]]]:
    """What the children say as they say it, until the last one has ended."""
    with DefaultSelector() as selector:
        for child in children:
            selector.register(child.stdout, EVENT_READ, child)
        while selector.get_map():
            heard = selector.select(PATIENCE_S)
            assert heard, "nobody says anything any more"
            for key, _ in heard:
                child = key.data
                yield child, child.read()
                if child.is_over:
                    selector.unregister(child.stdout)


class Reader:
    """Reads a ledger's file from outside and checks every link of the chain on the way."""

    def __init__(self, root: Path) -> None:
        self._path = root / ".rally" / "ledger.db"
        self.facts: list[Doc] = []
        self.by_id: dict[str, Doc] = {}
        self.by_key: dict[str, Doc] = {}
        self._hash = GENESIS

    def read(self) -> list[Doc]:
        """The facts that are new since the last time; those read before must still stand."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
            if self.facts:
                newest = self.facts[-1]["seq"]
                query = "SELECT count(*), max(hash) FROM facts WHERE seq <= ?"
                count, _ = database.execute(query, (newest,)).fetchone()
                assert count == len(self.facts), "facts that were read have vanished"
            rows = database.execute(
                "SELECT seq, hash, body FROM facts WHERE seq > ? ORDER BY seq", (len(self.facts),)
            ).fetchall()
        for seq, digest, body in rows:
            fact = json.loads(body)
            assert (seq, fact["seq"]) == (len(self.facts) + 1,) * 2, "a gap"
            assert fact["prev"] == self._hash, f"fact {seq} does not follow its predecessor"
            assert sha256(body).hexdigest() == digest, f"fact {seq} is not what was hashed"
            self._hash = digest
            self.facts.append(fact)
            self.by_id[fact["event_id"]] = fact
            if "key" in fact:
                self.by_key[fact["key"]] = fact
        return self.facts[len(self.facts) - len(rows) :]
