"""A repository with a room and an environment of its own, and the runners that are started in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rally.client.connection import Connection

RALLY = str(Path(sys.executable).with_name("rally"))
HERE = Path(__file__).parent
# Nothing here takes long; a test that waits for ever is a failure and not a hang.
PATIENCE_S = 40.0


class Room:
    """A folder with a room.

    Attributes:
        env: what commands find around them; nothing of the user who runs the tests is touched.

    Args:
        runtime: where the daemon is that it shares with others; None for one of its own.
    """

    def __init__(self, folder: Path, runtime: Path | None = None) -> None:
        self.root = folder / "repo"
        self.root.mkdir()
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "RALLY_RUNTIME_DIR": str(runtime or folder / "run"),
        }
        self._shares_daemon = runtime is not None
        self._started: list[subprocess.Popen[bytes]] = []

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """One command to its end."""
        return subprocess.run(
            [RALLY, *words],
            cwd=self.root,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def ask(self, *words: str, env: Mapping[str, str] | None = None) -> Any:
        """The main result of a command that must succeed."""
        done = self.run(*words, "--json", env=env)
        assert done.returncode == 0, (words, done)
        answer = json.loads(done.stdout)
        return answer["data"][answer["command"]]

    def error(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and error of a command that must fail with nothing else said."""
        done = self.run(*words, "--json")
        assert done.stderr == b"", done
        return done.returncode, json.loads(done.stdout.splitlines()[-1])["error"]

    def start(self, *words: str, env: Mapping[str, str] | None = None, **how: Any) -> Process:
        """A `rally` that runs beside the test."""
        return self.start_program([RALLY, *words], env=env, **how)

    def watch(self, *words: str, env: Mapping[str, str] | None = None) -> Process:
        """A watcher that follows the room by the time this returns."""
        process = self.start("watch", "--json", *words, env=env)
        if "--once" not in words:
            process.event("heartbeat")
        return process

    def await_news(self, process: Process) -> None:
        """Wait until the watcher has seen everything said so far: it tells of a fact said for this."""
        marker = self.say("note", "--subject", "is anybody there")["seq"]
        while process.event("activity")["to_seq"] < marker:
            pass

    def start_program(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **how: Any
    ) -> Process:
        """Any program beside the test, in the room."""
        process = subprocess.Popen(
            argv,
            cwd=self.root,
            env={**self.env, **(env or {})},
            stdin=how.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **how,
        )
        self._started.append(process)
        return Process(process)

    # --- what is said in it

    def enter(self, tool: str) -> None:
        self.ask("enter", "--tool", tool)

    def say(self, kind: str, *words: str, tool: str = "tester") -> dict[str, Any]:
        """Say something; the fact."""
        fact = self.ask("say", kind, "--tool", tool, *words)["fact"]
        assert isinstance(fact, dict)
        return fact

    def due_standby(self, tool: str = "sleeper", *words: str) -> str:
        """A standby that is due as soon as it is there; its id."""
        self.enter(tool)
        return self.say("standby", "--wake-after", "2020-01-01T00:00:00Z", *words, tool=tool)[
            "event_id"
        ]

    def facts(self, *words: str) -> list[dict[str, Any]]:
        """All facts, oldest first."""
        facts = self.ask("log", "--limit", "0", *words)["facts"]
        assert isinstance(facts, list)
        return facts

    def attempts(self, standby_id: str) -> list[dict[str, Any]]:
        """The claims by which a standby was fired."""
        resource = f"wake:{standby_id}"
        return [fact for fact in self.facts("--kind", "claim") if resource in fact["resources"]]

    def fifo(self, name: str) -> Fifo:
        """A named pipe by which a command tells, or is told, something."""
        return Fifo(self.root.parent / name)

    async def connect(self) -> Connection:
        """A connection for tests that say thousands of things."""
        return await Connection.open(env=self.env, cwd=str(self.root))

    # --- the end

    def end(self) -> None:
        """End everything that was started, the daemon too if nobody shares it."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
            for pipe in (process.stdout, process.stderr, process.stdin):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if not self._shares_daemon:
            self.end_daemon()

    def end_daemon(self) -> None:
        """Kill the daemon, and wait until it is gone. The next command starts another one."""
        end_daemon(Path(self.env["RALLY_RUNTIME_DIR"]))


class Process:
    """A started program whose output is read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid
        self.told: list[dict[str, Any]] = []
        self._unread = b""

    def line(self) -> bytes | None:
        """The next line of standard output, None at its end."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + PATIENCE_S
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"nothing came within {PATIENCE_S} s; told so far: {self.told}"
            piece = os.read(descriptor, 65_536)
            if not piece:
                return None
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def next_event(self) -> dict[str, Any] | None:
        """The next line as JSON, None at the end."""
        line = self.line()
        if line is None:
            return None
        event = json.loads(line)
        self.told.append(event)
        assert isinstance(event, dict)
        return event

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event of this name that has these values; others on the way are passed over."""
        while (event := self.next_event()) is not None:
            if event.get("event") == name and fields.items() <= event.items():
                return event
        raise AssertionError(f"ended without {name} {fields}: {self.told} {self.errors()}")

    def rest(self) -> list[dict[str, Any]]:
        """All events up to the end."""
        return list(iter(self.next_event, None))

    def errors(self) -> str:
        """What stands on standard error, of a process that has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def stop(self, number: int = signal.SIGTERM) -> list[dict[str, Any]]:
        """Send a signal; the events up to the end, which must be a good one."""
        self.send(number)
        rest = self.rest()
        assert self.wait() == 0, self.errors()
        return rest


class Fifo:
    """A named pipe, in both directions open on this side, so that opening it blocks nobody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def __str__(self) -> str:
        return str(self.path)

    def write(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def read(self) -> str:
        """What was written to it, at least a byte."""
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE_S)
        assert ready, "nobody wrote"
        return os.read(self._descriptor, 65_536).decode()

    def close(self) -> None:
        os.close(self._descriptor)


def end_daemon(runtime: Path) -> None:
    """Kill the daemon that a command started, and wait until it is gone: it is nobody's child."""
    lock = runtime / "rallyd.lock"
    if not lock.exists():
        return
    with lock.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.kill(int(lock.read_text()), signal.SIGKILL)
            fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def room_in(folder: Path, runtime: Path | None = None) -> Iterator[Room]:
    """A room, everything in it ended at the end."""
    room = Room(folder, runtime)
    try:
        yield room
    finally:
        room.end()


def is_alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
