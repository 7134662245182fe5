"""What withdrawing a fact undoes in the live state (`retract`, contract section 4).

Withdrawing hides a fact from every view and ends what it opened. What it had *closed* (a resolved
blocker, an answered handoff, a superseded decision, a woken standby) is open again, rebuilt from its
own facts in the ledger. A claim never comes back: whoever lost one must ask again, because others
may have been told since that the path is free.
"""

from __future__ import annotations

from typing import TypeVar

from rally.facilitation.state import rules
from rally.facilitation.state.entities import Blocker, Handoff, ManagedSession, Standby, step_of
from rally.facilitation.state.past import Past
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.runs import Run
from rally.model.fact import Fact

_Entity = TypeVar("_Entity", Fact, Blocker, Handoff, ManagedSession, Standby)


def withdraw(state: RoomState, fact: Fact, past: Past) -> None:
    """Fold a retract fact. A target that was withdrawn before, or is unknown, changes nothing."""
    target = past.fact(fact.ref or "")
    if target is None or not target.has_effect or past.is_withdrawn(target.event_id):
        return
    _undo(state, target, past)
    if target.ref and target.kind in rules.ANSWERS:
        thread = past.thread(target.ref, without=target.event_id)
        if thread and thread[0].event_id == target.ref:
            _reopen(state, thread, past, without=target.event_id)
            state.mark_held(f"fact:{target.ref}", holds=rules.answered(state, thread[0]))


def _undo(state: RoomState, target: Fact, past: Past) -> None:  # noqa: C901, PLR0912
    """End what the target opened. (One arm per kind; a table of lambdas would read no better.)"""
    target_id = target.event_id
    match target.kind:
        case "claim" if target_id in state.claims:
            state.end_claim(state.claims[target_id])
        case "claim":
            state.lost.pop(target_id, None)
        case "artifact":
            _unland(state, target, past)
        case "blocker" if target_id in state.blockers:
            state.end_blocker(state.blockers[target_id])
        case "decision" if target_id in state.decisions:
            state.end_decision(state.decisions[target_id])
        case "handoff" if target_id in state.handoffs:
            state.end_handoff(state.handoffs[target_id])
        case "risk" if target_id in state.risks:
            state.end_risk(target_id)
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
        case "session":
            name = target.get("subject", "")
            if name in state.sessions and state.sessions[name].fact.event_id == target_id:
                del state.sessions[name]
        case "enter":
            presence, session = state.tools.get(target.tool), target.session_id or ""
            if presence is not None and presence.sessions.get(session) == target.seq:
                del presence.sessions[session]
        case _:
            pass


def _unland(state: RoomState, target: Fact, past: Past) -> None:
    state.artifacts_total -= 1
    if target.event_id in state.reviews:
        state.end_review(target.event_id)
    step = step_of(target)
    if step is None or past.landings(*step, without=target.event_id):
        return
    state.mark_held(f"step:{step[0]}\0{step[1]}", holds=False)
    if step[0] in state.runs:
        state.runs[step[0]].unland(step[1])
    if past.tasks.get(step[0]):
        _remember(state, target, past)


def _remember(state: RoomState, target: Fact, past: Past) -> None:
    """Tasks that were forgotten because the whole run had landed are open again."""
    run_id = target.run or ""
    known = state.runs.get(run_id, Run(run_id))
    run = state.runs[run_id] = Run(run_id, landed=known.landed)
    for fact in past.tasks[run_id]:
        if past.is_withdrawn(fact.event_id):
            continue
        task = rules.task_of(fact)
        for step in (task.task_id, *task.depends_on):
            if past.landings(run_id, step, without=target.event_id):
                run.land(step)
        run.add(task)
    for task in known.tasks.values():  # those of this very batch stand behind the others
        if task.task_id not in run.tasks:
            run.add(task)
    rules.forget_finished(state, run)


def _unregister(state: RoomState, target: Fact) -> None:
    run = state.runs.get(target.run or "")
    if run is None or target.step not in run.tasks:
        return
    if run.tasks[target.step].fact.event_id == target.event_id:
        run.remove(target.step)
        rules.forget_finished(state, run)


def _reopen(state: RoomState, thread: list[Fact], past: Past, *, without: str) -> None:
    """Rebuild one entity from the facts about it that still count; `without` does not."""
    fact, *answers = thread
    kinds = {answer.kind for answer in answers}
    match fact.kind:
        case "blocker" if "resolve" not in kinds and fact.event_id not in state.blockers:
            freeze = fact.event_id in past.led and rules.unscoped(fact)
            state.add_blocker(Blocker(fact, freeze))
            state.blockers = _oldest_first(state.blockers)
            state.resolved_for.get(fact.tool, {}).pop(fact.event_id, None)
        case "risk" if "resolve" not in kinds:
            state.risks.setdefault(fact.event_id, fact)
            state.risks = _oldest_first(state.risks)
        case "decision" if "decision" not in kinds and fact.event_id not in state.decisions:
            state.add_decision(fact)
            state.decisions = _oldest_first(state.decisions)
        case "artifact" if rules.wants_review(fact):
            if not any(rules.ends_review(fact, answer) for answer in answers):
                state.reviews.setdefault(fact.event_id, fact)
                state.reviews = _oldest_first(state.reviews)
        case "handoff":
            _reopen_handoff(state, fact, answers)
        case "standby" if not kinds & {"wake", "artifact"} and fact.event_id not in state.standbys:
            _reopen_standby(state, fact, past, without=without)
        case "session":
            _reopen_session(state, fact, answers)
        case _:
            pass


def _reopen_handoff(state: RoomState, fact: Fact, answers: list[Fact]) -> None:
    handoff = rules.handoff_of(fact)
    if any(rules.closed_by(handoff, answer) for answer in answers):
        return
    for answer in answers:
        if answer.kind == "receipt":
            handoff.receipts[answer.tool] = answer
    state.handoffs[fact.event_id] = handoff
    state.handoffs = _oldest_first(state.handoffs)


def _reopen_standby(state: RoomState, fact: Fact, past: Past, *, without: str) -> None:
    ended = fact.event_id in past.ended
    if ended or any(rules.ends_standby(one, fact) for one in past.pending if one.seq > fact.seq):
        return
    state.add_standby(rules.standby_of(state, past, fact, without=without))
    state.standbys = _oldest_first(state.standbys)


def _reopen_session(state: RoomState, fact: Fact, answers: list[Fact]) -> None:
    """A session whose end was withdrawn; its name may belong to another by now."""
    told = [answer for answer in answers if answer.kind == "session"]
    name = fact.get("subject", "")
    current = state.sessions.get(name)
    if any(one.get("status") != "started" for one in told):
        return
    if current is None or current.fact.event_id == fact.event_id:
        started = told[-1] if told else None
        state.sessions[name] = ManagedSession(fact, started)
        state.sessions = _oldest_first(state.sessions)


def _oldest_first(entities: dict[str, _Entity]) -> dict[str, _Entity]:
    """What came back, in its old place."""
    return dict(sorted(entities.items(), key=lambda item: _seq_of(item[1])))


def _seq_of(entity: Fact | Blocker | Handoff | ManagedSession | Standby) -> int:
    return entity.seq if isinstance(entity, Fact) else entity.fact.seq
