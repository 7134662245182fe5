"""One SQLite connection to a ledger file: opened, checked and set up, or refused.

Never `open()` a ledger file with Python's own means while any part of this process has it open in
SQLite: closing that handle would drop SQLite's POSIX locks on the file, which belong to the
process, and a second process could then write at the same time. `stat` is harmless.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rally.facilitation.ledger.creation import APPLICATION_ID, SCHEMA_VERSION, create_ledger
from rally.facilitation.ledger.failures import as_failure, damaged, is_unopenable
from rally.facilitation.ledger.folder import file_identity
from rally.model.errors import Failure

# How long one statement waits for another process's transaction, which takes about a millisecond.
BUSY_TIMEOUT_S = 5.0

Identity = tuple[int, int]


class _OwnThreadCursor(sqlite3.Cursor):
    """A cursor that is done with once everything is fetched.

    A cursor resets its statement when it is freed, and the statement is shared with the next cursor
    that runs the same SQL. aiosqlite hands cursors (inside a result, or inside an exception's
    traceback) to the event loop's thread, where freeing one resets the statement while the
    connection's own thread is using it; that ends in SQLITE_MISUSE, now and then. Closed, it has no
    statement any more.
    """

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        try:
            return super().fetchall()
        finally:
            self.close()


class LedgerConnection(sqlite3.Connection):
    """A connection whose `executemany` is a whole transaction.

    aiosqlite carries every call to its thread and back (some 90 µs, half of an fsync). Begin,
    insert and commit in one call cost one crossing instead of three, and a cancelled caller can
    never leave a transaction open between them.
    """

    identity: Identity = (0, 0)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement; its cursor leaves nothing behind for another thread to free."""
        return self.cursor(_OwnThreadCursor).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run the statement for every row and commit, or roll everything back and raise."""
        try:
            super().executemany(sql, parameters).close()
            self.commit()
        except BaseException:
            # After some errors (a full disk) SQLite has rolled back by itself; this is idle then.
            self.rollback()
            raise
        return self.cursor()  # a new one, without a statement, for the reason given above


def open_connection(
    path: Path, *, create: bool = False, timeout_s: float = BUSY_TIMEOUT_S
) -> LedgerConnection:
    """Open a ledger for reading and appending, or for reading where nothing else is possible.

    In a folder that cannot be written SQLite cannot set up its shared index. A ledger without a
    pending log is then opened as an immutable file: such a connection sees the ledger as it was at
    this moment, which is what a sandboxed command needs and no daemon should keep.

    Args:
        create: make an empty ledger where there is none; its folder must exist.
        timeout_s: how long each statement waits for other processes' locks, seconds.

    Raises:
        Failure: `unavailable` (no file, not readable), `corrupt-ledger` (not a ledger),
            `newer-ledger`, `busy`, and with `create` what `create_ledger` raises. Nothing was
            written.
    """
    if create and file_identity(path) is None:
        create_ledger(path)
    # The file may be replaced between looking and opening; then look again.
    while True:
        before = identity_of(path)
        connection = _connect(path, timeout_s)
        connection.identity = before
        if file_identity(path) == before:
            return connection
        connection.close()


def identity_of(path: Path) -> Identity:
    """Device and inode of the file at `path`.

    Raises:
        Failure: `unavailable`, when there is none.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise Failure(
            "unavailable", f"there is no ledger at {path}", hint="rally init",
            details={"file": str(path)},
        ) from None  # fmt: skip
    except OSError as error:
        raise as_failure(error, path) from error
    return (found.st_dev, found.st_ino)


def _connect(path: Path, timeout_s: float) -> LedgerConnection:
    try:
        return _connect_as(path, "mode=rw", timeout_s)
    except sqlite3.Error as error:
        if not (is_unopenable(error) and _may_freeze(path)):
            raise as_failure(error, path) from error
    try:
        return _connect_as(path, "mode=ro&immutable=1", timeout_s)
    except sqlite3.Error as error:
        raise as_failure(error, path) from error


def _may_freeze(path: Path) -> bool:
    """Whether the file alone is the whole ledger and this process could not change that."""
    log = path.with_name(path.name + "-wal")
    try:
        pending = log.stat().st_size > 0
    except OSError:
        pending = False
    return not pending and not os.access(path.parent, os.W_OK)


def _connect_as(path: Path, how: str, timeout_s: float) -> LedgerConnection:
    # "rw" and not "rwc": a missing ledger must be an error and never an empty file.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=timeout_s,
        # Python begins the transaction before the first INSERT. IMMEDIATE takes the write lock at
        # once, so that the guards see the newest row and no read has to be upgraded later.
        isolation_level="IMMEDIATE",
        factory=LedgerConnection,
    )
    try:
        _check_header(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            # A copy that was made with VACUUM INTO has lost the mode. Every mode is durable; where
            # this one cannot be set now, readers and writers merely wait for each other.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_header(connection: sqlite3.Connection, path: Path) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id != APPLICATION_ID or version < 1:
        raise damaged(path, "it is not a rally ledger")
    if version > SCHEMA_VERSION:
        raise Failure(
            "newer-ledger",
            f"{path} has format {version}, this rally knows formats up to {SCHEMA_VERSION}",
            hint="pip install --upgrade agent-rally",
            details={"file": str(path), "format": version, "known": SCHEMA_VERSION},
        )
