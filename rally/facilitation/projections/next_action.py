"""next (contract P3): the one thing that a tool should do now.

Every candidate is a rank and an age; the best rank wins, the oldest among equals, so nothing starves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rally.facilitation.checks.closing import is_overdue
from rally.facilitation.decide.tasks import takeable
from rally.facilitation.projections.wake_due import due_cause
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.rules import concerning, is_person, open_for
from rally.model.fact import Fact
from rally.model.shell import word

ALTERNATIVES_MAX = 5
# Rank decides; the score shows it, higher first.
SCORES = {
    "respond_handoff": 100,
    "resume_blocker": 80,
    "resume_standby": 80,
    "continue_claim": 60,
    "take_task": 40,
    "review_artifact": 20,
    "wait": 0,
}


@dataclass(slots=True)
class Candidate:
    """One thing that could be done.

    Attributes:
        order: sort key, smaller first: rank, urgency within it, age.
        completion: `kind` of the fact that ends it, and what it must carry.
    """

    action: str
    order: tuple[int, int, int]
    reason: str
    fact: Fact | None
    commands: list[str]
    claims: list[dict[str, Any]] = field(default_factory=list)
    completion: tuple[str | None, bool, bool] = (None, False, False)


def next_action(
    state: RoomState, caller: tuple[str, str | None], now_ms: int, *, run: str | None = None
) -> dict[str, Any]:
    """The action contract for a tool.

    Args:
        run: where to look for tasks; every open run when it is not given.
    """
    tool, session_id = caller
    candidates = sorted(
        [
            *_handoffs(state, tool, now_ms),
            *_resumptions(state, tool, now_ms),
            *_claims(state, tool, session_id, now_ms),
            *_tasks(state, caller, run, now_ms),
            *_reviews(state, tool),
        ],
        key=lambda candidate: candidate.order,
    )
    chosen = candidates[0] if candidates else _wait(tool)
    human = human_needed(state, tool, session_id, now_ms)
    stop_reason = None
    if human is not None:
        stop_reason = f"a person must act: {human.get('subject')} ({human.event_id})"
    elif chosen.action == "wait":
        stop_reason = "nothing to do"
    overdue = [
        handoff.fact.doc
        for handoff in state.handoffs.values()
        if handoff.fact.tool == tool and is_overdue(handoff, now_ms)
    ]
    return {
        **_contract(chosen),
        "actionable": human is None and chosen.action != "wait",
        "requires_human": human is not None,
        "stop_reason": stop_reason,
        "alternatives": [_brief(one) for one in candidates[1 : 1 + ALTERNATIVES_MAX]],
        "overdue_sent": overdue,
    }


def _contract(chosen: Candidate) -> dict[str, Any]:
    kind, requires_evidence, release = chosen.completion
    contract: dict[str, Any] = {
        "action": chosen.action,
        "score": SCORES[chosen.action],
        "reason": chosen.reason,
        "suggested_claims": chosen.claims,
        "suggested_commands": chosen.commands,
        "completion": {"kind": kind, "requires_evidence": requires_evidence, "release": release},
    }
    if chosen.fact is not None:
        contract["fact"] = chosen.fact.doc
    return contract


def _brief(candidate: Candidate) -> dict[str, Any]:
    return {
        "action": candidate.action,
        "score": SCORES[candidate.action],
        "reason": candidate.reason,
        "fact_id": candidate.fact.event_id if candidate.fact else None,
    }


def _handoffs(state: RoomState, tool: str, now_ms: int) -> Iterator[Candidate]:
    for handoff in state.handoffs.values():
        fact, own = handoff.fact, handoff.receipts.get(tool)
        if open_for(handoff, tool):
            urgent = handoff.ack_by_ms is not None and own is None
            taken_on = own is not None and own.get("state") == "accepted"
            answer = "done" if taken_on else "accepted"
            yield Candidate(
                "respond_handoff",
                (0, 0 if urgent else 1, fact.seq),
                f"{fact.tool} asks for {fact.get('intent', 'work')}: {fact.get('subject')}",
                fact,
                [
                    f"rally say receipt --tool {tool} --ref {fact.event_id} --state {answer}",
                    f"rally show {fact.event_id}",
                ],
                completion=("receipt", False, False),
            )
        elif fact.tool == tool and is_overdue(handoff, now_ms):
            yield Candidate(
                "respond_handoff",
                (0, 2, fact.seq),
                f"{fact.doc['target']} has not answered your handoff in time: {fact.get('subject')}",
                fact,
                [
                    f"rally inbox --tool {tool} --sent",
                    f"rally say resolve --tool {tool} --ref {fact.event_id}",
                ],
                completion=("resolve", False, False),
            )


def _resumptions(state: RoomState, tool: str, now_ms: int) -> Iterator[Candidate]:
    for fact in state.resolved_for.get(tool, {}).values():
        yield Candidate(
            "resume_blocker",
            (1, 0, fact.seq),
            f"your blocker was resolved: {fact.get('subject')}",
            fact,
            [f"rally show {fact.event_id}", f"rally enter --tool {tool}"],
            completion=("artifact", True, True),
        )
    for standby in state.standbys.values():
        fact = standby.fact
        cause = due_cause(state, standby, now_ms) if fact.tool == tool else None
        if cause is not None:
            why = f": {fact.get('reason')}" if fact.get("reason") else ""
            yield Candidate(
                "resume_standby",
                (1, 0, fact.seq),
                f"your standby is due ({cause}){why}",
                fact,
                [f"rally say wake --tool {tool} --ref-standby {fact.event_id}"],
                _suggested(fact),
                completion=("wake", False, False),
            )


def _suggested(fact: Fact) -> list[dict[str, Any]]:
    names = ("paths", "resources", "run", "step")
    claim = {name: fact.doc[name] for name in names if name in fact.doc}
    for condition in fact.get("until", ()):
        form, _, path = condition.partition(":")
        if form == "free" and "paths" not in claim:
            claim["paths"] = [path]
    return [claim] if claim else []


def _claims(
    state: RoomState, tool: str, session_id: str | None, now_ms: int
) -> Iterator[Candidate]:
    for claim in leases.own_claims(state, tool, session_id):
        if not leases.binds(claim, now_ms):
            continue
        yield Candidate(
            "continue_claim",
            (2, 0, claim.seq),
            f"you hold {leases.told(claim)}",
            claim.fact,
            _work_commands(tool, claim),
            completion=("artifact", True, True),
        )


def _work_commands(tool: str, claim: Claim) -> list[str]:
    paths = "".join(f" --path {word(path)}" for path in claim.paths[:3])
    step = f" --run {word(claim.run)} --step {word(claim.step)}" if claim.run and claim.step else ""
    check = f"rally check before-write --tool {tool} --fence {claim.seq} --strict{paths}"
    if claim.run and claim.step:
        done = f"rally say artifact --tool {tool}{step} --subject '…' --evidence '…' --release"
        return [check, done]
    release = f"rally say release --tool {tool} --ref {claim.claim_id}"
    return [check, f"rally say artifact --tool {tool} --subject '…' --evidence '…'", release]


def _tasks(
    state: RoomState, caller: tuple[str, str | None], run: str | None, now_ms: int
) -> Iterator[Candidate]:
    tool = caller[0]
    runs = state.runs.values() if run is None else filter(None, [state.runs.get(run)])
    for one in runs:
        # The best ones come first, and no more than these are shown.
        for task in islice(takeable(state, one, caller, now_ms), 1 + ALTERNATIVES_MAX):
            suggested = {"run": one.run_id, "step": task.task_id, "paths": task.fact.paths}
            yield Candidate(
                "take_task",
                (3, task.priority, task.fact.seq),
                f"task {task.task_id} of run {one.run_id} is ready: {task.fact.get('subject')}",
                task.fact,
                [f"rally task take --run {word(one.run_id)} --tool {tool}"],
                [suggested],
                completion=("artifact", True, True),
            )


def _reviews(state: RoomState, tool: str) -> Iterator[Candidate]:
    for fact in state.reviews.values():
        if fact.doc["target"] in (tool, "all"):
            yield Candidate(
                "review_artifact",
                (4, 0, fact.seq),
                f"{fact.tool} asks you to review: {fact.get('subject')}",
                fact,
                [f"rally say receipt --tool {tool} --ref {fact.event_id} --state done"],
                completion=("receipt", False, False),
            )


def _wait(tool: str) -> Candidate:
    return Candidate(
        "wait",
        (9, 0, 0),
        "nothing asks for you",
        None,
        [f"rally say standby --tool {tool} --wake-after +30m --reason 'nothing to do'"],
        completion=("standby", False, False),
    )


def human_needed(state: RoomState, tool: str, session_id: str | None, now_ms: int) -> Fact | None:
    """The blocker for which a person must act before this tool goes on, if there is one.

    Contract P3: open, critical or addressed to a person, and mine, on my claims, of my step, or
    unscoped.
    """
    for blocker in concerning(state, (tool, session_id), now_ms):
        fact = blocker.fact
        if fact.get("severity") == "critical" or is_person(fact.get("target", "")):
            return fact
    return None
