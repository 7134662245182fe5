"""Fetching a `Past` from the ledger: the part of deciding and folding that needs I/O, done before."""

from __future__ import annotations

from rally.facilitation.ledger.port import Ledger
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
    if wants.keys:
        past.keys = await ledger.by_key(wants.keys)
    steps = set(wants.steps)
    for asked in wants.retracted:
        target = past.facts.get(asked)
        if target is None:
            continue
        if target.kind == "artifact" and target.run and target.step:
            steps.add((target.run, target.step))
        if target.ref:
            past.threads[target.ref] = await _thread(ledger, target.ref, before_seq)
    if steps:
        past.landed = await ledger.landings(steps, before_seq=before_seq)
    return past


async def _thread(ledger: Ledger, event_id: str, before_seq: int | None) -> list[Fact]:
    entity = (await ledger.by_id([event_id])).get(event_id)
    if entity is None:
        return []
    facts = [entity, *await ledger.about(event_id, before_seq=before_seq)]
    gone = await ledger.retracted([fact.event_id for fact in facts])
    return [] if event_id in gone else [fact for fact in facts if fact.event_id not in gone]
