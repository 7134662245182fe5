"""Noticing that the ledger's file was overwritten while it is open.

SQLite keeps pages in memory, and in WAL mode a commit goes to the log beside the file. So a process that
has the ledger open goes on answering, and acknowledging facts, long after somebody wrote garbage (or an
older copy) over the file; the next process finds nothing that it could read. Nobody but SQLite's own
checkpoints writes to the file, about once in a thousand pages. So whenever the file looks touched, it is
opened anew, past every cache, and a few facts are looked up in it. What damage this misses, `verify`
finds: it reads everything.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rally.facilitation.ledger.connection import Identity, LedgerConnection, open_connection
from rally.facilitation.ledger.failures import as_failure, damaged
from rally.facilitation.ledger.statements import SQL

_SAMPLES = 16


class Stamp(NamedTuple):
    """What changes when somebody writes to a file. The time is the inode's, which no `touch` sets."""

    size: int
    changed_ns: int


class Touched(NamedTuple):
    """A file at one moment."""

    identity: Identity
    stamp: Stamp


# Hashes of some facts, by seq: what was once read must still be there.
Sample = dict[int, str]


def look_at(path: str | os.PathLike[str]) -> Touched | None:
    """The file at `path` now; None where there is none that could be looked at."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Touched((found.st_dev, found.st_ino), Stamp(found.st_size, found.st_ctime_ns))


def take_sample(connection: LedgerConnection, path: Path, known: Sample | None = None) -> Sample:
    """Look up the first fact, the newest, and some between.

    Args:
        known: an earlier sample; all of it must be found again.

    Raises:
        Failure: `corrupt-ledger`: one of them is missing, is another one or cannot be read; or
            `busy` and the like, which say nothing about the file.
    """
    try:
        head = connection.execute(SQL["head"]).fetchall()
        newest = head[0][0] if head else 0
        wanted = {1 + (newest - 1) * place // (_SAMPLES - 1) for place in range(_SAMPLES)}
        wanted = wanted if newest else set()
        found: Sample = {}
        for seq in sorted({*wanted, *(known or ())}):
            rows = connection.execute(SQL["sample"], {"seq": seq}).fetchall()
            if not rows:
                raise damaged(path, f"fact {seq} is missing")
            found[seq] = rows[0][0]
    except sqlite3.Error as error:
        failure = as_failure(error, path)
        if failure.code == "internal":  # such as a table that is not there
            raise damaged(path, str(error)) from error
        raise failure from error
    for seq, digest in (known or {}).items():
        if found[seq] != digest:
            raise damaged(path, f"fact {seq} is another one than before")
    return {seq: found[seq] for seq in wanted}


def sample_anew(path: Path, known: Sample) -> Sample:
    """`take_sample` over a new connection, which shares no page with those that are open.

    Raises:
        Failure: as `open_connection` and `take_sample`.
    """
    with closing(open_connection(path)) as connection:
        return take_sample(connection, path, known)
