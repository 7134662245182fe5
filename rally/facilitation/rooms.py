"""Rooms: every room that this process has open, and the way from a request to its operation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, closing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rally.facilitation.decide.context import Context, warning
from rally.facilitation.ledger.folder import (
    check_room_folder,
    file_identity,
    has_room,
    prepare_room_folder,
)
from rally.facilitation.ledger.memory import MemoryLedger
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.noticing import look_at
from rally.facilitation.ops.common import Ask, Params, Reply
from rally.facilitation.places import ROOM_FOLDER, Place, find_place, ledger_file, misplaced
from rally.facilitation.projections.summary import summary
from rally.facilitation.register import Register
from rally.facilitation.service import RoomService
from rally.model.clock import Clock, SystemClock
from rally.model.errors import Failure, UsageError
from rally.model.shell import word

# Crockford's base 32, eight times over: one random byte gives one letter.
_ID_ALPHABET = b"0123456789abcdefghjkmnpqrstvwxyz" * 8
_ID_CHARS = 12
# Programs ask thousands of times a second from one folder; looking up its repository costs as much as
# a check. No process can make a repository and call again within this time.
_PLACE_KEPT_S = 0.01
_PLACES_KEPT_MAX = 1_000
_APPEARANCE_S = 60.0

Operation = Callable[[Ask], Awaitable[Reply]]

# Operation to the module and function that carry it out. They are imported when first asked for: a
# direct `check` must not pay for `dag`.
OPERATIONS: dict[str, tuple[str, str]] = {
    "say": ("say", "say"),
    "enter": ("say", "enter"),
    "leave": ("say", "leave"),
    "lead": ("say", "lead"),
    "mission": ("say", "mission"),
    "task": ("tasks", "task"),
    "memory": ("memory", "memory"),
    "session": ("sessions", "session"),
    "check": ("check", "check"),
    "check-ci": ("check", "ci"),
    "room": ("ask", "room"),
    "next": ("ask", "next_"),
    "inbox": ("ask", "inbox"),
    "wake-due": ("ask", "due"),
    "whoami": ("ask", "whoami"),
    "ui": ("ui", "ui"),
    "dag": ("dag", "dag"),
    "log": ("look", "log"),
    "show": ("look", "show"),
    "wait": ("wait", "wait"),
}


def operation(name: str) -> Operation:
    """The function that carries out an operation.

    Raises:
        UsageError: `usage`, there is none of this name.
    """
    found = OPERATIONS.get(name)
    if found is None:
        raise UsageError("usage", f"no such operation: {name!a}", hint="rally --help")
    module = import_module(f"rally.facilitation.ops.{found[0]}")
    carry_out: Operation = getattr(module, found[1])
    return carry_out


def creates(op: str, params: Params) -> bool:
    """Whether an operation may bring a room into being (contract R2)."""
    if op in ("say", "enter", "init"):
        return True
    if op == "lead":
        return params.get("action") == "take"
    if op == "mission":
        return params.get("text") is not None
    if op == "memory":
        return params.get("action") == "set"
    if op == "session":
        return params.get("action") in ("start", "adopt") and not params.get("dry_run")
    return op == "task" and params.get("action") in ("add", "start")


def new_event_id(kind: str) -> str:
    """`<kind>-<12 letters and digits>`: 60 random bits, never only digits, readable in a row."""
    return f"{kind}-{os.urandom(_ID_CHARS).translate(_ID_ALPHABET).decode()}"


class Rooms:
    """The rooms of one process.

    Args:
        clock: tells the time; the machine's by default.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._open: dict[str, tuple[RoomService, tuple[int, int]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._places: dict[tuple[str, str | None], tuple[float, Place]] = {}

    async def call(self, op: str, params: Params, *, cwd: str, env: Mapping[str, str]) -> Reply:
        """Carry out one operation.

        Args:
            op: a name in `OPERATIONS`, or `init`, or `status`.
            params: its parameters; `room` overrides where the room is.
            cwd: the caller's working folder, absolute.
            env: the caller's environment, as far as rally reads it.

        Raises:
            RallyError: see the operation.
        """
        try:
            return await self._call(op, params, cwd=cwd, env=env)
        except Failure as failure:
            await _explain(failure)
            raise

    async def _call(self, op: str, params: Params, *, cwd: str, env: Mapping[str, str]) -> Reply:
        if op == "status":
            return await self._status(env)
        place = self.place(params, cwd=cwd, env=env)
        if op == "init":
            return await self._init(place, env)
        carry_out = operation(op)
        create = creates(op, params)
        if create and not has_room(place.root):
            # What is refused creates no room (contract R2, T4): it is tried on an empty one first.
            await carry_out(Ask(await self._empty(place.root), place, params, env))
        if op == "leave" and not has_room(place.root):
            raise UsageError(
                "room-not-found", f"nobody has made a room in {place.root}, so there is none to leave",
                hint="rally enter",
            )  # fmt: skip
        if op == "wait" and not has_room(place.root):
            early = await self._wait_without_room(carry_out, place, params, env)
            if early is not None:
                return early
        service = await self.service(place.root, create=create, env=env)
        data, warnings = await carry_out(Ask(service, place, params, env))
        return Reply(data, [*warnings, *_misplaced(op, params, place), *service.take_warnings()])

    async def _wait_without_room(
        self, carry_out: Operation, place: Place, params: Params, env: Mapping[str, str]
    ) -> Reply | None:
        """Wait where nobody has said anything yet; None as soon as somebody has made the room.

        The wait then begins anew in the room, with its whole time.
        """
        check_room_folder(place.root)
        empty = await self._empty(place.root)
        waiting = asyncio.ensure_future(carry_out(Ask(empty, place, params, env)))
        appearing = asyncio.ensure_future(_room_appears(place.root))
        try:
            await asyncio.wait({waiting, appearing}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            appearing.cancel()

    async def subscribe(
        self, params: Params, *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Follow a room (see `ops.wait.subscribe`); ends when the iterator is closed."""
        place = self.place(params, cwd=cwd, env=env)
        if not has_room(place.root):
            check_room_folder(place.root)
            yield {"event": "head", "seq": 0}
            await _room_appears(place.root)
            params = {**params, "since": params.get("since") or 0}
        try:
            service = await self.service(place.root, create=False, env=env)
        except Failure as failure:
            await _explain(failure)
            raise
        from rally.facilitation.ops.wait import subscribe

        async with aclosing(subscribe(Ask(service, place, params, env))) as events:
            async for event in events:
                yield event

    def place(self, params: Params, *, cwd: str, env: Mapping[str, str]) -> Place:
        """Where the caller is (contract R1).

        Raises:
            UsageError: `room-not-found`.
        """
        key = (cwd, params.get("room") or env.get("RALLY_ROOM") or None)
        now_s = asyncio.get_running_loop().time()
        known = self._places.get(key)
        if known is not None and now_s < known[0]:
            return known[1]
        place = find_place(*key)
        if len(self._places) > _PLACES_KEPT_MAX:
            self._places.clear()
        self._places[key] = (now_s + _PLACE_KEPT_S, place)
        return place

    async def service(self, root: str, *, create: bool, env: Mapping[str, str]) -> RoomService:
        """The open room at a root; an empty one, kept nowhere, where there is none to read.

        Raises:
            Failure: the ledger cannot be opened or made.
        """
        file = ledger_file(root)
        known = self._open.get(root)
        if known is not None and known[1] == file_identity(file):
            return known[0]
        async with self._locks.setdefault(root, asyncio.Lock()):
            path = Path(file)
            identity = file_identity(file)
            known = self._open.get(root)
            if known is not None and known[1] == identity:
                return known[0]
            if known is not None:  # the room's folder was removed or replaced behind our back
                del self._open[root]
                await known[0].close()
            if identity is None:
                check_room_folder(root)
                if not create:
                    return await self._empty(root)
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
            opened = file_identity(file)
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
        existed = has_room(place.root)
        service = await self.service(place.root, create=True, env=env)
        head = await service.ledger.head()
        data = {"room": place.root, "created": not existed, "head": head.seq}
        return Reply(data, [])

    async def _status(self, env: Mapping[str, str]) -> Reply:
        rows, unreadable = [], []
        for root in Register(env).roots():
            if not has_room(root):
                continue
            try:
                service = await self.service(root, create=False, env=env)
                rows.append(await service.read(partial(_status_row, root)))
            except Failure as failure:  # one damaged room does not hide the others
                from rally.model.shell import option  # only who meets one

                what = {"code": failure.code, "message": failure.message}
                hint = f"rally verify {option('--room', root)}"
                unreadable.append({"room": root, **what, "hint": hint})
        warnings = [{"code": one["code"], "message": one["message"]} for one in unreadable]
        return Reply({"rooms": rows, "unreadable": unreadable, "total": len(rows)}, warnings)

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


def _misplaced(op: str, params: Params, place: Place) -> list[dict[str, str]]:
    """Warnings about paths that somebody typed in a sub-folder, thinking of that folder."""
    if op not in ("say", "check", "enter") or place.folder == place.top:
        return []
    if params.get("phase") not in (None, "before-write"):
        return []  # git names its files from the top
    found = misplaced(params.get("paths") or (), place)
    return [
        warning(
            "path-relative-to-root",
            f"{raw} is {place.root}/{raw.removeprefix('./')}, which is not there; the file in this "
            f"folder is --path {word(meant)}",
        )
        for raw, meant in found.items()
    ]


async def _explain(failure: Failure) -> None:
    """Have the error about a damaged ledger name what is still whole, and the way out."""
    if failure.code == "corrupt-ledger":
        from rally.facilitation.ledger.damage import add_way_out  # only who meets one

        await add_way_out(failure)


def _status_row(root: str, context: Context) -> dict[str, Any]:
    head = context.state.head_seq
    return {"room": root, "head": head, **summary(context.state, context.now_ms)}


async def _room_appears(root: str) -> None:
    """Sleep until the room's ledger is there; a follower creates none (contract R2).

    Raises:
        Failure: `room-gone`, the folder itself was removed.
    """
    inner = Path(root, ROOM_FOLDER)
    changed = asyncio.Event()

    def heed(_: str, is_write: bool) -> None:
        if not is_write:
            changed.set()

    while not has_room(root):
        # `.rally` is looked into as well once it is there.
        had_inner = _is_folder(inner)
        changed.clear()
        try:
            eyes = look_at([Path(root), inner] if had_inner else [Path(root)], heed)
        except OSError:
            if _is_folder(Path(root)):  # only `.rally` has just gone
                continue
            raise Failure(
                "room-gone",
                f"the folder {root} was removed",
                hint=f"rally init --room {word(root)}",
            ) from None
        with closing(eyes), suppress(TimeoutError):
            # It may have come between the look and the watch.
            if not has_room(root) and _is_folder(inner) == had_inner:
                async with asyncio.timeout(_APPEARANCE_S):
                    await changed.wait()


def _is_folder(path: Path) -> bool:
    """One look at the disk is no blocking call that the event loop would notice."""
    return path.is_dir()
