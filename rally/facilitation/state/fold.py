"""fold(state, fact): the only function that changes a RoomState.

It never refuses: a fact in the ledger has happened. Facts of a kind that this version does not know,
and facts of other machines marked untrusted (contract T3), only move the head: they are kept and
shown, and have no effect.
"""

from __future__ import annotations

from collections.abc import Callable

from rally.facilitation.state import leases, rules
from rally.facilitation.state.entities import (
    Blocker,
    Lead,
    Lost,
    ManagedSession,
    Presence,
    step_of,
)
from rally.facilitation.state.past import Past
from rally.facilitation.state.retraction import withdraw
from rally.facilitation.state.room import GONE_TOOLS_MAX, RoomState
from rally.facilitation.state.runs import Run
from rally.model.fact import Fact


def fold(state: RoomState, fact: Fact, past: Past) -> None:
    """Bring the state from the ledger's prefix up to and including `fact`.

    Args:
        state: the state at `fact.seq - 1`; changed in place.
        past: answers to `wants_of([fact])` as of just before the fact.

    Raises:
        ValueError: the fact is not the next one; nothing was changed.
    """
    if fact.seq != state.head_seq + 1:
        raise ValueError(f"fact {fact.seq} does not follow {state.head_seq}")
    state.head_seq, state.head_hash = fact.seq, fact.hash
    if not fact.has_effect:
        return
    at_ms = fact.created_ms
    state.time_ms = max(state.time_ms, at_ms)
    presence = state.tools.get(fact.tool)
    if presence is not None:
        presence.last_ms = at_ms
    if state.lead is not None and state.lead.tool == fact.tool:
        state.lead.seen_ms = at_ms
    if fact.kind != "renew" and state.resolved_for:
        state.resolved_for.pop(fact.tool, None)
    handler = _HANDLERS.get(fact.kind)
    if handler is not None:
        handler(state, fact, past)


def _enter(state: RoomState, fact: Fact, past: Past) -> None:
    presence = state.tools.get(fact.tool)
    if presence is None or not presence.present:
        # Re-entering moves the tool to the end: `gone` ones are pruned oldest first.
        state.tools.pop(fact.tool, None)
        presence = Presence(fact.tool, fact.created_ms, fact.seq, fact.created_ms)
        state.tools[fact.tool] = presence
    presence.enter_seq = fact.seq
    presence.role = fact.get("role", presence.role)
    presence.tier = fact.get("tier", presence.tier)
    presence.paths = tuple(fact.paths) or presence.paths
    presence.sessions[fact.session_id or ""] = fact.seq


def _leave(state: RoomState, fact: Fact, past: Past) -> None:
    for claim in leases.own_claims(state, fact.tool, fact.session_id):
        state.end_claim(claim)
    for lost in leases.own_lost(state, fact.tool, fact.session_id):
        del state.lost[lost.claim.claim_id]
    for standby in list(state.standbys.values()):
        if leases.owns(standby.fact, fact.tool, fact.session_id):
            state.end_standby(standby)
    presence = state.tools.get(fact.tool)
    if presence is None:
        return
    if fact.session_id:
        presence.sessions.pop(fact.session_id, None)
        presence.sessions.pop("", None)
    else:
        presence.sessions.clear()
    if not presence.present:
        state.tools[fact.tool] = state.tools.pop(fact.tool)
        gone = [tool for tool, one in state.tools.items() if not one.present]
        for tool in gone[:-GONE_TOOLS_MAX]:
            del state.tools[tool]


def _claim(state: RoomState, fact: Fact, past: Past) -> None:
    claim = rules.claim_of(fact)
    moved = state.claims.get(fact.get("claim", ""))
    if moved is not None:  # contract C10: the old claim ends and this one begins in one step
        state.end_claim(moved)
    for lapsed in leases.taken_over(state, claim, now_ms=fact.created_ms):
        if leases.owns(lapsed, fact.tool, fact.session_id):
            state.end_claim(lapsed)
        else:
            state.lose_claim(Lost(lapsed, fact))
    for lost in leases.own_lost(state, fact.tool, fact.session_id, claim.paths):
        del state.lost[lost.claim.claim_id]
    state.add_claim(claim)


def _renew(state: RoomState, fact: Fact, past: Past) -> None:
    at_ms = fact.created_ms
    for claim in leases.own_claims(state, fact.tool, fact.session_id):
        claim.expires_ms = max(claim.expires_ms, at_ms + claim.ttl_ms)
    state.renew_at.pop(fact.tool, None)


def _release(state: RoomState, fact: Fact, past: Past) -> None:
    for claim in rules.released_by(state, fact.ref, fact):
        state.end_claim(claim)


def _artifact(state: RoomState, fact: Fact, past: Past) -> None:
    state.artifacts_total += 1
    ref, step = fact.ref, step_of(fact)
    for standby in list(state.standbys.values()):  # contract S1
        of_step = step is not None and step_of(standby.fact) == step
        if of_step or standby.fact.event_id == ref:
            state.end_standby(standby)
    if step is not None:
        state.mark_held(f"step:{step[0]}\0{step[1]}")
        run = state.runs.get(step[0])
        if run is not None:
            run.land(step[1])
            rules.forget_finished(state, run)
    if rules.wants_review(fact):
        state.reviews[fact.event_id] = fact
    handoff = state.handoffs.get(ref or "")
    if handoff is not None and rules.closed_by(handoff, fact):
        state.end_handoff(handoff)


def _blocker(state: RoomState, fact: Fact, past: Past) -> None:
    freeze = state.is_led_by(fact.tool) and rules.unscoped(fact)
    state.add_blocker(Blocker(fact, freeze))


def _resolve(state: RoomState, fact: Fact, past: Past) -> None:
    ref = fact.ref or ""
    blocker = state.blockers.get(ref)
    if blocker is not None:
        state.end_blocker(blocker)
        if blocker.fact.tool != fact.tool:
            state.resolved_for.setdefault(blocker.fact.tool, {})[ref] = blocker.fact
    if ref in state.risks:
        state.end_risk(ref)
    if ref in state.handoffs:
        state.end_handoff(state.handoffs[ref])
    if ref in state.reviews and rules.ends_review(state.reviews[ref], fact):
        state.end_review(ref)


def _decision(state: RoomState, fact: Fact, past: Past) -> None:
    old = state.decisions.get(fact.ref or "")
    if old is not None:
        state.end_decision(old)
    state.add_decision(fact)


def _handoff(state: RoomState, fact: Fact, past: Past) -> None:
    state.handoffs[fact.event_id] = rules.handoff_of(fact)


def _receipt(state: RoomState, fact: Fact, past: Past) -> None:
    ref = fact.ref or ""
    handoff = state.handoffs.get(ref)
    if handoff is not None:
        handoff.receipts[fact.tool] = fact
        state.mark_held(f"fact:{ref}")
        if rules.closed_by(handoff, fact):
            state.end_handoff(handoff)
    if ref in state.reviews and rules.ends_review(state.reviews[ref], fact):
        state.end_review(ref)


def _risk(state: RoomState, fact: Fact, past: Past) -> None:
    state.risks[fact.event_id] = fact


def _standby(state: RoomState, fact: Fact, past: Past) -> None:
    for old in list(state.standbys.values()):  # contract S2
        same_step = (old.fact.run, old.fact.step) == (fact.run, fact.step)
        if same_step and leases.owns(old.fact, fact.tool, fact.session_id):
            state.end_standby(old)
    standby = rules.standby_of(state, past, fact)
    state.add_standby(standby)
    if standby.wake_after_ms is not None:  # contract S3
        for claim in leases.own_claims(state, fact.tool, fact.session_id):
            if leases.binds(claim, fact.created_ms):
                claim.expires_ms = max(claim.expires_ms, standby.wake_after_ms)
        state.renew_at.pop(fact.tool, None)


def _wake(state: RoomState, fact: Fact, past: Past) -> None:
    standby = state.standbys.get(fact.ref or "")
    if standby is not None:
        state.end_standby(standby)


def _task(state: RoomState, fact: Fact, past: Past) -> None:
    run_id, task = fact.run or "", rules.task_of(fact)
    run = state.runs.setdefault(run_id, Run(run_id))
    for step in (task.task_id, *task.depends_on):
        if past.landings(run_id, step):
            run.land(step)
    run.add(task)
    rules.forget_finished(state, run)


def _memory(state: RoomState, fact: Fact, past: Past) -> None:
    state.memory[fact.doc["subject"]] = fact


def _lead(state: RoomState, fact: Fact, past: Past) -> None:
    holder = rules.seated_by(fact)
    at_ms = fact.created_ms
    state.lead = Lead(holder, at_ms, fact.event_id, at_ms) if holder else None


def _mission(state: RoomState, fact: Fact, past: Past) -> None:
    state.mission = fact


def _session(state: RoomState, fact: Fact, past: Past) -> None:
    name, status = fact.get("subject", ""), fact.get("status")
    if status in rules.OPENS_SESSION:
        state.sessions[name] = ManagedSession(fact)
        return
    session = state.sessions.get(name)
    if session is None or session.fact.event_id != fact.ref:
        return
    if status == "started":
        session.started = fact
    else:
        del state.sessions[name]


_HANDLERS: dict[str, Callable[[RoomState, Fact, Past], None]] = {
    "enter": _enter,
    "leave": _leave,
    "claim": _claim,
    "renew": _renew,
    "release": _release,
    "artifact": _artifact,
    "blocker": _blocker,
    "resolve": _resolve,
    "decision": _decision,
    "handoff": _handoff,
    "receipt": _receipt,
    "risk": _risk,
    "standby": _standby,
    "wake": _wake,
    "task": _task,
    "memory": _memory,
    "lead": _lead,
    "mission": _mission,
    "session": _session,
    "retract": withdraw,
}
