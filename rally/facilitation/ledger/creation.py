"""Making the ledger file: it appears complete, once, or not at all.

The database is built under a temporary name in the same folder and then linked to its own name,
which fails when the name is taken. Whoever is killed on the way leaves a file that nobody opens and
that the next creator removes; whoever loses a race uses the winner's ledger.

The folder's lock is held meanwhile. It is not needed for the ledger to appear once, but for what
may lie beside it: where somebody deleted `ledger.db` and left `ledger.db-wal`, SQLite would replay
that log into the new file. It may be moved away only while no other process can be about to use it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from rally.facilitation.files import sync_folder
from rally.facilitation.ledger.failures import as_failure
from rally.facilitation.ledger.folder import folder_lock

# "raly", so that file(1) and rally itself can tell a ledger from any other SQLite file.
APPLICATION_ID = 0x72616C79
SCHEMA_VERSION = 1
_BUILDING = ".new-"


def schema_sql() -> str:
    """The statements that make an empty ledger."""
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def create_ledger(path: Path) -> None:
    """Make an empty ledger at `path`, unless there is one. The folder must exist.

    Raises:
        Failure: `disk-full`, `unwritable`, `busy` or `unavailable`; there is no ledger because of
            this call.
    """
    with folder_lock(path.parent, wait=True) as alone:
        if os.path.lexists(path):
            return
        built = path.with_name(f"{path.name}{_BUILDING}{os.getpid()}-{os.urandom(4).hex()}")
        try:
            if alone:
                _clear_away(path)
            _build(built)
            _place(built, path)
        except (OSError, sqlite3.Error) as error:
            raise as_failure(error, path) from error
        finally:
            with suppress(OSError):
                _remove_database(built)
        sync_folder(path.parent)


def _clear_away(path: Path) -> None:
    """What killed creators left, and what a deleted ledger left beside itself."""
    for entry in path.parent.iterdir():
        if entry.name.startswith(path.name + _BUILDING):
            entry.unlink(missing_ok=True)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        log.replace(path.with_name(path.name + "-wal.orphaned"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _build(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the database file.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nobody else can see the file yet: one fsync at the end replaces one per statement.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.executescript(f"BEGIN; {schema_sql()} COMMIT;")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        # Last, so that all before it stands in the file itself and the log is empty. The mode is
        # kept in the file's header.
        connection.execute("PRAGMA journal_mode = WAL")
    # SQLite has closed the file; opening a database that SQLite has open would, on closing, drop
    # SQLite's own locks on it (POSIX locks belong to the process, not to the handle).
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _place(built: Path, path: Path) -> None:
    try:
        os.link(built, path)
    except FileExistsError:
        return
    except OSError:
        # No hard links here (FAT, some network file systems). A rename would replace a ledger that
        # appeared in between, which the folder's lock, held by every creator, prevents.
        if not os.path.lexists(path):
            built.rename(path)


def _remove_database(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
