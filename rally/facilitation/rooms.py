"""Rooms: every room that this process has open, and the way from a request to its operation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.ledger.folder import prepare_room_folder
from rally.facilitation.ledger.memory import MemoryLedger
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.ops import ask as asking
from rally.facilitation.ops import look, say, tasks
from rally.facilitation.ops import wait as waiting
from rally.facilitation.ops.common import Ask, Params, Reply
from rally.facilitation.places import Place, find_place
from rally.facilitation.projections.wake_due import wake_due
from rally.facilitation.register import Register
from rally.facilitation.service import RoomService
from rally.facilitation.state.leases import binds
from rally.model.clock import Clock, SystemClock
from rally.model.errors import UsageError

ROOM_FOLDER = ".rally"
LEDGER_FILE = "ledger.db"
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_ID_CHARS = 12

Operation = Callable[[Ask], Awaitable[Reply]]

OPERATIONS: dict[str, Operation] = {
    "say": say.say,
    "enter": say.enter,
    "leave": say.leave,
    "lead": say.lead,
    "mission": say.mission,
    "task": tasks.task,
    "check": asking.check,
    "check-ci": asking.ci,
    "room": asking.room,
    "next": asking.next_,
    "inbox": asking.inbox,
    "wake-due": asking.due,
    "whoami": asking.whoami,
    "dag": asking.dag,
    "log": look.log,
    "show": look.show,
    "wait": waiting.wait,
}


def creates(op: str, params: Params) -> bool:
    """Whether an operation may bring a room into being (contract R2)."""
    if op in ("say", "enter", "init"):
        return True
    if op == "lead":
        return params.get("action") == "take"
    if op == "mission":
        return params.get("text") is not None
    return op == "task" and params.get("action") == "add"


def new_event_id(kind: str) -> str:
    """`<kind>-<12 letters and digits>`: 60 random bits, never only digits, readable in a row."""
    number = int.from_bytes(os.urandom(8), "big")
    letters = []
    for _ in range(_ID_CHARS):
        number, digit = divmod(number, 32)
        letters.append(_ID_ALPHABET[digit])
    return f"{kind}-{''.join(letters)}"


class Rooms:
    """The rooms of one process.

    Args:
        clock: tells the time; the machine's by default.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._open: dict[str, tuple[RoomService, tuple[int, int]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def call(
        self, op: str, params: Params, *, cwd: str, env: Mapping[str, str]
    ) -> Reply:
        """Carry out one operation.

        Args:
            op: a name in `OPERATIONS`, or `init`, or `status`.
            params: its parameters; `room` overrides where the room is.
            cwd: the caller's working folder, absolute.
            env: the caller's environment, as far as rally reads it.

        Raises:
            RallyError: see the operation.
        """
        if op == "status":
            return await self._status(env)
        place = self.place(params, cwd=cwd, env=env)
        if op == "init":
            return await self._init(place, env)
        operation = OPERATIONS.get(op)
        if operation is None:
            raise UsageError("usage", f"no such operation: {op!a}", hint="rally --help")
        if op == "say":
            say.wish(place, params)  # a wish that is refused at the door creates no room
        elif op == "enter":
            say.wish(place, {**params, "kind": "enter"})
        service = await self.service(place.root, create=creates(op, params), env=env)
        return await operation(Ask(service, place, params))

    async def subscribe(
        self, params: Params, *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Follow a room (see `ops.wait.subscribe`); ends when the iterator is closed."""
        place = self.place(params, cwd=cwd, env=env)
        service = await self.service(place.root, create=False, env=env)
        async for event in waiting.subscribe(Ask(service, place, params)):
            yield event

    def place(self, params: Params, *, cwd: str, env: Mapping[str, str]) -> Place:
        """Where the caller is (contract R1).

        Raises:
            UsageError: `room-not-found`.
        """
        return find_place(cwd, params.get("room") or env.get("RALLY_ROOM") or None)

    async def service(self, root: str, *, create: bool, env: Mapping[str, str]) -> RoomService:
        """The open room at a root; an empty one, kept nowhere, where there is none to read.

        Raises:
            Failure: the ledger cannot be opened or made.
        """
        async with self._locks.setdefault(root, asyncio.Lock()):
            path = Path(root, ROOM_FOLDER, LEDGER_FILE)
            identity = _identity(path)
            known = self._open.get(root)
            if known is not None and known[1] == identity:
                return known[0]
            if known is not None:  # the room's folder was removed or replaced behind our back
                del self._open[root]
                await known[0].close()
            if identity is None and not create:
                return await self._empty(root)
            if identity is None:
                prepare_room_folder(Path(root))
            ledger = await SqliteLedger.open(str(path), create=create)
            service = RoomService(
                root, ledger, clock=self.clock, new_id=new_event_id, cache=path.parent
            )
            try:
                await service.start()
            except BaseException:
                await ledger.close()
                raise
            opened = _identity(path)
            if opened is not None:
                self._open[root] = (service, opened)
                Register(env).add(root)
            return service

    async def _empty(self, root: str) -> RoomService:
        service = RoomService(
            root, MemoryLedger(), clock=self.clock, new_id=new_event_id, cache=None
        )
        await service.start()
        return service

    async def _init(self, place: Place, env: Mapping[str, str]) -> Reply:
        existed = _identity(Path(place.root, ROOM_FOLDER, LEDGER_FILE)) is not None
        service = await self.service(place.root, create=True, env=env)
        head = await service.ledger.head()
        data = {"room": place.root, "created": not existed, "head": head.seq}
        return Reply(data, [])

    async def _status(self, env: Mapping[str, str]) -> Reply:
        rows = []
        for root in Register(env).roots():
            if _identity(Path(root, ROOM_FOLDER, LEDGER_FILE)) is None:
                continue
            service = await self.service(root, create=False, env=env)
            rows.append(await service.read(partial(_status_row, root)))
        return Reply({"rooms": rows, "total": len(rows)}, [])

    def open_rooms(self) -> list[str]:
        """The roots of the rooms that are open."""
        return list(self._open)

    def busy(self) -> bool:
        """Whether somebody waits or follows in any room."""
        return any(service.busy() for service, _ in self._open.values())

    async def close(self) -> None:
        """Close every room, with a checkpoint where it is worth one."""
        while self._open:
            _, (service, _) = self._open.popitem()
            await service.close()


def _status_row(root: str, context: Context) -> dict[str, Any]:
    state, now_ms = context.state, context.now_ms
    return {
        "room": root,
        "head": state.head_seq,
        "claims": sum(binds(claim, now_ms) for claim in state.claims.values()),
        "blockers": len(state.blockers),
        "due": len(wake_due(state, now_ms)),
        "tools": sum(presence.present for presence in state.tools.values()),
    }


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (one call less than Path.stat on the hot path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return (0, 0)  # there, and unreadable: opening it will say why
    return (found.st_dev, found.st_ino)
