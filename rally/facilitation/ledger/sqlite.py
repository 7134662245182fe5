"""The ledger in one SQLite file, through aiosqlite.

Three connections, because three things must not wait for each other:

- the *writer* appends and answers what decisions need (ids, keys, landings): short, indexed reads;
- the *reader* is opened by the first question about history (`select`, `count`, `run_facts`). In
  WAL mode a reader never blocks the writer, so a search through a million facts delays no append.
  It reads in chunks, each a statement of its own, and so keeps no snapshot that would let the log
  grow;
- the *glance* belongs to the event loop's own thread and reads the head, and nothing else, there.
  That takes 2 µs; carrying the question to a thread and back takes 90. It never waits: where the
  file is locked for a moment (a recovery after a crash), the writer's thread is asked instead.

No connection keeps a transaction open between calls.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import aiosqlite
import orjson

from rally.facilitation.ledger.background import start
from rally.facilitation.ledger.connection import (
    BUSY_TIMEOUT_S,
    Identity,
    LedgerConnection,
    open_connection,
)
from rally.facilitation.ledger.failures import as_failure, damaged, is_constraint
from rally.facilitation.ledger.port import EMPTY_HEAD, FactQuery, Head, HeadMoved, is_seq
from rally.facilitation.ledger.selection import SEQ_MAX, bounds, count_sql, select_sql
from rally.facilitation.ledger.soundness import (
    Sample,
    Stamp,
    look_at,
    sample_anew,
    take_sample,
)
from rally.facilitation.ledger.statements import SQL
from rally.model.errors import Failure
from rally.model.fact import Fact, from_body

# Decoding so many facts keeps the event loop for about a millisecond.
CHUNK_FACTS = 256


class SqliteLedger:
    """A `Ledger` kept in a file; use `open`."""

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, identity: Identity, sample: Sample
    ) -> None:
        self._path = path
        self._writer = writer
        self._identity = identity
        self._sample = sample
        # As the file was when it was last found sound; None: look before the first answer.
        self._sound: Stamp | None = None
        self._damage: Failure | None = None
        self._examining = asyncio.Lock()
        self._reader: aiosqlite.Connection | None = None
        self._reader_lock = asyncio.Lock()
        self._glance: LedgerConnection | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: str | PathLike[str], create: bool = False) -> SqliteLedger:
        """Open the ledger at `path`.

        Args:
            create: make an empty one where there is none; its folder must exist.

        Raises:
            Failure: as `open_connection` says.
        """
        file = Path(path)
        samples: list[Sample] = []

        def open_sound() -> LedgerConnection:
            connection = open_connection(file, create=create)
            try:
                samples.append(take_sample(connection, file))
            except BaseException:
                connection.close()
                raise
            return connection

        before = look_at(file)
        writer, identity = await start(open_sound)
        ledger = cls(file, writer, identity, samples[-1])
        if before is not None and before.identity == identity:
            ledger._sound = before.stamp
        return ledger

    def identity(self) -> Identity:
        """Device and inode of the file that was opened; another file may have its name by now."""
        return self._identity

    def is_replaced(self) -> bool:
        """Whether the ledger's file was deleted, moved or replaced since it was opened."""
        found = look_at(self._path)
        return found is None or found.identity != self._identity

    async def head(self) -> Head:
        """See `Ledger.head`.

        Raises:
            Failure: also `corrupt-ledger`, when the file was overwritten since it was opened.
        """
        await self._see_to_soundness()
        rows = self._glance_at_head()
        if rows is None:
            rows = await self._rows(self._writer, SQL["head"])
        return Head(*rows[0]) if rows else EMPTY_HEAD

    async def append(self, facts: Sequence[Fact]) -> None:
        """See `Ledger.append`.

        Raises:
            Failure: also `unavailable`, when the file has been deleted or replaced: what was
                written then is in no ledger.
        """
        if not facts:
            return
        try:
            await self._writer.executemany(SQL["append"], [_row(fact) for fact in facts])
        except sqlite3.Error as error:
            if not is_constraint(error):
                raise as_failure(error, self._path) from error
            raise await self._refusal(facts) from None
        # Asked after the commit: from then on a deletion comes after the acknowledgement.
        if self.is_replaced():
            raise self._gone()
        await self._see_to_soundness()

    async def _see_to_soundness(self) -> None:
        """Look into a file that was touched since it was last found sound.

        Damage is final for this ledger, whatever is written over the file later: what SQLite holds
        in memory and in its log belongs to the file as it was.

        Raises:
            Failure: `corrupt-ledger`.
        """
        if self._damage is not None:
            raise self._damage.with_traceback(None)  # it would grow with each raise
        found = look_at(self._path)
        if found is None or found.identity != self._identity or found.stamp == self._sound:
            return  # a file that was replaced is not this one: `append` refuses it
        async with self._examining:
            found = look_at(self._path)
            if found is None or found.identity != self._identity or found.stamp == self._sound:
                return
            try:
                self._sample = await asyncio.to_thread(sample_anew, self._path, self._sample)
            except Failure as failure:
                if failure.code == "corrupt-ledger":
                    self._damage = failure
                raise
            self._sound = found.stamp

    async def _refusal(self, facts: Sequence[Fact]) -> Exception:
        """Why the guards refused these facts."""
        head = await self.head()
        if head != (facts[0].seq - 1, facts[0].prev):
            return HeadMoved()
        ((newest,),) = await self._rows(self._writer, SQL["newest_ever"])
        if newest > head.seq:
            return damaged(self._path, f"fact {head.seq + 1} is missing")
        return Failure(
            "internal",
            f"{self._path} refused fact {facts[0].seq} or one after it: the chain is broken, "
            "or an event id or key is taken",
            hint="rally verify",
        )

    async def tail(self, after_seq: int, limit: int) -> list[Fact]:
        """See `Ledger.tail`."""
        rows = await self._rows(self._writer, SQL["tail"], {"after": after_seq, "limit": limit})
        for expected, row in enumerate(rows, start=after_seq + 1):
            if row[0] != expected:
                raise damaged(self._path, f"fact {expected} is missing")
        return self._facts(rows)

    async def by_id(self, ids: Collection[str]) -> dict[str, Fact]:
        """See `Ledger.by_id`."""
        rows: list[Any] = []
        seqs = {asked: int(asked) for asked in ids if is_seq(asked)}
        named = [asked for asked in ids if asked not in seqs]
        if named:
            rows += await self._rows(self._writer, SQL["by_event_id"], {"ids": _json(named)})
        if seqs:
            numbers = _json(list(seqs.values()))
            found = await self._rows(self._writer, SQL["by_seq"], {"seqs": numbers})
            by_seq = {row[0]: row for row in found}
            rows += [(asked, *by_seq[seq][1:]) for asked, seq in seqs.items() if seq in by_seq]
        return self._keyed(rows)

    async def by_key(self, keys: Collection[str]) -> dict[str, Fact]:
        """See `Ledger.by_key`."""
        if not keys:
            return {}
        return self._keyed(
            await self._rows(self._writer, SQL["by_key"], {"keys": _json(list(keys))})
        )

    async def about(self, event_id: str, *, before_seq: int | None = None) -> list[Fact]:
        """See `Ledger.about`."""
        values = {"event_id": event_id, "before": _before(before_seq)}
        return self._facts(await self._rows(self._writer, SQL["about"], values))

    async def landings(
        self, pairs: Collection[tuple[str, str]], *, before_seq: int | None = None
    ) -> dict[tuple[str, str], list[str]]:
        """See `Ledger.landings`."""
        found: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
        if found:
            values = {"pairs": _json(list(found)), "before": _before(before_seq)}
            for run, step, event_id in await self._rows(self._writer, SQL["landings"], values):
                found[run, step].append(event_id)
        return found

    async def retracted(self, ids: Collection[str]) -> set[str]:
        """See `Ledger.retracted`."""
        if not ids:
            return set()
        rows = await self._rows(self._writer, SQL["retracted"], {"ids": _json(list(ids))})
        return {row[0] for row in rows}

    async def run_facts(self, run: str) -> list[Fact]:
        """See `Ledger.run_facts`."""
        return await self.select(FactQuery(run=run))

    async def select(self, query: FactQuery) -> list[Fact]:
        """See `Ledger.select`."""
        found: list[Fact] = []
        if query.limit is not None and query.limit <= 0:
            return found

        def enough(fact: Fact) -> bool:
            found.append(fact)
            return len(found) == query.limit

        await self._visit(query, enough)
        return found

    async def count(self, query: FactQuery) -> int:
        """See `Ledger.count`."""
        if query.where is None:
            sql, values = count_sql(query)
            after, before = bounds(query)
            rows = await self._rows(
                await self._history(), sql, {**values, "after": after, "before": before}
            )
            return int(rows[0][0])
        number = 0

        def counted(_fact: Fact) -> bool:
            nonlocal number
            number += 1
            return False

        await self._visit(query, counted)
        return number

    async def close(self) -> None:
        """See `Ledger.close`. The last connection of all processes folds the log into the file."""
        if self._closed:
            return
        self._closed = True
        if self._glance is not None:
            self._glance.close()
        async with self._reader_lock:
            if self._reader is not None:
                await self._reader.close()
        await self._writer.close()

    async def _visit(self, query: FactQuery, enough: Callable[[Fact], bool]) -> None:
        """Call `enough` with each match, in order, until it says yes or there are no more."""
        reader = await self._history()
        sql, values = select_sql(query)
        after, before = bounds(query)
        size = CHUNK_FACTS
        if query.where is None and query.limit is not None:
            size = min(size, query.limit)
        while True:
            rows = await self._rows(
                reader, sql, {**values, "after": after, "before": before, "size": size}
            )
            for fact in self._facts(rows):
                if (query.where is None or query.where(fact)) and enough(fact):
                    return
            if len(rows) < size:
                return
            if query.newest_first:
                before = rows[-1][0]
            else:
                after = rows[-1][0]

    async def _history(self) -> aiosqlite.Connection:
        async with self._reader_lock:
            if self._closed:
                raise ValueError("the ledger is closed")
            if self._reader is None:
                self._reader, _ = await start(partial(self._open_same, BUSY_TIMEOUT_S))
            return self._reader

    def _open_same(self, timeout_s: float) -> LedgerConnection:
        """One more connection, to the very file that the writer has open."""
        connection = open_connection(self._path, timeout_s=timeout_s)
        if connection.identity != self._identity:
            connection.close()
            raise self._gone()
        return connection

    def _gone(self) -> Failure:
        return Failure(
            "unavailable",
            f"{self._path} was deleted or replaced while it was in use",
            hint="run the command again",
        )

    def _glance_at_head(self) -> list[Any] | None:
        """The head's row, read at once in this thread; None when that needs waiting or fails."""
        try:
            if self._glance is None and not self._closed:
                self._glance = self._open_same(0.0)
            return None if self._glance is None else self._glance.execute(SQL["head"]).fetchall()
        except (Failure, sqlite3.Error):
            return None  # the writer meets the same and says so in full

    async def _rows(
        self, connection: aiosqlite.Connection, sql: str, values: dict[str, Any] | None = None
    ) -> list[Any]:
        try:
            return list(await connection.execute_fetchall(sql, values or {}))
        except sqlite3.Error as error:
            raise as_failure(error, self._path) from error

    def _facts(self, rows: Iterable[Any]) -> list[Fact]:
        return [self._fact(*row) for row in rows]

    def _keyed(self, rows: Iterable[Any]) -> dict[Any, Fact]:
        return {row[0]: self._fact(*row) for row in rows}

    def _fact(self, name: object, digest: str, body: bytes) -> Fact:
        try:
            return from_body(body, digest)
        except (TypeError, ValueError):
            raise damaged(self._path, f"fact {name} cannot be read") from None


def _row(fact: Fact) -> tuple[Any, ...]:
    get = fact.doc.get
    return (
        fact.seq, fact.event_id, fact.kind, fact.tool, get("run"), get("step"), get("ref"),
        get("key"), get("target"), fact.prev, fact.hash, fact.body,
    )  # fmt: skip


def _json(values: list[Any]) -> str:
    return orjson.dumps(values).decode()


def _before(before_seq: int | None) -> int:
    return SEQ_MAX if before_seq is None else before_seq
