"""A daemon that is there and answers nobody: it costs its callers a moment, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rallyd import PATIENCE_S, Daemon, Peer, holder, rally, start_rally

from rally import relay
from rally.client import connection
from rally.client.connection import Connection
from rally.client.direct import Direct, open_client
from rally.client.launch import HELLO_S
from rally.model.errors import Failure
from rally.wire import frames

Env = dict[str, str]


@pytest.fixture
def stopped(daemon: Daemon) -> Iterator[Daemon]:
    """The kernel goes on accepting connections in its name."""
    daemon.signal(signal.SIGSTOP)
    yield daemon
    daemon.signal(signal.SIGCONT)


@contextlib.contextmanager
def swallowing(env: Env) -> Iterator[None]:
    """A server that reads everything and never says a word."""
    folder = Path(env["RALLY_RUNTIME_DIR"])
    folder.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "rallyd.sock"))
    listener.listen()

    def swallow(caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            while caller.recv(65_536):
                pass

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=swallow, args=(caller,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("verb", ["room", "say", "wait"])
def test_a_stopped_daemon_is_left_and_the_command_runs_here(stopped: Daemon, verb: str) -> None:
    """R4: questions and writes alike, and not after fifteen seconds."""
    ran = rally(stopped.env, verb, "pid")
    assert (ran.stdout, ran.stderr) == (f"direct ['{verb}', 'pid']\n".encode(), b"")


def test_what_a_stopped_daemon_was_asked_it_does_not_do_later(daemon: Daemon) -> None:
    """F8: the command was done here, once. `flood` counts what the daemon itself has done."""
    with Peer(daemon.env) as peer:
        assert peer.call("written")["data"] == {"bytes": 0}
        daemon.signal(signal.SIGSTOP)
        assert rally(daemon.env, "say", "flood", "1").stdout.startswith(b"direct")
        daemon.signal(signal.SIGCONT)
        # It reads its connections in the order in which they became ready, the abandoned one first.
        assert peer.call("written")["data"] == {"bytes": 0}
        assert rally(daemon.env, "say", "flood", "1").returncode == 0
        assert peer.call("written")["data"] == {"bytes": 65_536}


def test_a_daemon_that_takes_everything_and_says_nothing_is_left_too(env: Env) -> None:
    """A question is answered here; a write may have been done, and says so (F8)."""
    with swallowing(env):
        assert rally(env, "room", "pid").stdout == b"direct ['room', 'pid']\n"
        ran = rally(env, "say", "pid", "--json")
        assert ran.returncode == 1
        assert json.loads(ran.stdout)["error"]["code"] == "unavailable"


def test_a_long_wait_is_not_cut(daemon: Daemon) -> None:
    """Silence is no answer: the daemon is asked whether it lives, and it does."""
    with start_rally(daemon.env, "wait", "stream") as waiting:
        with Peer(daemon.env) as peer:
            peer.call("await-sign", sign="argv-began")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(relay.HELLO_S + HELLO_S)
        daemon.signal(signal.SIGUSR1)
        assert waiting.communicate(timeout=PATIENCE_S)[0] == b"first\nlast\n"
        assert waiting.returncode == 0


async def test_a_program_is_told_and_goes_its_own_way(
    stopped: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runners too: the error names the process, and `open_client` does without."""
    monkeypatch.setattr(connection, "HELLO_S", 0.1)  # the limit itself is tested above
    for start in (True, False):
        with pytest.raises(Failure) as failure:
            await Connection.open(env=stopped.env, start=start)
        assert failure.value.code == "no-daemon"
        assert failure.value.details["silent"] is True
        assert failure.value.details["pid"] == holder(stopped.env)
    client = await open_client(env=stopped.env, cwd="/tmp")
    assert isinstance(client, Direct)
    await client.close()


async def test_giving_up_while_connecting_leaves_nothing_open(
    stopped: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled caller closes what the knock has opened meanwhile, and what was not yet answered."""
    import asyncio

    before = len(os.listdir("/proc/self/fd"))
    knocked = threading.Event()
    go_on = threading.Event()
    real = connection.knock

    def slow(env: Env) -> object:
        opened = real(env)
        knocked.set()
        go_on.wait(PATIENCE_S)
        return opened

    monkeypatch.setattr(connection, "knock", slow)
    opening = asyncio.ensure_future(Connection.open(env=stopped.env))
    await asyncio.to_thread(knocked.wait, PATIENCE_S)
    opening.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await opening
    monkeypatch.setattr(connection, "knock", real)
    pending = asyncio.ensure_future(Connection.open(env=stopped.env))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pending, 0.1)
    await asyncio.to_thread(lambda: None)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_caller_who_is_gone_gets_nothing_done(daemon: Daemon) -> None:
    """The daemon looks whether anybody is still there before it begins."""
    daemon.signal(signal.SIGSTOP)
    with Peer(daemon.env) as gone:
        gone.send_argv("say", "flood", "1")
    daemon.signal(signal.SIGCONT)
    with Peer(daemon.env) as peer:
        assert peer.call("written")["data"] == {"bytes": 0}
    with Peer(daemon.env) as here:
        here.send_argv("say", "flood", "1")
        assert here.rest()[-1] == (frames.EXIT, b"0")
