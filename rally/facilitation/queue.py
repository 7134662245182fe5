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
        return [
            entry
            for place, entry in enumerate(self.entries)
            if entry.called is None
            and not entry.granted.done()
            and not leases.conflicts(state, entry.wanted, now_ms=now_ms)
            and not any(leases.collide(entry.wanted, one.wanted) for one in self.entries[:place])
        ]

    def overtakes(self, entry: Waiting) -> bool:
        """Whether somebody who came earlier waits for what this one wants."""
        place = self.entries.index(entry) if entry in self.entries else len(self.entries)
        return any(
            leases.collide(entry.wanted, other.wanted)
            and not leases.owns(other.wanted, *entry.party)
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
            if leases.owns(entry.wanted, *last):
                return trail
            if last in seen:
                continue
            seen.add(last)
            for index, waiting in enumerate(self.entries):
                if leases.owns(waiting.wanted, *last):
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
            is_own = leases.owns(other.wanted, *entry.party)
            if not is_own and leases.collide(entry.wanted, other.wanted):
                yield other.party


def _name(party: Party) -> str:
    return f"{party[0]}#{party[1]}" if party[1] else party[0]
