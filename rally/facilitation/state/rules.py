"""Small questions about facts that fold, retraction, decisions and views all ask, answered once."""

from __future__ import annotations

from typing import Any

from rally.facilitation.state import leases
from rally.facilitation.state.entities import Blocker, Claim, Handoff, Standby, Task, step_of
from rally.facilitation.state.past import Past
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.runs import Run
from rally.model.clock import from_rfc3339
from rally.model.durations import parse_duration_ms
from rally.model.fact import Fact

# Receipts that close a handoff for good, by its intent (contract section 4).
ACCEPT_CLOSES = frozenset({"plan", "shutdown", "question", "message"})
# Kinds that close, or supersede, what they refer to.
ANSWERS = frozenset({"resolve", "receipt", "wake", "decision", "artifact", "session"})
# The statuses of session facts that open one; `started` is its second fact, all others end it.
OPENS_SESSION = frozenset({"starting", "adopted"})


def seated_by(fact: Fact) -> str | None:
    """Who has the lead's seat after a lead fact."""
    holders = {"taken": fact.tool, "given": fact.get("target")}
    return holders.get(fact.get("status", ""))


def claim_of(fact: Fact) -> Claim:
    """The claim that a claim fact opens."""
    return Claim(
        claim_id=fact.event_id,
        seq=fact.seq,
        tool=fact.tool,
        session_id=fact.session_id,
        paths=tuple(fact.paths),
        resources=tuple(fact.get("resources", ())),
        shared=fact.get("mode") == "shared",
        run=fact.run,
        step=fact.step,
        since_ms=fact.created_ms,
        ttl_ms=parse_duration_ms(fact.doc["ttl"]),
        expires_ms=from_rfc3339(fact.doc["lease_expires_at"]),
        fact=fact,
    )


def task_of(fact: Fact) -> Task:
    """The task that a task fact registers."""
    data = fact.get("data") or {}
    return Task(
        fact.step or "",
        fact,
        tuple(fact.get("parent_steps", ())),
        int(data.get("priority", 100)),
        bool(data.get("read_only")),
    )


def handoff_of(fact: Fact) -> Handoff:
    """The handoff that a handoff fact opens."""
    ack_by = fact.get("ack_by")
    return Handoff(fact, from_rfc3339(ack_by) if ack_by else None)


def standby_of(state: RoomState, past: Past, fact: Fact, *, without: str | None = None) -> Standby:
    """The standby that a standby fact begins, with the conditions that hold already.

    Args:
        without: the id of an artifact that is being withdrawn.
    """
    wake_after = fact.get("wake_after")
    until = tuple(fact.get("until", ()))
    held = {
        index
        for index, condition in enumerate(until)
        if holds_already(state, past, fact.run, condition, without=without)
    }
    return Standby(fact, from_rfc3339(wake_after) if wake_after else None, until, held)


def forget_finished(state: RoomState, run: Run) -> None:
    """A run whose every task landed is history: the ledger answers for it from now on."""
    if run.finished:
        state.runs.pop(run.run_id, None)


def is_person(tool: str) -> bool:
    """Whether a tool id stands for a person; a convention that the ledger records, not a proof."""
    return tool == "human" or tool.startswith(("human:", "human/"))


def unscoped(fact: Fact) -> bool:
    """Whether a blocker names neither a path, nor a resource, nor a step of a run."""
    return not (fact.paths or fact.get("resources") or step_of(fact))


def concerning(state: RoomState, caller: tuple[str, str | None], now_ms: int) -> list[Blocker]:
    """The open blockers that concern a tool, oldest first (contract P3).

    Those that it raised, that overlap what it holds or belong to its step, and that are unscoped.
    """
    tool, session_id = caller
    found = {
        blocker_id
        for blocker_id, blocker in state.blockers.items()
        if blocker.fact.tool == tool or unscoped(blocker.fact)
    }
    resources: set[str] = set()
    for claim in leases.each_own_claim(state, tool, session_id) if state.blockers else ():
        if not leases.binds(claim, now_ms):
            continue
        resources.update(claim.resources)
        for path in claim.paths:
            found.update(blocker_id for blocker_id, _ in state.blocker_index.overlapping(path))
        if (step := step_of(claim)) is not None:
            found.update(state.blockers_by_step.get(step, ()))
    return [
        blocker
        for blocker_id, blocker in state.blockers.items()
        if blocker_id in found or not resources.isdisjoint(blocker.fact.get("resources", ()))
    ]


def closes(handoff: Handoff, answer: str) -> bool:
    """Whether an answer of the addressee ends the handoff (contract section 4).

    One addressed to `all` is closed by `done` only: every tool that accepts or rejects it answers for
    itself.
    """
    if handoff.fact.doc["target"] == "all":
        return answer == "done"
    if answer == "accepted":
        return handoff.fact.get("intent", "work") in ACCEPT_CLOSES
    return answer in ("rejected", "done")


def answered(state: RoomState, fact: Fact) -> bool:
    """Whether a fact that could be answered has been, or has ended otherwise."""
    event_id = fact.event_id
    if not fact.has_effect:
        return False
    if fact.kind == "handoff":
        return event_id not in state.handoffs or bool(state.handoffs[event_id].receipts)
    if fact.kind == "artifact":  # only one that asked for a review waits for an answer
        return "target" in fact.doc and event_id not in state.reviews
    still_open: dict[str, dict[str, Any]] = {
        "claim": state.claims, "blocker": state.blockers, "risk": state.risks,
        "standby": state.standbys,
    }  # fmt: skip
    return fact.kind in still_open and event_id not in still_open[fact.kind]


def holds_already(
    state: RoomState, past: Past, run: str | None, condition: str, *, without: str | None = None
) -> bool:
    """Whether a `step:` or `fact:` condition of contract S4 holds by now.

    `fact:` does when what the id names was resolved, receipted, released or otherwise ended.

    Args:
        run: of the steps.
        without: the id of an artifact that is being withdrawn.
    """
    form, _, rest = condition.partition(":")
    if form == "step":
        return bool(past.landings(run or "", rest, without=without))
    fact = past.fact(rest) if form == "fact" else None
    return fact is not None and answered(state, fact)


def ends_standby(fact: Fact, standby: Fact) -> bool:
    """Whether a later fact ended a standby for good: by leaving, a newer standby, or landing its step.

    What refers to the standby (`wake`, `artifact`) ends it too, and is undone when it is withdrawn.
    """
    same_step = (fact.run, fact.step) == (standby.run, standby.step)
    if fact.kind == "artifact":
        return same_step and step_of(fact) is not None
    is_own = leases.owns(standby, fact.tool, fact.session_id)
    if fact.kind == "standby":
        return same_step and is_own
    return fact.kind == "leave" and is_own


def released_by(state: RoomState, fact_ref: str | None, fact: Fact) -> list[Claim]:
    """The claims that a release fact ends: the one it refs, else own ones on its paths."""
    if fact_ref is not None:
        claim = state.claims.get(fact_ref)
        return [claim] if claim is not None else []
    return leases.own_overlapping(state, fact.tool, fact.session_id, fact.paths)


def closed_by(handoff: Handoff, answer: Fact) -> bool:
    """Whether a fact that refs a handoff closes it."""
    if answer.kind == "receipt":
        return closes(handoff, str(answer.doc["state"]))
    if answer.kind == "artifact":  # that of the addressee
        target = handoff.fact.doc["target"]
        if target == "all":
            return answer.tool != handoff.fact.tool
        return bool(target == answer.tool)
    return answer.kind == "resolve"


def open_for(handoff: Handoff, tool: str) -> bool:
    """Whether an open handoff still asks something of this tool (inbox, next, enter, checks)."""
    target = handoff.fact.doc["target"]
    if target == "all":
        return handoff.fact.tool != tool and tool not in handoff.receipts
    return bool(target == tool)


def wants_review(artifact: Fact) -> bool:
    """Whether an artifact asks another tool for a review."""
    return bool(artifact.get("target", artifact.tool) != artifact.tool)


def ends_review(artifact: Fact, answer: Fact) -> bool:
    """Whether an answer is the review that an artifact asked for; `acked` is seen, not reviewed."""
    if answer.kind not in ("receipt", "resolve") or answer.tool != artifact.get("target"):
        return False
    return bool(answer.get("state") != "acked")
