from __future__ import annotations

import sys
from pathlib import Path

# The helpers that start daemons are shared with the tests of the daemon.
sys.path.insert(0, str(Path(__file__).parents[1] / "daemon"))

from collections.abc import Iterator

import pytest
from rallyd import Daemon, end_background_daemon, make_env, running


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which no daemon runs, before and after."""
    made = make_env(tmp_path)
    yield made
    end_background_daemon(made)


@pytest.fixture
def daemon(env: dict[str, str]) -> Iterator[Daemon]:
    with running(env) as started:
        yield started
