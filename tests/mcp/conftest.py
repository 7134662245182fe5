from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_desk import RALLY, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A folder for one test; the daemon that came into being ends with it."""
    made = Desk(tmp_path)
    yield made
    subprocess.run([RALLY, "daemon", "stop"], env=made.env, check=True, capture_output=True)


@pytest.fixture
def alone(desk: Desk) -> Desk:
    """The same without a daemon."""
    desk.env["RALLY_DAEMON"] = "off"
    return desk
