"""What rally asks of a ledger, whatever keeps it: `SqliteLedger` a file, `MemoryLedger` a process.

A ledger is totally ordered, append-only and hash-chained (contract R3). The only write is a
conditional append: it names the head that the decision saw, and fails when somebody was faster. Any
number of writers agree through that alone (optimistic lock, as event stores have it).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rally.model.fact import GENESIS, Fact


class Head(NamedTuple):
    """The newest fact's place and hash; `EMPTY_HEAD` before the first."""

    seq: int
    hash: str


EMPTY_HEAD = Head(0, GENESIS)


# Nine digits more than any ledger has facts; a longer number is an id that does not exist.
_SEQ_DIGITS_MAX = 18


def is_seq(asked: str) -> bool:
    """Whether an id is a seq in decimal digits, and no event id."""
    return asked.isascii() and asked.isdigit() and len(asked) <= _SEQ_DIGITS_MAX


class HeadMoved(Exception):
    """Somebody else appended first. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuery:
    """Which facts; every condition that is given must hold.

    Attributes:
        kinds: any of these kinds; empty: every kind.
        exclude_kinds: none of these kinds.
        tool: written by this tool.
        not_tool: not written by this tool.
        run: of this run.
        step: of this step.
        target: addressed to this tool (or to `all`, when that is what is given).
        since_seq: after this seq, exclusive.
        until_seq: up to this seq, inclusive; None: to the end.
        newest_first: descending instead of ascending order of seq.
        limit: at most so many matches, the first in the order chosen; None: all. `count` ignores
            it.
        hide_retracted: leave out what a retract fact refers to (the retract fact itself stays).
            An untrusted one hides nothing.
        where: a further condition in Python. It is called in the order of the answer, and no longer
            once `limit` facts have matched.
    """

    kinds: frozenset[str] = frozenset()
    exclude_kinds: frozenset[str] = frozenset()
    tool: str | None = None
    not_tool: str | None = None
    run: str | None = None
    step: str | None = None
    target: str | None = None
    since_seq: int = 0
    until_seq: int | None = None
    newest_first: bool = False
    limit: int | None = None
    hide_retracted: bool = False
    where: Callable[[Fact], bool] | None = None


class Ledger(Protocol):
    """The ledger of one room.

    Every method may raise `Failure` (`busy`, `corrupt-ledger`, `disk-full`, `unavailable`,
    `unwritable`). Where a method takes `before_seq` it answers as of the moment just before that
    fact: neither facts nor retractions from `before_seq` on count.
    """

    async def head(self) -> Head:
        """The newest fact's place and hash, other processes' commits included."""
        ...

    async def append(self, facts: Sequence[Fact]) -> None:
        """Add facts behind the head that they were sealed for, all or none, durable on return.

        Args:
            facts: consecutive and chained; may be empty. The first one's seq and prev are the head
                that is expected.

        Raises:
            HeadMoved: the head is another one. Nothing was written.
            Failure: nothing was written, as far as this process can know; the next `head` tells.
        """
        ...

    async def tail(self, after_seq: int, limit: int) -> list[Fact]:
        """The facts that follow `after_seq`, ascending, at most `limit`.

        Raises:
            Failure: `corrupt-ledger`, when the next fact is missing or cannot be read: a reader
                never skips one and goes on.
        """
        ...

    async def by_id(self, ids: Collection[str]) -> dict[str, Fact]:
        """Facts by event id or decimal seq, keyed by what was asked; unknown ones are absent."""
        ...

    async def by_key(self, keys: Collection[str]) -> dict[str, Fact]:
        """Facts by idempotency key; unknown ones are absent."""
        ...

    async def about(self, event_id: str, *, before_seq: int | None = None) -> list[Fact]:
        """The facts whose `ref` is this event id, ascending."""
        ...

    async def landings(
        self, pairs: Collection[tuple[str, str]], *, before_seq: int | None = None
    ) -> dict[tuple[str, str], list[str]]:
        """The event ids, oldest first, of each (run, step)'s artifacts that nothing retracted.

        Every pair that was asked is a key; a step that has not landed has an empty list. Untrusted
        facts neither land a step nor retract anything (contract T3).
        """
        ...

    async def retracted(self, ids: Collection[str]) -> set[str]:
        """Those of these event ids that a retract fact, not an untrusted one, refers to."""
        ...

    async def run_facts(self, run: str) -> list[Fact]:
        """All facts of a run, ascending, retracted ones and retract facts included."""
        ...

    async def select(self, query: FactQuery) -> list[Fact]:
        """The facts that match."""
        ...

    async def count(self, query: FactQuery) -> int:
        """How many facts match, whatever the query's `limit`."""
        ...

    async def close(self) -> None:
        """Let go of files and threads; closing again does nothing."""
        ...
