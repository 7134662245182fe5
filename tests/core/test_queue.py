"""The queue of waiting claims at its edges: overtaken, timed out and freed in the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from rally.facilitation.ledger.memory import MemoryLedger, MemoryStore
from rally.facilitation.ledger.port import Head
from rally.facilitation.ops.common import Ask
from rally.facilitation.places import find_place
from rally.facilitation.rooms import operation
from rally.facilitation.service import RoomService
from rally.model.clock import SystemClock
from rally.model.errors import Refused
from rally.model.fact import Fact


class Ledger(MemoryLedger):
    """A ledger at whose doors something can be made to happen first."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.before_head: list[Callable[[], Awaitable[Any]] | None] = []
        self.before_append: list[Callable[[], Awaitable[Any]] | None] = []

    async def head(self) -> Head:
        if self.before_head and (first := self.before_head.pop(0)) is not None:
            await first()
        return await super().head()

    async def append(self, facts: Any) -> None:
        if self.before_append and (first := self.before_append.pop(0)) is not None:
            await first()
        await super().append(facts)


class Process:
    """What one process sees of the room."""

    def __init__(self, root: Path, store: MemoryStore, ids: Any) -> None:
        self.place = find_place(str(root))
        self.ledger = Ledger(store)
        self.service = RoomService(
            str(root), self.ledger, clock=SystemClock(), cache=None,
            new_id=lambda kind: f"{kind}-{next(ids)}x",
        )  # fmt: skip

    async def say(self, tool: str, kind: str, **given: Any) -> dict[str, Any]:
        params = {"kind": kind, "tool": tool, **given}
        answer = await operation("say")(Ask(self.service, self.place, params))
        return answer.data

    def claim(self, tool: str, *paths: str, **given: Any) -> asyncio.Task[dict[str, Any]]:
        """A claim under way."""
        return asyncio.ensure_future(self.say(tool, "claim", paths=list(paths), **given))

    async def waiting(self, *tools: str) -> None:
        """Until the queue is this."""
        queue: list[str] | None = None
        while queue != list(tools):
            data = (await operation("room")(Ask(self.service, self.place, {}))).data
            queue = [entry["tool"] for entry in data["waiting"]]

    def claims(self) -> list[str]:
        """Who was granted a claim, in order."""
        facts: list[Fact] = self.ledger._store.facts
        return [fact.tool for fact in facts if fact.kind == "claim"]


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    store, ids = MemoryStore(), count(1)
    ours, other = Process(tmp_path, store, ids), Process(tmp_path, store, ids)
    await ours.service.start()
    await other.service.start()
    yield ours, other
    await ours.service.close()
    await other.service.close()


async def test_a_waiter_that_another_process_overtook_goes_on_waiting(
    processes: tuple[Process, Process],
) -> None:
    """The path was free for a moment and somebody else took it: that is no reason to give up."""
    ours, other = processes
    await ours.claim("holder", "src")
    waiter = ours.claim("waiter", "src", wait="60s")
    await ours.waiting("waiter")
    await other.say("holder", "release", paths=["src"])

    async def snatch() -> None:
        await other.claim("quick", "src")

    # The queue sees that the path is free, and before the grant is written it is not any more.
    ours.ledger.before_append = [snatch]
    ours.service.writer.poke()
    await ours.service.writer.settle()
    assert not waiter.done()
    await ours.waiting("waiter")

    await other.say("quick", "release", paths=["src"])
    ours.service.writer.poke()
    await waiter
    assert ours.claims() == ["holder", "quick", "waiter"]


async def test_whoever_comes_with_the_release_does_not_jump_the_queue(
    processes: tuple[Process, Process],
) -> None:
    """A release and a new claim that are decided together: the one who waited gets the path."""
    ours, _ = processes
    await ours.claim("holder", "src")
    waiter = ours.claim("waiter", "src", wait="60s")
    await ours.waiting("waiter")

    release = asyncio.ensure_future(ours.say("holder", "release", paths=["src"]))
    newcomer = ours.claim("newcomer", "src")
    _, answer, _ = await asyncio.gather(release, newcomer, waiter, return_exceptions=True)
    assert isinstance(answer, Refused)
    assert answer.details["conflicts"][0]["owner"] == "waiter"
    assert ours.claims() == ["holder", "waiter"]


async def test_whoever_comes_after_a_release_elsewhere_does_not_jump_the_queue(
    processes: tuple[Process, Process],
) -> None:
    """The same when another process released and nobody has noticed yet."""
    ours, other = processes
    await ours.claim("holder", "src")
    waiter = ours.claim("waiter", "src", wait="60s")
    await ours.waiting("waiter")
    await other.say("holder", "release", paths=["src"])

    with pytest.raises(Refused):
        await ours.claim("newcomer", "src")
    await waiter
    assert ours.claims() == ["holder", "waiter"]


async def test_a_later_waiter_does_not_take_what_an_earlier_one_needs(
    processes: tuple[Process, Process],
) -> None:
    """Two paths are waited for, one is free: another one who is ready to wait goes behind."""
    ours, _ = processes
    await ours.claim("holder", "x")
    first = ours.claim("first", "x", "y", wait="60s")
    await ours.waiting("first")
    second = ours.claim("second", "y", wait="60s")
    await ours.waiting("first", "second")

    await ours.say("holder", "release", paths=["x"])
    await first
    await ours.say("first", "release", paths=["x", "y"])
    await second
    assert ours.claims() == ["holder", "first", "second"]


async def test_when_one_gives_up_those_behind_it_are_looked_at(
    processes: tuple[Process, Process],
) -> None:
    """Whoever waited for nothing but an earlier wish is granted as soon as that one goes away."""
    ours, _ = processes
    await ours.claim("holder", "x")
    first = ours.claim("first", "x", "y", wait="60s")
    await ours.waiting("first")
    second = ours.claim("second", "y", wait="60s")
    await ours.waiting("first", "second")
    first.cancel()
    await second
    assert ours.claims() == ["holder", "second"]


async def test_the_holder_need_not_wait_for_those_who_wait_for_it(
    processes: tuple[Process, Process],
) -> None:
    """To let the first one go first would be a deadlock here; the path is free, so it is granted."""
    ours, _ = processes
    await ours.claim("holder", "x")
    first = ours.claim("first", "x", "y", wait="60s")
    await ours.waiting("first")
    await ours.claim("holder", "y", wait="60s")
    await ours.say("holder", "release", paths=["x", "y"])
    await first
    assert ours.claims() == ["holder", "holder", "first"]


async def test_a_wait_that_ends_while_it_is_granted_gets_one_claim(
    processes: tuple[Process, Process],
) -> None:
    """The time is over between the decision and the disk: the claim is told, and not made twice."""
    ours, other = processes
    await ours.claim("holder", "src")
    waiter = ours.claim("waiter", "src", wait="1s")
    await ours.waiting("waiter")
    await other.say("holder", "release", paths=["src"])
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(1.1, over.set)
    ours.ledger.before_append = [over.wait]
    ours.service.writer.poke()
    said = await waiter
    assert ours.claims() == ["holder", "waiter"]
    assert said["fence"] == said["fact"]["seq"]


async def test_the_same_key_waiting_twice_is_one_claim(
    processes: tuple[Process, Process],
) -> None:
    """A retry that meets its own first attempt in the queue: both are told the same fact."""
    ours, _ = processes
    await ours.claim("holder", "src")
    tries = [ours.claim("waiter", "src", wait="60s", key="k") for _ in range(2)]
    await ours.waiting("waiter", "waiter")
    await ours.say("holder", "release", paths=["src"])
    first, second = await asyncio.gather(*tries)
    assert first["fact"] == second["fact"]
    assert [first["replayed"], second["replayed"]] == [False, True]
    assert ours.claims() == ["holder", "waiter"]
