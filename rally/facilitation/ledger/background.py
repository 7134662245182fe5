"""A ledger connection on a thread of its own, as aiosqlite keeps it, started without loose ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import aiosqlite

from rally.facilitation.ledger.connection import Identity, LedgerConnection

_ITER_CHUNK = 64


async def start(opener: Callable[[], LedgerConnection]) -> tuple[aiosqlite.Connection, Identity]:
    """Open a connection in a new thread.

    When the opening fails or its caller is cancelled, the thread has ended by the time this raises.
    aiosqlite does not wait for that: the thread could still want to report to an event loop that is
    closed by then, and would die with a traceback on the user's terminal.

    Raises:
        Failure: what `opener` raised.
    """
    opened: list[LedgerConnection] = []
    failed: list[Exception] = []

    def connector() -> sqlite3.Connection:
        try:
            opened.append(opener())
        except Exception as error:
            failed.append(error)
            return sqlite3.connect(":memory:")  # something that can be closed in good order
        return opened[0]

    connection = aiosqlite.Connection(connector, _ITER_CHUNK)
    starting = asyncio.ensure_future(connection)
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await starting
        await connection.close()
        raise
    if failed:
        await connection.close()
        raise failed[0]
    return connection, opened[0].identity
