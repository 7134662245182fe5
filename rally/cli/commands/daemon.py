"""`rally daemon`: for people who want to look at it; nobody needs it (contract R4)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from rally import __version__
from rally.cli.command import Entry, VerbGroup, verb
from rally.cli.options import number
from rally.cli.plan import Answered, Session, Takeover, Work
from rally.cli.text.daemon import show_daemon
from rally.client.connection import Connection
from rally.client.launch import ensure_daemon, lock_holder, log_path
from rally.model.errors import Failure, UsageError
from rally.wire.door import knock
from rally.wire.frames import CALL, pack
from rally.wire.locations import socket_path

_GOODBYE_S = 10.0
_LINES_DEFAULT = 40
# No more of a log is read than this; its end is what is asked for.
_TAIL_BYTES_MAX = 1024 * 1024

ACTIONS = (
    Entry("start", f"{__name__}:start", "Start it, unless it runs."),
    Entry("stop", f"{__name__}:stop", "Let it finish what it does, and stop it."),
    Entry("status", f"{__name__}:status", "Whether it runs, since when, for which rooms."),
    Entry("restart", f"{__name__}:restart", "Stop it, then start it."),
    Entry("logs", f"{__name__}:logs", "The end of its log."),
    Entry("run", f"{__name__}:run", "Be the daemon, in the foreground."),
)

daemon = VerbGroup(
    "daemon",
    entries=ACTIONS,
    help="""Start, stop and watch the background process.

Nobody needs it: the first command starts one for this user, and without one every command answers
the same by itself, a little slower. RALLY_DAEMON=off does without.""",
    example="rally daemon status",
    exits=(0, 1, 2),
    default=lambda context: Work(_status, show_daemon),
)


@verb("status", example="rally daemon status", exits=(0, 1, 2))
def status() -> Work:
    """Whether it runs, since when, for which rooms."""
    return Work(_status, show_daemon)


@verb("start", example="rally daemon start", exits=(0, 1, 2))
def start() -> Work:
    """Start it, unless it runs."""
    return Work(_start, show_daemon)


@verb("stop", example="rally daemon stop", exits=(0, 1, 2))
def stop() -> Work:
    """Let it finish what it does, and stop it."""
    return Work(_stop, show_daemon)


@verb("restart", example="rally daemon restart", exits=(0, 1, 2))
def restart() -> Work:
    """Stop it, then start it."""
    return Work(_restart, show_daemon)


@verb("logs", example="rally daemon logs --lines 100", exits=(0, 1, 2))
@number("--lines", f"How many lines (default: {_LINES_DEFAULT}).")
def logs(*, lines: int | None) -> Work:
    """The end of its log.

    It has one when it was started in the background; under systemd see `journalctl --user -u
    rallyd`.
    """
    if lines is not None and lines < 1:
        raise UsageError(
            "bad-value", f"--lines is {lines}; it must be 1 or more", hint="--lines 40"
        )
    return Work(lambda session: _logs(session, lines or _LINES_DEFAULT), show_daemon)


@verb("run", example="rally daemon run", exits=(0, 1, 130))
def run() -> Takeover:
    """Be the daemon, in the foreground.

    For service managers and for looking at it; Ctrl-C ends it.
    """
    # By name: this layer must not import the one above it, which imports this one's neighbours.
    return Takeover(lambda: cast(int, import_module("rally.daemon.main").main([])))


async def _ping(session: Session) -> dict[str, Any] | None:
    """What the daemon says of itself; None where there is none.

    Raises:
        Failure: `no-daemon`; there is one, and it does not answer.
    """
    try:
        async with await Connection.open(
            env=session.call.env, cwd=session.call.cwd, start=False
        ) as connection:
            return dict(await connection.call("ping"))
    except Failure as failure:
        if failure.details.get("silent"):
            raise
        return None


async def _status(session: Session) -> Answered:
    return await _state(session, "status"), []


async def _state(session: Session, action: str) -> dict[str, Any]:
    known = await _ping(session)
    return {
        "action": action,
        "running": known is not None,
        "socket": socket_path(session.call.env),
        "log": log_path(session.call.env),
        "client_version": __version__,
        **(known or {}),
    }


async def _start(session: Session) -> Answered:
    if await _ping(session) is None:
        await _launch(session)
    return await _state(session, "start"), []


async def _launch(session: Session) -> None:
    await asyncio.to_thread(_start_one, session.call.env)


def leave_and_start(env: Mapping[str, str]) -> bool:
    """Stop the daemon that there is, and start one; whether there was one.

    Raises:
        Failure: `unavailable` or `no-daemon`.
    """
    stopped = _say_goodbye(env)
    _start_one(env)
    return stopped


def _start_one(env: Mapping[str, str]) -> None:
    if env.get("RALLY_DAEMON") == "off":
        raise Failure(
            "no-daemon", "RALLY_DAEMON=off says that there shall be none", hint="unset RALLY_DAEMON"
        )
    if not ensure_daemon(env):
        raise Failure(
            "no-daemon",
            f"the daemon does not start; its socket would be {socket_path(env)}",
            hint="rally daemon run",
            details={"log": log_path(env)},
        )


async def _stop(session: Session) -> Answered:
    stopped = await asyncio.to_thread(_say_goodbye, session.call.env)
    return {**await _state(session, "stop"), "stopped": stopped}, []


def _say_goodbye(env: Mapping[str, str]) -> bool:
    """Ask the daemon to leave and see it off; false where none was there.

    Raises:
        Failure: `unavailable`; it was asked and has not left yet.
    """
    sock = knock(env)
    if sock is None:
        return False
    try:
        sock.settimeout(_GOODBYE_S)
        sock.sendall(pack(CALL, b'{"id": 1, "op": "stop"}'))
        # It closes the connection when what ran is done and its ledgers are closed.
        while sock.recv(4096):
            pass
    except TimeoutError:
        raise Failure(
            "unavailable",
            f"the daemon has not left within {_GOODBYE_S:g} s",
            hint=f"kill -9 {pid}" if (pid := lock_holder(env)) else "rally daemon status",
        ) from None
    except ConnectionError:
        pass
    finally:
        sock.close()
    return True


async def _restart(session: Session) -> Answered:
    stopped = await asyncio.to_thread(leave_and_start, session.call.env)
    return {**await _state(session, "restart"), "stopped": stopped}, []


async def _logs(session: Session, lines: int) -> Answered:
    path = log_path(session.call.env)
    return {"action": "logs", "log": path, "lines": _tail(path).splitlines()[-lines:]}, []


def _tail(path: str) -> str:
    """The end of the log; empty where there is none.

    Raises:
        Failure: `unavailable`.
    """
    try:
        with Path(path).open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES_MAX))
            return log.read().decode(errors="backslashreplace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Failure(
            "unavailable", f"{path} cannot be read: {error.strerror}", hint="rally daemon status"
        ) from error
