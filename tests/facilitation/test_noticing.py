"""Noticing what other processes do to a ledger, by the kernel's word and by steps."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from rally.facilitation import noticing
from rally.facilitation.noticing import LOOK_S_LAST, LedgerWatch, look_at
from rally.facilitation.rooms import Rooms
from rally.model.errors import Failure

PATIENCE_S = 20.0


@pytest.fixture(params=["kernel", "steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As on Linux, and as elsewhere."""
    if request.param == "steps":
        monkeypatch.setattr(noticing, "_HAS_INOTIFY", False)
    return str(request.param)


class Room:
    """A room as two processes see it: each has a `Rooms` of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.root.mkdir()
        self.env = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
        self.reader, self.writer = Rooms(), Rooms()
        self.followed: list[AsyncGenerator[dict[str, Any], None]] = []

    async def write(self, subject: str) -> None:
        params = {"kind": "note", "tool": "ada", "subject": subject}
        await self.writer.call("say", params, cwd=str(self.root), env=self.env)

    def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """What a follower is told, from the head on."""
        following = self.reader.subscribe({"want": ["facts"]}, cwd=str(self.root), env=self.env)
        self.followed.append(cast(AsyncGenerator[dict[str, Any], None], following))
        return self.followed[-1]

    async def close(self) -> None:
        for following in self.followed:
            await following.aclose()
        await self.reader.close()
        await self.writer.close()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    yield made
    await made.close()


async def subject(events: Any) -> str:
    """What the next fact is about."""
    async with asyncio.timeout(PATIENCE_S):
        while (event := await anext(events))["event"] != "facts":
            pass
    return str(event["facts"][-1]["subject"])


async def test_what_another_process_says_is_seen(room: Room, way: str) -> None:
    """Fact after fact, each while the follower sleeps."""
    await room.write("first")
    events = room.events()
    assert (await anext(events))["event"] == "head"
    for word in ("a", "b", "c"):
        seen = asyncio.ensure_future(subject(events))
        await room.write(word)
        assert await seen == word


async def test_a_room_that_is_removed_before_the_follower_sleeps_is_noticed(
    room: Room, way: str
) -> None:
    """The event of its end came when nobody listened yet; it must not be waited for."""
    await room.write("first")
    events = room.events()
    assert (await anext(events))["event"] == "head"
    shutil.rmtree(room.root / ".rally")
    with pytest.raises(Failure, match="removed or replaced"):
        await subject(events)


async def test_a_room_that_is_removed_while_somebody_waits_is_noticed(room: Room, way: str) -> None:
    """`rally wait` does not sit out its time in a room that is no more."""
    await room.write("first")
    params = {"tool": "ada", "until": ["step:x"], "run": "r", "timeout": "5m"}
    waiting = asyncio.ensure_future(
        room.reader.call("wait", params, cwd=str(room.root), env=room.env)
    )
    events = room.events()
    assert (await anext(events))["event"] == "head"
    shutil.rmtree(room.root / ".rally")
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Failure, match="removed or replaced"):
            await waiting


async def test_a_room_is_waited_for(room: Room, way: str) -> None:
    """The first fact of all makes the room, and is seen."""
    events = room.events()
    assert await anext(events) == {"event": "head", "seq": 0}
    seen = asyncio.ensure_future(subject(events))
    await room.write("hello")
    assert await seen == "hello"


async def test_a_folder_that_is_removed_while_its_room_is_waited_for(room: Room, way: str) -> None:
    """There will be no room in it; nobody goes round in circles."""
    events = room.events()
    assert await anext(events) == {"event": "head", "seq": 0}
    room.root.rmdir()
    with pytest.raises(Failure, match="was removed"):
        await subject(events)


async def test_a_write_is_looked_for_again_until_it_must_be_on_the_disk(tmp_path: Path) -> None:
    """The kernel tells of the write, which can be read later: the looks go on, ever more rarely."""
    loop = asyncio.get_running_loop()
    looks: asyncio.Queue[float] = asyncio.Queue()
    watch = LedgerWatch(
        tmp_path, on_write=lambda: looks.put_nowait(loop.time()), on_vanish=lambda: None
    )
    wal = tmp_path / "ledger.db-wal"
    wal.write_bytes(b"")
    with watch:
        async with asyncio.timeout(PATIENCE_S):
            await looks.get()  # what was written before
            before = loop.time()
            wal.write_bytes(b"frame")
            at = [await looks.get() for _ in range(8)]
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert at[0] - before < 0.1
    assert pauses[1:] == sorted(pauses[1:])
    assert 0.5 < at[-1] - before < LOOK_S_LAST


async def test_where_the_kernel_listens_to_nobody_else_the_folder_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user may have only so many watches (`fs.inotify.max_user_instances`)."""

    def too_many(folders: list[str]) -> None:
        raise OSError(24, os.strerror(24), folders[0])

    # No test may use up the watches of the user who runs it.
    monkeypatch.setattr("rally.facilitation.inotify.Inotify", too_many)
    changed = asyncio.Event()
    eyes = look_at([tmp_path], lambda name, is_write: changed.set())
    async with asyncio.timeout(PATIENCE_S):
        while not changed.is_set():
            (tmp_path / "file").write_text(f"{asyncio.get_running_loop().time()}")
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 0.1)
    eyes.close()


async def test_what_is_not_there_cannot_be_looked_at(tmp_path: Path, way: str) -> None:
    """The caller finds out at once."""
    with pytest.raises(FileNotFoundError):
        look_at([tmp_path / "none"], lambda name, is_write: None)
