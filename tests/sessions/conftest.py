from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, at_desk

from rally.execution.sessions import start


@pytest.fixture(scope="session", autouse=True)
def tmux_is_here() -> None:
    """These tests ask a real tmux; where there is none it is installed, if that may be done here."""
    if shutil.which("tmux") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "tmux"], check=False)
    if shutil.which("tmux") is None:
        pytest.fail("these tests need tmux: apt install tmux, or brew install tmux", pytrace=False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with at_desk(tmp_path) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents count as alive sooner: those of the test are, and it has many of them to start."""
    monkeypatch.setattr(start, "SETTLE_S", 0.1)
