"""What the live state knows of a run, for its graph (contract P5)."""

from __future__ import annotations

from rally.facilitation.projections.dag import ROOT, LiveRun
from rally.facilitation.projections.wake_due import due_cause
from rally.facilitation.state import leases
from rally.facilitation.state.room import RoomState
from rally.model.paths import any_overlap


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
            if any_overlap(fact.paths, claim.paths):
                blocked.setdefault(claim.step or ROOT, fact.event_id)
    standbys = [one for one in state.standbys.values() if one.fact.run == run]
    causes = {one.fact.event_id: due_cause(state, one, now_ms) for one in standbys}
    return LiveRun(
        lapsed_steps={claim.step or ROOT for claim in held if not leases.binds(claim, now_ms)},
        lost_claims={one.claim.claim_id for one in state.lost.values() if one.claim.run == run},
        held_steps={claim.step or ROOT for claim in live},
        due_standbys={event_id: cause for event_id, cause in causes.items() if cause},
        live_standbys=frozenset(causes),
        blocked_steps=blocked,
    )
