"""Real rooms under a clock of the test's own: two processes' worth of doors to one ledger."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable
from itertools import count
from typing import Any, TypeVar

from rally.facilitation.history import gather
from rally.facilitation.ledger.memory import MemoryLedger, MemoryStore
from rally.facilitation.ledger.port import Ledger
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.places import find_place
from rally.facilitation.rooms import operation
from rally.facilitation.service import RoomService
from rally.facilitation.state.dump import dump, load
from rally.facilitation.state.fold import fold
from rally.facilitation.state.past import wants_of
from rally.facilitation.state.room import RoomState

T = TypeVar("T")
Doc = dict[str, Any]

EPOCH_MS = 1_700_000_000_000


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.ms = EPOCH_MS

    def now_ms(self) -> int:
        return self.ms

    def advance(self, ms: int) -> None:
        """Let time pass; a negative number is a clock that was set back."""
        self.ms += ms


class MemoryRoom:
    """Two services on one ledger in memory."""

    def __init__(self, clock: FakeClock) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = clock
        self.root = tempfile.mkdtemp(prefix="rally-core-")
        self.place = find_place(self.root)
        self.ids = count(1)
        self.store = MemoryStore()
        self.ledger: Ledger = MemoryLedger(self.store)
        self.services = [self._service() for _ in range(2)]

    def run(self, work: Awaitable[T]) -> T:
        """Carry out something asynchronous."""

        async def await_it() -> T:
            return await work

        return self.loop.run_until_complete(await_it())

    def _service(self) -> RoomService:
        service = RoomService(
            self.root, MemoryLedger(self.store), clock=self.clock, cache=None,
            new_id=lambda kind: f"{kind}-{next(self.ids)}x",
        )  # fmt: skip
        self.run(service.start())
        return service

    def call(self, door: int, op: str, params: Doc) -> Reply:
        """One operation through one of the doors."""
        service = self.services[door % len(self.services)]
        return self.run(operation(op)(Ask(service, self.place, params)))

    def tail(self, after_seq: int) -> list[Doc]:
        """The facts after a seq, as plain dictionaries."""
        return [fact.doc for fact in self.run(self.ledger.tail(after_seq, 10_000))]

    def reopen(self, door: int) -> None:
        """A process ends and another one begins."""
        self.services[door % len(self.services)] = self._service()

    def kept_state(self, door: int) -> bytes:
        """What a service holds, once it has seen everything."""
        service = self.services[door % len(self.services)]
        self.run(service.read(lambda _: None))
        return dump(service.state)

    def folded(self, kept: bytes | None = None) -> bytes:
        """The state folded from all facts, or from those after a kept state, one at a time."""
        return self.run(self._fold(kept))

    async def _fold(self, kept: bytes | None) -> bytes:
        state = load(kept) if kept is not None else RoomState()
        for fact in await self.ledger.tail(state.head_seq, 10_000):
            past = await gather(self.ledger, wants_of([fact]), before_seq=fact.seq)
            fold(state, fact, past)
        return dump(state)

    def close(self) -> None:
        """Let go of everything."""
        for service in self.services:
            self.run(service.close())
        self.loop.close()
        shutil.rmtree(self.root)
