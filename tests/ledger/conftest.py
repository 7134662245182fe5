from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rally.facilitation.ledger.sqlite import SqliteLedger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's ledger is, or will be."""
    return tmp_path / "ledger.db"


@pytest.fixture
async def sqlite_ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    """A new, empty ledger at `path`, open."""
    ledger = await SqliteLedger.open(path, create=True)
    yield ledger
    await ledger.close()
