from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
