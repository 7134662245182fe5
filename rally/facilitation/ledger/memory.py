"""The ledger in memory: the same contract without a file.

It is what a program embeds that needs no durability, and what shows that nothing above the port
depends on SQLite. Handles on one `MemoryStore` behave like processes on one file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rally.facilitation.ledger.port import EMPTY_HEAD, FactQuery, Head, HeadMoved, is_seq
from rally.model.errors import Failure
from rally.model.fact import Fact


class MemoryStore:
    """The facts that several `MemoryLedger` share, and their indexes. `facts[i].seq == i + 1`."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.by_id: dict[str, Fact] = {}
        self.by_key: dict[str, Fact] = {}
        self.by_ref: dict[str, list[Fact]] = {}

    def head(self) -> Head:
        """The newest fact's place and hash."""
        return Head(self.facts[-1].seq, self.facts[-1].hash) if self.facts else EMPTY_HEAD

    def add(self, fact: Fact) -> None:
        """Enter one fact into the indexes."""
        self.facts.append(fact)
        self.by_id[fact.event_id] = fact
        if (key := fact.get("key")) is not None:
            self.by_key[key] = fact
        if fact.ref is not None:
            self.by_ref.setdefault(fact.ref, []).append(fact)

    def is_retracted(self, event_id: str, before_seq: int | None = None) -> bool:
        """Whether a retract fact before `before_seq` refers to this event id."""
        return any(fact.withdraws for fact in self.about(event_id, before_seq))

    def about(self, event_id: str, before_seq: int | None = None) -> list[Fact]:
        """The facts that refer to this event id, ascending."""
        return [fact for fact in self.by_ref.get(event_id, ()) if _is_before(fact, before_seq)]


class MemoryLedger:
    """A `Ledger` kept in a `MemoryStore`."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = store or MemoryStore()

    async def head(self) -> Head:
        """See `Ledger.head`."""
        return self._store.head()

    async def append(self, facts: Sequence[Fact]) -> None:
        """See `Ledger.append`; nothing is durable here."""
        if not facts:
            return
        if self._store.head() != Head(facts[0].seq - 1, facts[0].prev):
            raise HeadMoved
        self._check(facts)
        for fact in facts:
            self._store.add(fact)

    def _check(self, facts: Sequence[Fact]) -> None:
        """What the guards of `schema.sql` refuse."""
        head = self._store.head()
        ids, keys = set(self._store.by_id), set(self._store.by_key)
        for fact in facts:
            key = fact.get("key")
            chained = head == (fact.seq - 1, fact.prev)
            if not chained or fact.event_id in ids or (key is not None and key in keys):
                raise Failure(
                    "internal",
                    f"the ledger refused fact {fact.seq}: the chain is broken, or an event id or "
                    "key is taken",
                    hint="rally verify",
                )
            head = Head(fact.seq, fact.hash)
            ids.add(fact.event_id)
            if key is not None:
                keys.add(key)

    async def tail(self, after_seq: int, limit: int) -> list[Fact]:
        """See `Ledger.tail`."""
        return self._store.facts[after_seq : after_seq + limit]

    async def by_id(self, ids: Collection[str]) -> dict[str, Fact]:
        """See `Ledger.by_id`."""
        found = {}
        for asked in ids:
            if is_seq(asked):
                seq = int(asked)
                if 0 < seq <= len(self._store.facts):
                    found[asked] = self._store.facts[seq - 1]
            elif asked in self._store.by_id:
                found[asked] = self._store.by_id[asked]
        return found

    async def by_key(self, keys: Collection[str]) -> dict[str, Fact]:
        """See `Ledger.by_key`."""
        return {key: self._store.by_key[key] for key in keys if key in self._store.by_key}

    async def about(self, event_id: str, *, before_seq: int | None = None) -> list[Fact]:
        """See `Ledger.about`."""
        return self._store.about(event_id, before_seq)

    async def landings(
        self, pairs: Collection[tuple[str, str]], *, before_seq: int | None = None
    ) -> dict[tuple[str, str], list[str]]:
        """See `Ledger.landings`."""
        found: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
        for fact in self._store.facts:
            pair = (fact.run or "", fact.step or "")
            if (
                fact.kind == "artifact"
                and pair in found
                and fact.has_effect
                and _is_before(fact, before_seq)
                and not self._store.is_retracted(fact.event_id, before_seq)
            ):
                found[pair].append(fact.event_id)
        return found

    async def retracted(self, ids: Collection[str]) -> set[str]:
        """See `Ledger.retracted`."""
        return {event_id for event_id in ids if self._store.is_retracted(event_id)}

    async def run_facts(self, run: str) -> list[Fact]:
        """See `Ledger.run_facts`."""
        return [fact for fact in self._store.facts if fact.run == run]

    async def select(self, query: FactQuery) -> list[Fact]:
        """See `Ledger.select`."""
        found: list[Fact] = []
        if query.limit is not None and query.limit <= 0:
            return found
        for fact in self._matching(query):
            found.append(fact)
            if len(found) == query.limit:
                break
        return found

    async def count(self, query: FactQuery) -> int:
        """See `Ledger.count`."""
        return sum(1 for _ in self._matching(query))

    async def close(self) -> None:
        """See `Ledger.close`; the store stays."""

    def _matching(self, query: FactQuery) -> Iterator[Fact]:
        facts = self._store.facts[max(query.since_seq, 0) : query.until_seq]
        for fact in reversed(facts) if query.newest_first else facts:
            if (
                _has_fields(fact, query)
                and not (query.hide_retracted and self._store.is_retracted(fact.event_id))
                and (query.where is None or query.where(fact))
            ):
                yield fact


def _has_fields(fact: Fact, query: FactQuery) -> bool:
    wanted = (
        (query.tool, fact.tool),
        (query.run, fact.run),
        (query.step, fact.step),
        (query.target, fact.get("target")),
    )
    return (
        (not query.kinds or fact.kind in query.kinds)
        and fact.kind not in query.exclude_kinds
        and (query.not_tool is None or fact.tool != query.not_tool)
        and all(value is None or value == found for value, found in wanted)
    )


def _is_before(fact: Fact, before_seq: int | None) -> bool:
    return before_seq is None or fact.seq < before_seq
