"""Proof that the history is whole, computed anew from the ledger every time (contract R3).

Nothing that an earlier run or a cache said is used: every body is hashed, every link followed,
every column compared with the body that it repeats, and SQLite checks its own pages and indexes.
Facts are read in chunks: a million of them take no more memory than a thousand.
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
from rally.facilitation.ledger.failures import as_failure, is_busy
from rally.facilitation.ledger.port import EMPTY_HEAD, Head
from rally.facilitation.ledger.selection import SEQ_MAX
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
        facts: how many facts the file holds, as far as it can be read.
        head: the newest of them, 0 when there is none.
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
        try:
            return _examine(connection, path)
        except sqlite3.Error as error:
            raise as_failure(error, path) from error


def _examine(connection: LedgerConnection, path: Path) -> VerifyReport:
    # Asked first: facts that are appended from here on can only make the chain longer than this.
    newest, _ = _ask(connection, SQL["newest_ever"])
    whole, problem = follow_chain(connection)
    if problem is None and newest and whole.seq < newest[0]:
        problem = Problem(whole.seq + 1, f"it is missing; {newest[0]} facts have been written")
    problem = problem or _duplicate(connection) or _damaged_file(connection)
    if problem is None:
        return VerifyReport(str(path), whole.seq, whole.seq, whole.hash, whole.seq, None)
    whole_until = whole.seq if problem.seq is None else min(whole.seq, problem.seq - 1)
    total, _ = _ask(connection, SQL["verify_total"])
    last, _ = _ask(connection, SQL["head"])
    head = Head(*last) if last else whole
    facts = total[0] if total else whole.seq
    return VerifyReport(str(path), facts, head.seq, head.hash, whole_until, problem)


def _ask(connection: LedgerConnection, sql: str) -> tuple[tuple[Any, ...] | None, str]:
    """The first row, None when there is none, and the damage that kept it from being read.

    Raises:
        sqlite3.Error: when another process is in the way; that says nothing about the file.
    """
    try:
        return connection.execute(sql).fetchone(), ""
    except sqlite3.Error as error:
        return None, _damage(error)


def _damage(error: sqlite3.Error) -> str:
    if is_busy(error):
        raise error
    return f"the file's structure is damaged: {error}"


def follow_chain(
    connection: LedgerConnection, *, facts_max: int | None = None
) -> tuple[Head, Problem | None]:
    """The last fact up to which all is whole, and what is wrong with the next.

    Args:
        facts_max: look at no more facts than these; None: at all.

    Raises:
        sqlite3.Error: another process is in the way; that says nothing about the file.
    """
    head = EMPTY_HEAD
    try:
        for row in _rows(connection):
            if head.seq == facts_max:
                return head, None
            what = _flaw(row, head)
            if what:
                return head, Problem(head.seq + 1, what)
            head = Head(row[0], row[-2])
    except sqlite3.Error as error:
        return head, Problem(head.seq + 1, f"it cannot be read: {_damage(error)}")
    return head, None


def _rows(connection: LedgerConnection) -> Iterator[Any]:
    after = -SEQ_MAX
    more = True
    while more:
        more = False
        # Row by row: what stands before an unreadable page is still read.
        for row in connection.execute(SQL["verify_rows"], {"after": after, "limit": _CHUNK_FACTS}):
            yield row
            more = True
            after = row[0]


def _flaw(row: tuple[Any, ...], before: Head) -> str:
    """What is wrong with a row that should follow `before`; empty when nothing is."""
    *columns, digest, body = row
    if columns[0] != before.seq + 1:
        return f"it is missing; the next fact in the file has seq {columns[0]}"
    if not isinstance(body, bytes) or sha256(body).hexdigest() != digest:
        return "its hash is not the hash of its body"
    doc = _object(body)
    if doc is None:
        return "its body is not a JSON object"
    for name, column in zip(_MIRRORED, columns, strict=True):
        if column != doc.get(name) or (column is None and name in _REQUIRED):
            return f"its column {name} differs from its body"
    return "" if columns[-1] == before.hash else "its prev is not the hash of the fact before"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        doc = orjson.loads(body)
    except ValueError:
        return None
    return doc if isinstance(doc, dict) else None


def _duplicate(connection: LedgerConnection) -> Problem | None:
    found: list[Problem] = []
    for statement, name in (("verify_event_ids", "event id"), ("verify_keys", "idempotency key")):
        row, damage = _ask(connection, SQL[statement])
        if damage:
            return Problem(None, damage)
        if row is not None:
            found.append(Problem(row[0], f"its {name} was used before"))
    return min(found, key=lambda problem: problem.seq or 0, default=None)


def _damaged_file(connection: LedgerConnection) -> Problem | None:
    """Damage that no fact shows: pages, indexes, and the guards that refuse change."""
    verdict, damage = _ask(connection, "PRAGMA integrity_check(1)")
    if verdict is not None and verdict[0] != "ok":
        # SQLite puts a heading above what it found in a table.
        damage = f"the file's structure is damaged: {verdict[0].strip().splitlines()[-1]}"
    if damage:
        return Problem(None, damage)
    present = _schema(connection)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(schema_sql())
        for name, sql in _schema(model).items():
            if present.get(name) != sql:
                return Problem(None, f"the file's {name} is missing or was changed")
    return None


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).fetchall()
    )
