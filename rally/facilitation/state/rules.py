"""Small questions about facts that fold, retraction, decisions and views all ask, answered once."""

from __future__ import annotations

from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim, Handoff, Run
from rally.facilitation.state.past import Past
from rally.facilitation.state.room import RoomState
from rally.model.clock import from_rfc3339
from rally.model.durations import parse_duration_ms
from rally.model.fact import Fact

# Receipts that close a handoff for good, by its intent (contract section 4).
ACCEPT_CLOSES = frozenset({"plan", "shutdown", "question", "message"})


def said_by(fact: Fact, other: Fact) -> bool:
    """The owner test of C5 for facts that are not claims."""
    if fact.tool != other.tool:
        return False
    return not fact.session_id or not other.session_id or fact.session_id == other.session_id


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


def forget_finished(state: RoomState, run: Run) -> None:
    """A run whose every task landed is history: the ledger answers for it from now on."""
    if run.tasks.keys() <= run.landed:
        state.runs.pop(run.run_id, None)


def unscoped(fact: Fact) -> bool:
    """Whether a blocker names neither a path, nor a resource, nor a step of a run."""
    return not (fact.paths or fact.get("resources") or (fact.run and fact.step))


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


def fact_answered(state: RoomState, past: Past, event_id: str) -> bool:
    """Contract S4 `fact:`: what the id names was resolved, receipted, released or otherwise ended."""
    if event_id in state.claims or event_id in state.blockers or event_id in state.risks:
        return False
    if event_id in state.handoffs:
        return bool(state.handoffs[event_id].receipts)
    if event_id in state.reviews or event_id in state.standbys:
        return False
    fact = past.fact(event_id)
    if fact is None:
        return False
    # What could be answered and is open no longer has been answered, or ended otherwise.
    asked_review = fact.kind == "artifact" and "target" in fact.doc
    return asked_review or fact.kind in ("claim", "blocker", "risk", "handoff", "standby")


def released_by(state: RoomState, fact_ref: str | None, fact: Fact) -> list[Claim]:
    """The claims that a release fact ends: the one it refs, else own ones on its paths."""
    if fact_ref is not None:
        claim = state.claims.get(fact_ref)
        return [claim] if claim is not None else []
    return leases.own_overlapping(state, fact.tool, fact.session_id, fact.paths)


def addressed(handoff: Handoff, tool: str) -> bool:
    return handoff.fact.doc["target"] in ("all", tool)
