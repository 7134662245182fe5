"""What docs/watch.md and docs/hold.md show can be pasted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from runner_room import Room

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["watch.md", "hold.md"])
def test_the_shell_blocks_of_the_page_run(room: Room, page: str) -> None:
    """One after the other, in one room, and each command succeeds."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        shell = room.start_program(["sh", "-e", "-c", block])
        while shell.line() is not None:
            pass
        assert shell.wait() == 0, shell.errors()
