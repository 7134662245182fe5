"""A process that has imported rally once and forks children on request.

Hundreds of processes have to live and die in these tests; a fork costs a few milliseconds where a
new interpreter costs a hundred. A request is one JSON object over a socket, with the child's
standard input and output as file descriptors; the answer is the child's pid. `{"bury": pid}` is
answered when that child has ended: not before is what it held free.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from rally.client.connection import Connection
from rally.client.direct import Client, Direct
from rally.daemon.main import main as daemon_main
from rally.daemon.server import Server  # noqa: F401  (imported once, for all the daemons to come)
from rally.facilitation.rooms import Rooms  # noqa: F401
from rally.model.errors import Failure, RallyError

REQUEST_BYTES_MAX = 64 * 1024
RACE_PATHS = ("src", "src/a", "src/*.py", "src/b.py", "lib", "lib/**/b.py", "lib/a", "*/a")


def tell(**line: Any) -> None:
    """One line to whoever listens, at once."""
    os.write(1, json.dumps(line).encode() + b"\n")


def hear() -> None:
    """Wait for a line; whoever hears nothing more is not needed any more."""
    if not os.read(0, 1):
        os._exit(0)


async def connect(request: dict[str, Any]) -> Client:
    """A client of the daemon, or the room in this process."""
    env, cwd = request["env"], request["cwd"]
    if request["how"] == "direct":
        return Direct(env=env, cwd=cwd)
    return await Connection.open(env=env, cwd=cwd, start=False)


async def race(request: dict[str, Any]) -> None:
    """Claim, look, release: a number of rounds, every answer told."""
    tool, rng = request["tool"], Random(request["seed"])
    client = await connect(request)
    tell(ready=tool)
    hear()
    for _ in range(request["rounds"]):
        paths = rng.sample(RACE_PATHS, rng.randint(1, 2))
        mode = rng.choice(["exclusive", "exclusive", "shared"])
        try:
            said = await client.call("say", kind="claim", tool=tool, paths=paths, mode=mode)
        except RallyError as error:
            conflicts = error.details.get("conflicts", [])
            tell(granted=False, code=error.code, wanted=paths, conflicts=conflicts)
            continue
        fact = said["fact"]
        look = await client.call(
            "check", phase="before-write", tool=tool, paths=[paths[0]], fence=fact["seq"]
        )
        tell(granted=True, fact=fact, fence=said["fence"], mode=mode, findings=look["findings"])
        await client.call("say", kind="release", tool=tool, ref=fact["event_id"])
    await client.close()


async def write(request: dict[str, Any]) -> None:
    """Write for ever and tell what was acknowledged; a lost answer is asked for again by its key."""
    tool, rng = request["tool"], Random(request["seed"])
    client: Client | None = None
    number = 0
    while True:
        number += 1
        for params in wishes(tool, number, rng):
            key = params["key"]
            while True:
                try:
                    client = client or await connect(request)
                    said = await client.call("say", tool=tool, **params)
                except Failure as failure:
                    if request["how"] == "direct":
                        raise
                    assert failure.code in ("unavailable", "no-daemon"), failure
                    client = None
                    hear()
                    continue
                tell(key=key, id=said["fact"]["event_id"], replayed=said["replayed"])
                break


def wishes(tool: str, number: int, rng: Random) -> list[dict[str, Any]]:
    """What is said in one go: a remark, or a step from its claim to its artifact."""
    key = f"{tool}/{number}"
    if rng.random() < 0.5:
        summary = "x" * rng.choice([10, 10, 900, 9_000])
        return [{"kind": "note", "subject": key, "summary": summary, "key": key}]
    step = {"run": "load", "step": key}
    return [
        {"kind": "claim", "key": f"{key}/claim", **step},
        {"kind": "artifact", "subject": key, "release": True, "key": f"{key}/artifact", **step},
    ]


def become(request: dict[str, Any]) -> None:
    """What a child does until it ends."""
    os.environ.clear()
    os.environ.update(request["env"])
    roles: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {"race": race, "write": write}
    if request["role"] == "daemon":
        os._exit(daemon_main(["--announce"]))
    asyncio.run(roles[request["role"]](request))  # type: ignore[arg-type]


def main() -> None:
    """Fork until nobody asks any more."""
    door = socket.socket(fileno=os.dup(0))
    while True:
        message, fds, _, _ = socket.recv_fds(door, REQUEST_BYTES_MAX, 2)
        if not message:
            return
        request = json.loads(message)
        pid = request["bury"] if "bury" in request else os.fork()
        if pid == 0:
            door.close()
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
                os.close(fd)
            become(request)
            os._exit(0)
        for fd in fds:
            os.close(fd)
        if "bury" in request:
            os.waitpid(pid, 0)
        door.sendall(b"%d\n" % pid)


if __name__ == "__main__":
    sys.exit(main())
