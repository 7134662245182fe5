from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from guard_desk import Desk, own_env

_NUMBERS = count()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A folder, and one daemon for all repositories in it."""
    folder = tmp_path_factory.mktemp("guard")
    (folder / "gitconfig").write_text(
        "[user]\n name = Ada Lovelace\n email = ada@example.org\n"
        "[init]\n defaultBranch = main\n[advice]\n detachedHead = false\n"
        '[protocol "file"]\n allow = always\n'
    )
    desk = Desk(folder, own_env(folder))
    yield desk
    desk.rally("daemon", "stop")


@pytest.fixture
def bench(home: Desk) -> Desk:
    """A new folder for one test."""
    folder = Path(home.folder, f"test-{next(_NUMBERS)}")
    folder.mkdir()
    return home.at(folder)


@pytest.fixture
def repo(bench: Desk) -> Desk:
    """A repository with one commit, within the folder of the test."""
    desk = bench.at(bench.folder / "repo")
    desk.folder.mkdir()
    desk.git("init", "-q")
    desk.commit("README", message="first")
    return desk
