"""The real daemon with a small application of its own behind it.

The daemon is the thing under test here, not what rally answers: these operations begin, end, wait,
flood and fail exactly when a test wants them to, which the real ones cannot be asked for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import rally
from rally.cli.call import ArgvCall
from rally.model.errors import Refused

Reply = tuple[dict[str, Any], list[dict[str, str]]]


class SmallRooms:
    """Operations with an outcome that the test knows beforehand."""

    def __init__(self) -> None:
        self._signs: dict[str, asyncio.Event] = {}
        self.written = 0

    def sign(self, name: str) -> asyncio.Event:
        return self._signs.setdefault(name, asyncio.Event())

    async def call(
        self, op: str, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> Reply:
        """`say` is the operation whose parameters are free; `kind` is what happens."""
        assert op == "say"
        match params["kind"]:
            case "echo":
                seen = {"params": dict(params), "cwd": cwd, "env": dict(env)}
                return seen, [{"code": "w", "message": "m"}]
            case "raise-sign" | "await-sign" | "has-sign":
                return await self._of_sign(params["kind"], self.sign(params["sign"])), []
            case "block":
                await self.block(params.get("name", "call"))
            case "refuse":
                raise Refused("claim-conflict", "held", hint="wait", details={"conflicts": [1]})
            case "break":
                raise ValueError("a broken operation")
            case "big":
                return {"text": "x" * params["bytes"]}, []
            case "written":
                return {"bytes": self.written}, []
            case "start-process":
                return start_process(), []
        return {}, []

    async def _of_sign(self, kind: str, sign: asyncio.Event) -> dict[str, Any]:
        if kind == "raise-sign":
            sign.set()
        elif kind == "await-sign":
            await sign.wait()
        return {"there": sign.is_set()}

    async def block(self, name: str) -> None:
        """Wait until the sign `<name>-go`; tell the signs `<name>-began` and `<name>-cancelled`."""
        self.sign(f"{name}-began").set()
        try:
            await self.sign(f"{name}-go").wait()
        except asyncio.CancelledError:
            self.sign(f"{name}-cancelled").set()
            raise

    async def subscribe(
        self, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        for number in range(params["limit"]):
            yield {"number": number, "cwd": cwd}
        if params.get("run") == "endless":
            await self.block("subscription")

    def open_rooms(self) -> list[str]:
        return ["/somewhere"]

    def busy(self) -> bool:
        return False

    async def close(self) -> None:
        if "CLOSE_MARK" in os.environ:
            os.close(os.open(os.environ["CLOSE_MARK"], os.O_CREAT | os.O_WRONLY))


def start_process() -> dict[str, Any]:
    """What became of each ordinary attempt to start a process inside the daemon."""
    outcomes = {}
    for name, attempt in {
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "system": lambda: os.system("/bin/true"),
        "fork": os.fork,
        "execv": lambda: os.execv("/bin/true", ["true"]),
    }.items():
        try:
            attempt()
            outcomes[name] = "started"
        except PermissionError as error:
            outcomes[name] = str(error)
    return outcomes


async def run_argv(  # noqa: C901 (one arm per word)
    argv: list[str], call: ArgvCall, rooms: SmallRooms
) -> int:
    """`<verb> <what> [...]`: the verb is one that the relay forwards, `what` says what happens."""
    what = argv[1]
    if what == "show":
        surroundings = f"{call.cwd} {call.width} {call.colour} {call.stdin!a}"
        call.out(f"{argv!a} {surroundings} {sorted(call.env.items())!a}".encode())
    elif what == "err":
        call.err(b"error: no\nhint: yes\n")
        return 3
    elif what == "stream":
        call.out(b"first\n")
        await call.drain()
        await rooms.block("argv")
        call.out(b"last\n")
    elif what == "block":
        await rooms.block("argv")
    elif what == "flood":
        for _ in range(int(argv[2])):
            call.out(b"x" * 65_536)
            rooms.written += 65_536
            await call.drain()
    elif what == "break":
        raise ValueError("a broken verb")
    elif what == "huge":
        call.out(b"y" * int(argv[2]))
    elif what == "die":
        os._exit(1)
    elif what == "pid":
        call.out(str(os.getpid()).encode())
    return 0


def application() -> tuple[Any, Any]:
    rooms = SmallRooms()
    # A daemon that leaves takes no new calls: a signal is how a test lets the last command finish.
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, rooms.sign("argv-go").set)
    return rooms, run_argv


if __name__ == "__main__":
    rally.__version__ = os.environ.get("SMALL_VERSION", rally.__version__)
    from rally.daemon.main import main

    sys.exit(main(sys.argv[1:], application))
