"""Proof that the history is whole, computed anew from the ledger every time (contract R3).

Nothing that an earlier run or a cache said is used: every body is hashed, every link followed, every
column compared with the body that it repeats, and SQLite checks its own pages and indexes. Facts are
read in chunks, so a ledger of a million facts takes no more memory than one of a thousand.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import orjson

from rally.facilitation.ledger.connection import LedgerConnection, open_connection
from rally.facilitation.ledger.creation import schema_sql
from rally.facilitation.ledger.failures import is_busy
from rally.facilitation.ledger.port import EMPTY_HEAD, Head
from rally.facilitation.ledger.statements import SQL
from rally.model.errors import Failure

_CHUNK_FACTS = 1_000
# The columns that repeat a field of the body, in the order of the statement `verify_rows`.
_MIRRORED = ("seq", "event_id", "kind", "tool", "run", "step", "ref", "key", "target", "prev")
_REQUIRED = frozenset({"seq", "event_id", "kind", "tool", "prev"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and with which fact; `seq` is None where it is the file and not a fact."""

    seq: int | None
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verifying found.

    Attributes:
        file: the ledger.
        facts: how many facts were read, up to the first that is not whole.
        head: the last of them, 0 when there is none.
        hash: its hash.
        whole_until: the history from 1 to this seq is whole.
        first_problem: None when everything is.
    """

    file: str
    facts: int
    head: int
    hash: str
    whole_until: int
    first_problem: Problem | None

    @property
    def ok(self) -> bool:
        """Whether the whole ledger is whole."""
        return self.first_problem is None

    def as_json(self) -> dict[str, Any]:
        """The report as contract R3 shows it."""
        problem = self.first_problem
        return {
            "ok": self.ok,
            "facts": self.facts,
            "head": self.head,
            "hash": self.hash,
            "whole_until": self.whole_until,
            "first_problem": None
            if problem is None
            else {"seq": problem.seq, "what": problem.what},
            "file": self.file,
        }


async def verify(path: str | PathLike[str]) -> VerifyReport:
    """Recompute everything about the ledger at `path`, in a thread; nothing is written.

    Facts that are appended meanwhile may or may not be covered; they never look like damage.

    Raises:
        Failure: `newer-ledger`, or `unavailable` or `busy` when nothing can be said about the file.
            Damage is no failure: it is in the report.
    """
    return await asyncio.to_thread(_verify, Path(path))


def _verify(path: Path) -> VerifyReport:
    try:
        connection = open_connection(path)
    except Failure as failure:
        if failure.code != "corrupt-ledger":
            raise
        what = str(failure.details["cause"])
        return VerifyReport(str(path), 0, 0, EMPTY_HEAD.hash, 0, Problem(None, what))
    with closing(connection):
        # Damage may put any bytes into a text column; comparing must work all the same.
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        head, problem = _follow_chain(connection)
        whole_until = head.seq
        problem = problem or _duplicate(connection) or _damaged_file(connection)
        if problem is not None and problem.seq is not None:
            whole_until = min(whole_until, problem.seq - 1)
        return VerifyReport(str(path), head.seq, head.seq, head.hash, whole_until, problem)


def _follow_chain(connection: LedgerConnection) -> tuple[Head, Problem | None]:
    """The last fact up to which all is whole, and what is wrong with the next."""
    head = EMPTY_HEAD
    try:
        for row in _rows(connection):
            what = _flaw(row, head)
            if what:
                return head, Problem(head.seq + 1, what)
            head = Head(row[0], row[-2])
    except sqlite3.Error as error:
        if is_busy(error):
            raise
        return head, Problem(head.seq + 1, f"it cannot be read: {error}")
    return head, None


def _rows(connection: LedgerConnection) -> Iterator[Any]:
    after = -1
    while True:
        rows = connection.execute(
            SQL["verify_rows"], {"after": after, "limit": _CHUNK_FACTS}
        ).fetchall()
        yield from rows
        if len(rows) < _CHUNK_FACTS:
            return
        after = rows[-1][0]


def _flaw(row: tuple[Any, ...], before: Head) -> str:
    """What is wrong with a row that should follow `before`; empty when nothing is."""
    *columns, digest, body = row
    if columns[0] != before.seq + 1:
        return f"it is missing; the next fact in the file has seq {columns[0]}"
    if not isinstance(body, bytes):
        return "its body is not kept as bytes"
    if sha256(body).hexdigest() != digest:
        return "its hash is not the hash of its body"
    try:
        doc = orjson.loads(body)
    except ValueError:
        return "its body is not JSON"
    if not isinstance(doc, dict):
        return "its body is not a JSON object"
    for name, column in zip(_MIRRORED, columns, strict=True):
        if column != doc.get(name) or (column is None and name in _REQUIRED):
            return f"its column {name} differs from its body"
    if columns[-1] != before.hash:
        return "its prev is not the hash of the fact before"
    return ""


def _duplicate(connection: LedgerConnection) -> Problem | None:
    found: list[Problem] = []
    for statement, name in (("verify_event_ids", "event id"), ("verify_keys", "idempotency key")):
        try:
            row = connection.execute(SQL[statement]).fetchone()
        except sqlite3.Error as error:
            return Problem(None, f"the file's structure is damaged: {error}")
        if row is not None:
            found.append(Problem(row[0], f"its {name} was used before"))
    return min(found, key=lambda problem: problem.seq or 0, default=None)


def _damaged_file(connection: LedgerConnection) -> Problem | None:
    """Damage that no fact shows: pages, indexes, and the guards that keep the ledger append-only."""
    try:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            return Problem(None, f"the file's structure is damaged: {verdict.splitlines()[-1]}")
        present = _schema(connection)
    except sqlite3.Error as error:
        return Problem(None, f"the file's structure is damaged: {error}")
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(schema_sql())
        for name, sql in _schema(model).items():
            if present.get(name) != sql:
                return Problem(None, f"the file's {name} is missing or was changed")
    return None


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        ).fetchall()
    )
