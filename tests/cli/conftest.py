from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cli_process import Shell, own_env
from cli_terminal import Terminal


@pytest.fixture
async def rally(tmp_path: Path) -> AsyncIterator[Terminal]:
    """Somebody who types into an empty folder, under a clock that stands still."""
    terminal = Terminal(tmp_path)
    yield terminal
    if terminal.rooms is not None:
        await terminal.rooms.close()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An empty folder for commands that are processes of their own."""
    cwd = tmp_path / "here"
    cwd.mkdir()
    return Shell(cwd, own_env(tmp_path))


@pytest.fixture
def repo(shell: Shell) -> Shell:
    """A git repository with one commit."""
    shell.git("init", "-q", "-b", "main")
    shell.write("README")
    shell.git("commit", "-q", "-m", "first")
    return shell
