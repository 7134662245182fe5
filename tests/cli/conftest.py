from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cli_terminal import Terminal


@pytest.fixture
async def rally(tmp_path: Path) -> AsyncIterator[Terminal]:
    """Somebody who types into an empty folder, under a clock that stands still."""
    terminal = Terminal(tmp_path)
    yield terminal
    if terminal.rooms is not None:
        await terminal.rooms.close()
