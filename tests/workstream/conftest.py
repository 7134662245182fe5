from __future__ import annotations

import sys
from pathlib import Path

# The terminal without a terminal is shared with the tests of the command line.
sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from collections.abc import AsyncIterator

import pytest
from plan_desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Somebody who types any command into an empty folder, without a daemon."""
    made = Desk(tmp_path)
    yield made
    await made.rooms.close()
