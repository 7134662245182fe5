from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "daemon"))

from contract_room import DAEMON, DIRECT, Room, World
from rallyd import end_background_daemon


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A user whose daemon is started by the first command and ended with the last test."""
    one = World(tmp_path_factory.mktemp("world"))
    yield one
    end_background_daemon(one.env)


@pytest.fixture(params=[DAEMON, DIRECT])
def room(world: World, request: pytest.FixtureRequest) -> Room:
    """A new room, once behind the daemon and once without it."""
    return world.room(request.param)


@pytest.fixture
def warm(world: World) -> Room:
    """A new room behind the daemon only, where the mode can make no difference."""
    return world.room()
