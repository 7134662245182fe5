"""The queue of claims that wait (contract C8): order of arrival, and no circle of waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.intake import Asked
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim, Waiter
from rally.facilitation.state.room import RoomState
from rally.model.errors import Refused
from rally.model.paths import overlap

Party = tuple[str, str | None]


@dataclass(slots=True, eq=False)
class Waiting:
    """One claim in the queue.

    Attributes:
        decide: grants the claim; answers an `Outcome`, or raises what refuses it.
        called: the writer is deciding it now.
        granted: gets the answer of the claim, or the error that ended it.
    """

    asked: Asked
    decide: Callable[[Context], Any]
    wanted: Claim
    shown: Waiter
    called: asyncio.Future[Any] | None = None
    granted: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def party(self) -> Party:
        return (self.asked.tool, self.asked.session_id)


class ClaimQueue:
    """Claims of this process that wait, in order of arrival."""

    def __init__(self) -> None:
        self.entries: list[Waiting] = []

    def join(self, state: RoomState, entry: Waiting, now_ms: int) -> None:
        """Take a place at the end (or keep the one it has).

        Raises:
            Refused: `deadlock`, when those it would wait for wait for it; it took no place.
        """
        if entry in self.entries:
            return
        cycle = self._cycle(state, entry, now_ms)
        if cycle is not None:
            names = " → ".join(_name(party) for party in cycle)
            raise Refused(
                "deadlock",
                f"waiting would close a circle: {names}",
                hint="release what the others wait for, then claim everything at once",
                details={"cycle": [_name(party) for party in cycle]},
            )
        self.entries.append(entry)

    def leave(self, entry: Waiting) -> None:
        """Give up the place."""
        if entry in self.entries:
            self.entries.remove(entry)

    def grantable(self, state: RoomState, now_ms: int) -> list[Waiting]:
        """Those whose turn it is: nothing live is in the way, and nobody earlier wants the same."""
        ready: list[Waiting] = []
        earlier: list[Waiting] = []
        for entry in self.entries:
            if entry.called is not None or entry.granted.done():
                earlier.append(entry)
                continue
            blocked = leases.conflicts(state, entry.wanted, now_ms=now_ms)
            if not blocked and not any(_collide(entry, other) for other in earlier):
                ready.append(entry)
            earlier.append(entry)
        return ready

    def overtakes(self, entry: Waiting) -> bool:
        """Whether somebody who came earlier waits for what this one wants."""
        place = self.entries.index(entry) if entry in self.entries else len(self.entries)
        return any(
            _collide(entry, other) and not _same(other.party, entry.party)
            for other in self.entries[:place]
        )

    def next_lapse_ms(self, state: RoomState, now_ms: int) -> int | None:
        """When the first lease that somebody waits for is over."""
        ends = [
            holding.claim.expires_ms
            for entry in self.entries
            for holding in leases.conflicts(state, entry.wanted, now_ms=now_ms)
        ]
        return min(ends, default=None)

    def _cycle(self, state: RoomState, entry: Waiting, now_ms: int) -> list[Party] | None:
        """The circle that would come into being: parties from the caller back to the caller."""
        stack: list[list[Party]] = [
            [entry.party, other] for other in self._waits_for(state, entry, self.entries, now_ms)
        ]
        seen: set[Party] = set()
        while stack:
            trail = stack.pop()
            last = trail[-1]
            if _same(last, entry.party):
                return trail
            if last in seen:
                continue
            seen.add(last)
            for index, waiting in enumerate(self.entries):
                if _same(waiting.party, last):
                    ahead = self.entries[:index]
                    stack += [
                        [*trail, other] for other in self._waits_for(state, waiting, ahead, now_ms)
                    ]
        return None

    def _waits_for(
        self, state: RoomState, entry: Waiting, ahead: list[Waiting], now_ms: int
    ) -> Iterator[Party]:
        for holding in leases.conflicts(state, entry.wanted, now_ms=now_ms):
            yield (holding.claim.tool, holding.claim.session_id)
        for other in ahead:
            if _collide(entry, other) and not _same(other.party, entry.party):
                yield other.party


def _same(a: Party, b: Party) -> bool:
    return a[0] == b[0] and (not a[1] or not b[1] or a[1] == b[1])


def _name(party: Party) -> str:
    return f"{party[0]}#{party[1]}" if party[1] else party[0]


def _collide(a: Waiting, b: Waiting) -> bool:
    """Whether two wishes could not both be granted."""
    if a.wanted.shared and b.wanted.shared:
        return False
    step = leases.step_of(a.wanted)
    return (
        any(overlap(x, y) for x in a.wanted.paths for y in b.wanted.paths)
        or not set(a.wanted.resources).isdisjoint(b.wanted.resources)
        or (step is not None and step == leases.step_of(b.wanted))
    )
