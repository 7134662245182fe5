"""Real rooms under a clock of the test's own: two doors, as of two processes, to one ledger."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from itertools import count
from typing import Any, TypeVar

from rally.facilitation.history import gather
from rally.facilitation.ledger.memory import MemoryLedger, MemoryStore
from rally.facilitation.ledger.port import Ledger
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.places import find_place
from rally.facilitation.rooms import Rooms, operation
from rally.facilitation.service import RoomService
from rally.facilitation.state.claim_index import ClaimIndex
from rally.facilitation.state.dump import dump, load
from rally.facilitation.state.fold import fold
from rally.facilitation.state.past import wants_of
from rally.facilitation.state.room import RoomState
from rally.model.fact import Fact

T = TypeVar("T")
Doc = dict[str, Any]

EPOCH_MS = 1_700_000_000_000
DOORS = 2


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.ms = EPOCH_MS

    def now_ms(self) -> int:
        return self.ms

    def advance(self, ms: int) -> None:
        """Let time pass; a negative number is a clock that was set back."""
        self.ms += ms


class Room:
    """What both kinds of room share. The machine is synchronous, so the loop is driven from here."""

    def __init__(self, clock: FakeClock) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = clock
        self.root = tempfile.mkdtemp(prefix="rally-core-")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out something asynchronous."""
        return self.loop.run_until_complete(work)

    def service(self, door: int) -> RoomService:
        """The service behind a door."""
        raise NotImplementedError

    async def carry_out(self, door: int, op: str, params: Doc) -> Reply:
        """One operation through one of the doors."""
        raise NotImplementedError

    def reopen(self, door: int) -> None:
        """A process ends and another one begins."""
        raise NotImplementedError

    def call(self, door: int, op: str, params: Doc) -> Reply:
        """`carry_out`, waited for."""
        return self.run(self.carry_out(door, op, params))

    def all_at_once(self, wishes: list[tuple[int, Doc]]) -> list[Reply | BaseException]:
        """Several `say`, begun together; answers and errors in their order."""

        async def together() -> list[Reply | BaseException]:
            work = [self.carry_out(door, "say", params) for door, params in wishes]
            return await asyncio.gather(*work, return_exceptions=True)

        return self.run(together())

    def tail(self, after_seq: int) -> list[Doc]:
        """The facts after a seq, as plain dictionaries."""
        return [fact.doc for fact in self.run(self.service(0).ledger.tail(after_seq, 10_000))]

    def kept_state(self, door: int) -> bytes:
        """What a service holds, once it has seen everything."""
        service = self.service(door)
        self.run(service.read(lambda _: None))
        assert picture(load(dump(service.state))) == picture(service.state), "a checkpoint forgets"
        return dump(service.state)

    def folded(self, kept: bytes | None = None) -> bytes:
        """The state folded from all facts, or from those after a kept state, one at a time."""
        return self.run(_fold(self.service(0).ledger, kept))

    def close(self) -> None:
        """Let go of everything."""
        self.loop.close()
        shutil.rmtree(self.root)


async def _fold(ledger: Ledger, kept: bytes | None) -> bytes:
    state = load(kept) if kept is not None else RoomState()
    for fact in await ledger.tail(state.head_seq, 10_000):
        past = await gather(ledger, wants_of([fact]), before_seq=fact.seq)
        fold(state, fact, past)
    return dump(state)


def picture(thing: Any) -> Any:
    """Everything that a state knows, indexes included, as plain values; caches are left out."""
    if isinstance(thing, Fact):
        return thing.event_id
    if isinstance(thing, ClaimIndex):
        return dict(thing.items())
    if isinstance(thing, dict):
        return {key: picture(value) for key, value in thing.items() if value != {}}
    if isinstance(thing, list | tuple | set | str | int | None):
        return thing
    return {name: picture(getattr(thing, name)) for name in thing.__slots__ if name != "renew_at"}


class MemoryRoom(Room):
    """Two services on one ledger in memory."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.place = find_place(self.root)
        self.ids = count(1)
        self.store = MemoryStore()
        self.services = [self._service() for _ in range(DOORS)]

    def _service(self) -> RoomService:
        service = RoomService(
            self.root, MemoryLedger(self.store), clock=self.clock, cache=None,
            new_id=lambda kind: f"{kind}-{next(self.ids)}x",
        )  # fmt: skip
        self.run(service.start())
        return service

    def service(self, door: int) -> RoomService:
        return self.services[door % DOORS]

    async def carry_out(self, door: int, op: str, params: Doc) -> Reply:
        return await operation(op)(Ask(self.service(door), self.place, params))

    def reopen(self, door: int) -> None:
        self.run(self.service(door).close())
        self.services[door % DOORS] = self._service()

    def close(self) -> None:
        for service in self.services:
            self.run(service.close())
        super().close()


class DiskRoom(Room):
    """Two `Rooms` on one folder: SQLite, checkpoints, and the whole way in."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.rooms = [Rooms(clock=clock) for _ in range(DOORS)]
        self.env = {"XDG_STATE_HOME": f"{self.root}/state", "HOME": self.root}
        self.call(0, "init", {})

    def service(self, door: int) -> RoomService:
        rooms = self.rooms[door % DOORS]
        return self.run(rooms.service(self.root, create=False, env=self.env))

    async def carry_out(self, door: int, op: str, params: Doc) -> Reply:
        rooms = self.rooms[door % DOORS]
        return await rooms.call(op, params, cwd=self.root, env=self.env)

    def all_at_once(self, wishes: list[tuple[int, Doc]]) -> list[Reply | BaseException]:
        """Begun together behind each door, and the doors one after the other.

        Which of two connections comes first is the machine's affair, so an example would not be the
        same when it is played again; races between processes have tests of their own.
        """
        answers: dict[int, Reply | BaseException] = {}
        for door in range(DOORS):
            places = [n for n, (at, _) in enumerate(wishes) if at % DOORS == door]
            found = super().all_at_once([wishes[n] for n in places])
            answers.update(zip(places, found, strict=True))
        return [answers[n] for n in range(len(wishes))]

    def keep_checkpoint(self, door: int) -> None:
        """Save what was folded so far, for the next one to start from."""
        self.service(door).keep_checkpoint(at_least=1)

    def reopen(self, door: int) -> None:
        self.run(self.rooms[door % DOORS].close())
        self.rooms[door % DOORS] = Rooms(clock=self.clock)

    def close(self) -> None:
        for rooms in self.rooms:
            self.run(rooms.close())
        super().close()
