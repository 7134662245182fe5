"""Starting daemons for tests, talking to them by hand, and ending every one of them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rally import __version__
from rally.wire import frames
from rally.wire.locations import SocketAddress, socket_path

HERE = Path(__file__).parent
SMALL_DAEMON = HERE / "small_daemon.py"
STAND_IN = HERE / "stand_in"
COMMAND = HERE.parents[1] / "bin" / "rally"
# Nothing here takes long; a test that waits for ever is a failure and not a hang.
PATIENCE_S = 20.0


def make_env(folder: Path) -> dict[str, str]:
    """An environment of its own: nothing of the user who runs the tests is touched."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "RALLY_RUNTIME_DIR": str(folder / "run"),
        "PYTHONPATH": str(STAND_IN),
    }


class Daemon:
    """A daemon in a process of this test's own."""

    def __init__(self, env: dict[str, str], process: subprocess.Popen[bytes], log: Path) -> None:
        self.env = env
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self._log.read_text()

    def connect(self) -> Peer:
        return Peer(self.env)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def running(env: dict[str, str], **extra: str) -> Iterator[Daemon]:
    """A daemon that listens; killed at the end if it is still there."""
    log = Path(env["HOME"]) / f"log-{len(list(Path(env['HOME']).glob('log-*')))}"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(SMALL_DAEMON), "--announce"],
            env={**env, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", log.read_text()
        yield Daemon(env, process, log)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()


class Peer:
    """The other end of a connection, byte by byte."""

    def __init__(self, env: dict[str, str]) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self._decoder = frames.Decoder()
        self._ready: list[tuple[bytes, bytes]] = []
        try:
            with SocketAddress(socket_path(env)) as address:
                self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self.sock.sendall(frames.pack(kind, payload))

    def send_argv(self, *argv: str, stdin: bytes | None = None, version: str = __version__) -> None:
        flags = b"c" if stdin is None else b"ci"
        fixed = (version.encode(), b"/tmp", b"80", flags)
        words = [os.fsencode(word) for word in argv]
        self.sock.sendall(frames.pack_argv(fixed, [b"RALLY_TOOL=a:1"], words))
        if stdin is not None:
            self.send(frames.INPUT, stdin)

    def send_call(self, number: Any, op: str, **params: Any) -> None:
        """One request: an operation of the daemon itself, or one of the small application."""
        if op not in ("ping", "stop", "cancel", "subscribe"):
            op, params = "say", {"kind": op, **params}
        request = {"id": number, "op": op, "params": params, "cwd": "/tmp"}
        self.send(frames.CALL, json.dumps(request).encode())

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next frame, None at the end of the connection."""
        while not self._ready:
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._ready += self._decoder.feed(data)
        return self._ready.pop(0)

    def receive_json(self) -> dict[str, Any]:
        frame = self.receive()
        assert frame is not None
        assert frame[0] == frames.JSON, frame
        answer = json.loads(frame[1])
        assert isinstance(answer, dict)
        return answer

    def call(self, op: str, **params: Any) -> dict[str, Any]:
        """One call and its answer."""
        self.send_call(1, op, **params)
        return self.receive_json()

    def rest(self) -> list[tuple[bytes, bytes]]:
        """All frames up to the end of the connection."""
        return list(iter(self.receive, None))


def start_rally(env: dict[str, str], *argv: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command itself, as a process."""
    return subprocess.Popen(
        [sys.executable, str(COMMAND), *argv],
        env=env,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def rally(
    env: dict[str, str], *argv: str, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The command itself, to its end."""
    return subprocess.run(
        [sys.executable, str(COMMAND), *argv],
        env=env,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )


def holder(env: dict[str, str]) -> int | None:
    """The pid in the daemon's lock file, if a daemon ever took it."""
    try:
        return int(Path(env["RALLY_RUNTIME_DIR"], "rallyd.lock").read_text())
    except (FileNotFoundError, ValueError):
        return None


def end_background_daemon(env: dict[str, str]) -> None:
    """Kill a daemon that a command started, and wait until it is gone: it is nobody's child."""
    lock = Path(env["RALLY_RUNTIME_DIR"], "rallyd.lock")
    if not lock.exists():
        return
    with lock.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = holder(env)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            fcntl.flock(file, fcntl.LOCK_EX)
