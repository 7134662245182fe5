from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))

from loop_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A repository with one commit, and nothing said in it yet."""
    return Bench(tmp_path)
