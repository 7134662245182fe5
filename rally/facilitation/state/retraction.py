"""What withdrawing a fact undoes in the live state (`retract`, contract section 4).

Withdrawing hides a fact from every view and ends what it opened. What it had *closed* (a resolved
blocker, an answered handoff, a superseded decision, a woken standby) is open again, rebuilt from its
own facts in the ledger. A claim never comes back: whoever lost one must ask again, because others
may have been told since that the path is free.
"""

from __future__ import annotations

from rally.facilitation.state import rules
from rally.facilitation.state.entities import Blocker, Handoff, Standby
from rally.facilitation.state.past import Past
from rally.facilitation.state.room import RoomState
from rally.model.clock import from_rfc3339
from rally.model.fact import Fact


def withdraw(state: RoomState, fact: Fact, past: Past) -> None:
    """Fold a retract fact. A target that was withdrawn before, or is unknown, changes nothing."""
    target = past.fact(fact.ref or "")
    if target is None or target.get("trust") == "untrusted":
        return
    _undo(state, target, past)
    if target.ref and target.kind in ("resolve", "receipt", "wake", "decision", "artifact"):
        thread = past.thread(target.ref, without=target.event_id)
        if thread and thread[0].event_id == target.ref:
            _reopen(state, thread[0], thread[1:])


def _undo(state: RoomState, target: Fact, past: Past) -> None:  # noqa: C901, PLR0912
    """End what the target opened. (One arm per kind; a table of lambdas would read no better.)"""
    target_id = target.event_id
    match target.kind:
        case "claim" if target_id in state.claims:
            state.end_claim(state.claims[target_id])
        case "artifact":
            _unland(state, target, past)
        case "blocker" if target_id in state.blockers:
            state.end_blocker(state.blockers[target_id])
        case "decision" if target_id in state.decisions:
            state.end_decision(state.decisions[target_id])
        case "handoff":
            state.handoffs.pop(target_id, None)
        case "risk":
            state.risks.pop(target_id, None)
        case "standby" if target_id in state.standbys:
            state.end_standby(state.standbys[target_id])
        case "lead" if state.lead is not None and state.lead.event_id == target_id:
            state.lead = None
        case "mission" if state.mission is not None and state.mission.event_id == target_id:
            state.mission = None
        case "memory":
            current = state.memory.get(target.get("subject", ""))
            if current is not None and current.event_id == target_id:
                del state.memory[target.doc["subject"]]
        case "task":
            _unregister(state, target)
        case "enter":
            presence = state.tools.get(target.tool)
            if presence is not None:
                presence.sessions.pop(target.session_id or "", None)
        case _:
            pass


def _unland(state: RoomState, target: Fact, past: Past) -> None:
    state.artifacts_total -= 1
    state.reviews.pop(target.event_id, None)
    if not (target.run and target.step):
        return
    if past.landings(target.run, target.step, without=target.event_id):
        return
    state.mark_held(f"step:{target.run}\0{target.step}", holds=False)
    run = state.runs.get(target.run)
    if run is not None:
        run.landed.discard(target.step)


def _unregister(state: RoomState, target: Fact) -> None:
    run = state.runs.get(target.run or "")
    if run is None or target.step not in run.tasks:
        return
    if run.tasks[target.step].fact.event_id == target.event_id:
        del run.tasks[target.step]
        rules.forget_finished(state, run)


def _reopen(state: RoomState, fact: Fact, answers: list[Fact]) -> None:
    """Rebuild one entity from the facts about it that still count."""
    kinds = {answer.kind for answer in answers}
    match fact.kind:
        case "blocker" if "resolve" not in kinds and fact.event_id not in state.blockers:
            leads = state.lead is not None and state.lead.tool == fact.tool
            state.add_blocker(Blocker(fact, freeze=leads and rules.unscoped(fact)))
            state.resolved_for.get(fact.tool, {}).pop(fact.event_id, None)
        case "risk" if "resolve" not in kinds:
            state.risks.setdefault(fact.event_id, fact)
        case "decision" if "decision" not in kinds and fact.event_id not in state.decisions:
            state.add_decision(fact)
        case "artifact" if fact.get("target") and not kinds & {"receipt", "resolve"}:
            state.reviews.setdefault(fact.event_id, fact)
        case "handoff":
            _reopen_handoff(state, fact, answers)
        case "standby" if not kinds & {"wake", "artifact"} and fact.event_id not in state.standbys:
            wake_after = fact.get("wake_after")
            wake_after_ms = from_rfc3339(wake_after) if wake_after else None
            state.add_standby(Standby(fact, wake_after_ms, tuple(fact.get("until", ()))))
        case _:
            pass


def _reopen_handoff(state: RoomState, fact: Fact, answers: list[Fact]) -> None:
    ack_by = fact.get("ack_by")
    handoff = Handoff(fact, from_rfc3339(ack_by) if ack_by else None)
    for answer in answers:
        if answer.kind == "receipt":
            handoff.receipts[answer.tool] = answer
            if rules.closes(handoff, answer.doc["state"]):
                return
        elif answer.kind in ("resolve", "claim"):
            return
    # In its old place: handoffs are kept oldest first.
    state.handoffs[fact.event_id] = handoff
    state.handoffs = dict(sorted(state.handoffs.items(), key=lambda item: item[1].fact.seq))
