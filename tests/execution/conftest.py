from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_room import Room, end_daemon, room_in

from rally.facilitation.rooms import Rooms


@pytest.fixture(scope="session")
def runtime() -> Iterator[Path]:
    """One daemon for all rooms, as a user has it; a test that kills it gets another one."""
    # A socket's path must be short, and pytest's folders are not.
    folder = Path(tempfile.mkdtemp(prefix="rr-"))
    yield folder
    end_daemon(folder)
    shutil.rmtree(folder)


@pytest.fixture
def room(tmp_path: Path, runtime: Path) -> Iterator[Room]:
    """A repository with a room."""
    with room_in(tmp_path, runtime) as made:
        asyncio.run(make(made))
        yield made


async def make(room: Room) -> None:
    """What `rally init` does, without a process of its own for each test."""
    rooms = Rooms()
    await rooms.call("init", {}, cwd=str(room.root), env=room.env)
    await rooms.close()
