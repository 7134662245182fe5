from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_room import Room, room_in


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A repository with a room and a daemon of its own."""
    with room_in(tmp_path) as made:
        made.ask("init")
        yield made
