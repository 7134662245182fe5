from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "daemon"))

from hook_scene import Scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two rooms in which another agent holds something, and one daemon for both."""
    made = Scene(tmp_path_factory.mktemp("hooks"))
    yield made
    made.close()


@pytest.fixture
def own_scene(tmp_path: Path) -> Iterator[Scene]:
    """The same for one test alone, which may break things."""
    made = Scene(tmp_path)
    yield made
    made.close()
