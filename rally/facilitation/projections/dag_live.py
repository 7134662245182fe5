"""Joining a run's history with what the live state knows of it (contract P5)."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.projections.dag import ROOT, LiveRun, dag
from rally.facilitation.projections.wake_due import due_cause
from rally.facilitation.service import RoomService
from rally.facilitation.state import leases
from rally.facilitation.state.room import RoomState
from rally.model.paths import overlap


async def dag_of_run(service: RoomService, run: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The graph of a run, and its warnings."""
    facts = await service.ledger.run_facts(run)
    retracted = await service.ledger.retracted([fact.event_id for fact in facts])

    def look(context: Context) -> tuple[dict[str, Any], list[dict[str, str]]]:
        live = live_run(context.state, run, context.now_ms)
        return dag(run, facts, retracted=retracted, live=live, now_ms=context.now_ms)

    return await service.read(look)


def live_run(state: RoomState, run: str, now_ms: int) -> LiveRun:
    """What the live state knows of one run."""
    held = [claim for claim in state.claims.values() if claim.run == run]
    live = [claim for claim in held if leases.binds(claim, now_ms)]
    blocked: dict[str, str] = {}
    for blocker in state.blockers.values():
        fact = blocker.fact
        if fact.run == run and fact.step:
            blocked.setdefault(fact.step, fact.event_id)
        for claim in live:
            if any(overlap(a, b) for a in fact.paths for b in claim.paths):
                blocked.setdefault(claim.step or ROOT, fact.event_id)
    standbys = [one for one in state.standbys.values() if one.fact.run == run]
    causes = {one.fact.event_id: due_cause(state, one, now_ms) for one in standbys}
    return LiveRun(
        lapsed_steps={claim.step or ROOT for claim in held if not leases.binds(claim, now_ms)},
        held_steps={claim.step or ROOT for claim in live},
        due_standbys={event_id: cause for event_id, cause in causes.items() if cause},
        live_standbys=frozenset(causes),
        blocked_steps=blocked,
    )
