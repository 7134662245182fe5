"""What goes wrong below the ledger, in the contract's words.

Errors are told apart by SQLite's result codes and the system's errno, never by their text: a fact
or a file name may contain any text.
"""

from __future__ import annotations

import errno
import os
import sqlite3

from rally.model.errors import Failure

# The low byte of an extended result code is its primary code (sqlite.org/rescode.html).
_PRIMARY = 0xFF
# SQLite found no room to grow the shared-memory file beside the ledger; all it ever writes there is
# one byte a page, so a full disk is what stops it.
_NO_ROOM_FOR_INDEX = sqlite3.SQLITE_IOERR_SHMSIZE

_CODE_BY_SQLITE: dict[int, str] = {
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_READONLY: "unwritable",
    sqlite3.SQLITE_PERM: "unwritable",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_PROTOCOL: "busy",
    sqlite3.SQLITE_CORRUPT: "corrupt-ledger",
    sqlite3.SQLITE_NOTADB: "corrupt-ledger",
    sqlite3.SQLITE_IOERR: "unavailable",
    sqlite3.SQLITE_CANTOPEN: "unavailable",
    sqlite3.SQLITE_NOMEM: "unavailable",
    sqlite3.SQLITE_INTERRUPT: "unavailable",
    sqlite3.SQLITE_NOLFS: "unavailable",
}

_CODE_BY_ERRNO: dict[int, str] = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EACCES: "unwritable",
    errno.EPERM: "unwritable",
    errno.EROFS: "unwritable",
}

_SAID: dict[str, tuple[str, str]] = {
    "disk-full": (
        "the disk is full, nothing was written to {path}",
        "free some space, then run the command again",
    ),
    "unwritable": (
        "{path} cannot be written",
        "make the file and its folder writable for you, then run the command again",
    ),
    "busy": (
        "{path} was locked by another process for too long",
        "run the command again",
    ),
    "corrupt-ledger": ("{path} is damaged or is no ledger ({error})", "rally verify"),
    "unavailable": ("{path} cannot be read or written ({error})", "rally verify"),
    "internal": (
        "{path} answered with an error that rally does not know ({error})",
        "rally verify",
    ),
}


def is_constraint(error: sqlite3.Error) -> bool:
    """Whether the database refused a row: a guard, a taken seq, id or key."""
    return _primary(error) == sqlite3.SQLITE_CONSTRAINT


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process's lock was in the way; trying again may succeed."""
    return _CODE_BY_SQLITE.get(_primary(error)) == "busy"


def is_unopenable(error: sqlite3.Error) -> bool:
    """Whether SQLite could not set up its files beside the ledger."""
    return _primary(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def as_failure(error: sqlite3.Error | OSError, path: str | os.PathLike[str]) -> Failure:
    """The failure to raise for an error of SQLite or the system; nothing was written.

    Args:
        path: the file or folder that was being used; it is named in the message.
    """
    if isinstance(error, OSError):
        code = _CODE_BY_ERRNO.get(error.errno or 0, "unavailable")
    elif getattr(error, "sqlite_errorcode", 0) == _NO_ROOM_FOR_INDEX:
        code = "disk-full"
    else:
        code = _CODE_BY_SQLITE.get(_primary(error), "internal")
    message, hint = _SAID[code]
    return Failure(
        code,
        message.format(path=os.fspath(path), error=error),
        hint=hint,
        details={"file": os.fspath(path), "cause": str(error)},
    )


def damaged(path: str | os.PathLike[str], what: str) -> Failure:
    """The failure to raise for a file that SQLite can read and that is no whole ledger."""
    return Failure(
        "corrupt-ledger",
        f"{os.fspath(path)} is damaged: {what}",
        hint="rally verify",
        details={"file": os.fspath(path), "cause": what},
    )


def _primary(error: sqlite3.Error) -> int:
    # Errors of the Python module itself (a closed connection) carry no code.
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY
