"""Bringing the daemon up: place, guard, rooms, server; and down again.

The lock comes before everything that is slow to import, so that the losers of a race end at once.
The guard against starting processes comes before any code that answers requests is even loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import rally
from rally.daemon import systemd
from rally.daemon.guard import install_guard
from rally.daemon.lifecycle import Place, TakenError
from rally.daemon.ports import Rooms, RunArgv
from rally.model.durations import parse_duration_ms
from rally.model.errors import EXIT_FAILURE, EXIT_OK, RallyError

_log = logging.getLogger("rally.daemon")

_IDLE_EXIT = "30m"
_IDLE_EXIT_VARIABLE = "RALLY_IDLE_EXIT"
# Young objects die with their request, and what survives is a room's state: collect the young
# rarely and the old hardly ever, since a full collection over 10,000 claims stalls everybody.
_GC_THRESHOLDS = (20_000, 50, 100)

# Makes the rooms and the runner of command lines; called in the event loop, after the guard is up.
Application = Callable[[], tuple[Rooms, RunArgv]]


def main(argv: Sequence[str] = (), application: Application | None = None) -> int:
    """Serve until told to stop; the exit code.

    Args:
        argv: `--announce` writes one line to standard output once callers can connect, and then
            leaves standard output to the log.
        application: what answers; rally's own rooms and verbs by default.
    """
    _start_log()
    announce = _announce if "--announce" in argv else _keep_quiet
    try:
        idle_s = _idle_exit_s(os.environ)
        handed = systemd.inherited_socket(os.environ)
        place = Place(os.environ)
        try:
            if handed is None:
                place.take()
            else:
                place.try_take()
                idle_s = None
            _prepare_process()
            listener = handed or place.open_socket()
            asyncio.run(_serve(listener, place, application or _rally, idle_s, announce))
        finally:
            place.leave()
    except TakenError as taken:
        _log.info("a daemon listens already at %s", taken)
        announce("taken")
        return EXIT_OK
    except (OSError, RallyError) as error:
        _log.error("cannot start: %s", error)
        return EXIT_FAILURE
    _log.info("stopped")
    return EXIT_OK


async def _serve(
    listener: socket.socket,
    place: Place,
    application: Application,
    idle_s: float | None,
    announce: Callable[[str], None],
) -> None:
    rooms, run_argv = application()
    from rally.daemon.server import Server  # pydantic: only for the winner of the race

    def ready() -> None:
        _log.info("version %s listens at %s", rally.__version__, listener.getsockname())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        systemd.notify(os.environ, "READY=1")
        announce("ready")

    def leaving() -> None:
        systemd.notify(os.environ, "STOPPING=1")
        place.leave()

    server = Server(rooms, run_argv, is_managed=idle_s is None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.leave, signal.Signals(number).name)
    await server.serve(listener, idle_s=idle_s, on_ready=ready, on_leave=leaving)


def _rally() -> tuple[Rooms, RunArgv]:
    from rally.cli.verbs import run_argv
    from rally.facilitation.rooms import Rooms as RallyRooms

    return RallyRooms(), run_argv


def _idle_exit_s(env: Mapping[str, str]) -> float | None:
    text = env.get(_IDLE_EXIT_VARIABLE) or _IDLE_EXIT
    return parse_duration_ms(text, min_ms=1_000, name=_IDLE_EXIT_VARIABLE) / 1_000


def _prepare_process() -> None:
    os.chdir("/")
    os.umask(0o077)
    # Every waiting agent is a connection.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.platform == "linux":
        # It finds its two functions of libc; afterwards the guard lets nobody find any. Where Python
        # has no ctypes, rooms are looked at in steps.
        with contextlib.suppress(ImportError, OSError, MemoryError):
            import_module("rally.facilitation.inotify")
    install_guard()


def _start_log() -> None:
    lines = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(process)d %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    lines.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(lines)
    logging.getLogger().addHandler(handler)
    logging.getLogger("rally").setLevel(logging.INFO)


def _announce(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
        # The starter reads to the end of file, and this process must not hold its pipe.
        os.dup2(2, 1)


def _keep_quiet(line: str) -> None:
    """Nobody waits for the news."""
