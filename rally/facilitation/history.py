"""Fetching a `Past` from the ledger: the part of deciding and folding that needs I/O, done before.

Everything is answered as of one moment, the head or just before a seq, so that a replay sees what the
decision saw: a retraction that came later must not count.
"""

from __future__ import annotations

from collections.abc import Iterable

from rally.facilitation.ledger.port import FactQuery, Ledger
from rally.facilitation.state import rules
from rally.facilitation.state.past import Past, Wants
from rally.model.fact import Fact


async def gather(ledger: Ledger, wants: Wants, *, before_seq: int | None = None) -> Past:
    """Everything wanted, as of the head (or as of just before a seq, when replaying).

    A retraction needs a second look: what the withdrawn fact was about, and which other artifacts
    landed its step.
    """
    past = Past()
    if not wants:
        return past
    if wants.ids:
        past.facts = await ledger.by_id(wants.ids)
        # A fact that was asked for by its seq is stored, and folded, with the event id in its place.
        past.facts |= {fact.event_id: fact for fact in past.facts.values()}
    if wants.keys:
        past.keys = await ledger.by_key(wants.keys)
    steps = set(wants.steps)
    look = _Look(ledger, past, before_seq)
    for asked in wants.retracted:
        target = past.facts.get(asked)
        if target is not None:
            steps |= await look.at_withdrawn(target)
    await look.at_answered(wants.answered)
    if steps:
        past.landed = await ledger.landings(steps, before_seq=before_seq)
    for run, step in wants.registered:
        if past.landed.get((run, step)):  # a task that has not landed is in the state
            tasks = await look.tasks(run, step)
            if tasks:
                past.registered[run, step] = tasks[-1]
    return past


class _Look:
    """A second look, for what no list of ids can say beforehand."""

    def __init__(self, ledger: Ledger, past: Past, before_seq: int | None) -> None:
        self._ledger = ledger
        self._past = past
        self._before_seq = before_seq
        self._until_seq = None if before_seq is None else before_seq - 1

    async def at_withdrawn(self, target: Fact) -> set[tuple[str, str]]:
        """What withdrawing a fact needs; answers the steps whose landings matter to it."""
        if await self._is_withdrawn(target):
            self._past.withdrawn.add(target.event_id)
            return set()
        steps: set[tuple[str, str]] = set()
        if target.kind == "artifact" and target.run and target.step:
            steps = {(target.run, target.step), *await self._run(target.run)}
        if target.ref and target.kind in rules.ANSWERS:
            steps |= await self._thread(target.ref)
        return steps

    async def _is_withdrawn(self, fact: Fact) -> bool:
        about = await self._ledger.about(fact.event_id, before_seq=self._before_seq)
        return any(one.withdraws for one in about)

    async def _standing(self, facts: Iterable[Fact]) -> list[Fact]:
        """Those that count: not withdrawn, and not untrusted (contract T3)."""
        return [fact for fact in facts if fact.has_effect and not await self._is_withdrawn(fact)]

    async def at_answered(self, ids: Iterable[str]) -> None:
        """Who answered the handoffs to `all` among these, also after they were closed."""
        for asked in ids:
            target = self._past.facts.get(asked)
            if target is None or target.kind != "handoff" or target.get("target") != "all":
                continue
            about = await self._ledger.about(target.event_id, before_seq=self._before_seq)
            self._past.answers[target.event_id] = await self._standing(about)

    async def tasks(self, run: str, step: str | None = None) -> list[Fact]:
        """The registered tasks of a run (or the one of a step), less withdrawn ones."""
        query = FactQuery(kinds=frozenset({"task"}), run=run, step=step, until_seq=self._until_seq)
        return await self._standing(await self._ledger.select(query))

    async def _run(self, run: str) -> set[tuple[str, str]]:
        """The run's tasks: it was forgotten if they all had landed, and is open again."""
        tasks = self._past.tasks[run] = await self.tasks(run)
        return {
            (run, step)
            for task in tasks
            for step in (task.step, *task.get("parent_steps", ()))
            if step
        }

    async def _thread(self, event_id: str) -> set[tuple[str, str]]:
        entity = (await self._ledger.by_id([event_id])).get(event_id)
        if entity is None or not entity.has_effect or await self._is_withdrawn(entity):
            return set()
        about = await self._ledger.about(event_id, before_seq=self._before_seq)
        self._past.threads[event_id] = [entity, *await self._standing(about)]
        if entity.kind == "blocker" and await self._led(entity):
            self._past.led.add(event_id)
        return await self._conditions(entity) if entity.kind == "standby" else set()

    async def _led(self, blocker: Fact) -> bool:
        """Whether the author of a blocker held the lead's seat then (authority is of its time)."""
        query = FactQuery(
            kinds=frozenset({"lead"}), until_seq=blocker.seq - 1, newest_first=True, limit=1,
            where=lambda fact: fact.has_effect,
        )  # fmt: skip
        newest = await self._ledger.select(query)
        if not newest:
            return False
        about = await self._ledger.about(newest[0].event_id, before_seq=blocker.seq)
        withdrawn = any(one.withdraws for one in about)
        return not withdrawn and rules.seated_by(newest[0]) == blocker.tool

    async def _conditions(self, standby: Fact) -> set[tuple[str, str]]:
        """What a standby that may come back waits for, and whether it ended for good meanwhile."""
        query = FactQuery(
            kinds=frozenset({"leave", "standby", "artifact"}), since_seq=standby.seq, limit=1,
            until_seq=self._until_seq,
            where=lambda fact: fact.has_effect and rules.ends_standby(fact, standby),
        )  # fmt: skip
        if await self._ledger.select(query):
            self._past.ended.add(standby.event_id)
        wants = Wants()
        wants.add("standby", standby.doc)
        self._past.facts |= await self._ledger.by_id(wants.ids)
        return wants.steps
