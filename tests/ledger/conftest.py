from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledger_facts import opened

from rally.facilitation.ledger.sqlite import SqliteLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's ledger is, or will be."""
    return tmp_path / "ledger.db"


@pytest.fixture
async def sqlite_ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    """A new, empty ledger at `path`, open."""
    async with opened(path, create=True) as ledger:
        yield ledger
