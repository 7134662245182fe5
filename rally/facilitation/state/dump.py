"""The state as JSON and back: what a checkpoint holds.

`STATE_FORMAT` changes whenever a record or the fold changes its meaning; a checkpoint of another
format is ignored and the state is folded anew from the ledger.
"""

from __future__ import annotations

from typing import Any

import orjson

from rally.facilitation.state.entities import (
    Blocker,
    Claim,
    Handoff,
    Lead,
    Lost,
    ManagedSession,
    Presence,
    Standby,
    Task,
)
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.rules import claim_of
from rally.facilitation.state.runs import Run
from rally.model.fact import Fact, from_body

STATE_FORMAT = "4"


def _pack(fact: Fact) -> list[str]:
    return [fact.body.decode(), fact.hash]


def _unpack(packed: list[str]) -> Fact:
    return from_body(packed[0].encode(), packed[1])


def dump(state: RoomState) -> bytes:
    """The whole state as JSON; equal states give equal bytes."""
    return orjson.dumps(
        {
            "head": [state.head_seq, state.head_hash, state.time_ms],
            "artifacts_total": state.artifacts_total,
            "claims": [[_pack(c.fact), c.expires_ms] for c in state.claims.values()],
            "lost": [[_pack(one.claim.fact), one.claim.expires_ms, _pack(one.by)]
                     for one in state.lost.values()],
            "standbys": [[_pack(s.fact), s.wake_after_ms, sorted(s.held)]
                         for s in state.standbys.values()],
            "handoffs": [[_pack(h.fact), h.ack_by_ms, [_pack(r) for r in h.receipts.values()]]
                         for h in state.handoffs.values()],
            "blockers": [[_pack(b.fact), b.freeze] for b in state.blockers.values()],
            "decisions": [_pack(fact) for fact in state.decisions.values()],
            "risks": [_pack(fact) for fact in state.risks.values()],
            "reviews": [_pack(fact) for fact in state.reviews.values()],
            "resolved_for": [[tool, [_pack(fact) for fact in facts.values()]]
                             for tool, facts in sorted(state.resolved_for.items()) if facts],
            "tools": [[p.tool, p.entered_ms, p.enter_seq, p.last_ms, p.role, p.tier, p.paths,
                       p.sessions] for p in state.tools.values()],
            "lead": [state.lead.tool, state.lead.since_ms, state.lead.event_id, state.lead.seen_ms]
                    if state.lead else None,
            "mission": _pack(state.mission) if state.mission else None,
            "runs": [[run.run_id, [_pack(task.fact) for task in run.tasks.values()],
                      [[t.task_id, t.depends_on, t.priority, t.read_only]
                       for t in run.tasks.values()], sorted(run.landed)]
                     for run in state.runs.values()],
            "memory": [_pack(fact) for fact in state.memory.values()],
            "sessions": [[_pack(s.fact), _pack(s.started) if s.started else None]
                         for s in state.sessions.values()],
        }
    )  # fmt: skip


def load(payload: bytes) -> RoomState:
    """The state behind `dump`'s bytes.

    Raises:
        KeyError, TypeError, ValueError, IndexError: the bytes are none of `dump`'s.
    """
    doc: dict[str, Any] = orjson.loads(payload)
    state = RoomState()
    state.head_seq, state.head_hash, state.time_ms = doc["head"]
    state.artifacts_total = doc["artifacts_total"]
    for packed, expires_ms in doc["claims"]:
        state.add_claim(_claim(packed, expires_ms))
    lost = [Lost(_claim(packed, expires_ms), _unpack(by)) for packed, expires_ms, by in doc["lost"]]
    state.lost = {one.claim.claim_id: one for one in lost}
    for packed, wake_after_ms, held in doc["standbys"]:
        fact = _unpack(packed)
        until = tuple(fact.get("until", ()))
        state.add_standby(Standby(fact, wake_after_ms, until, set(held)))
    for packed, ack_by_ms, receipts in doc["handoffs"]:
        fact = _unpack(packed)
        answers = [_unpack(one) for one in receipts]
        state.handoffs[fact.event_id] = Handoff(fact, ack_by_ms, {a.tool: a for a in answers})
    for packed, freeze in doc["blockers"]:
        state.add_blocker(Blocker(_unpack(packed), freeze))
    for packed in doc["decisions"]:
        state.add_decision(_unpack(packed))
    state.risks = _by_id(doc["risks"])
    state.reviews = _by_id(doc["reviews"])
    state.resolved_for = {tool: _by_id(packed) for tool, packed in doc["resolved_for"]}
    for row in doc["tools"]:
        tool, entered_ms, enter_seq, last_ms, role, tier, paths, sessions = row
        state.tools[tool] = Presence(
            tool, entered_ms, enter_seq, last_ms, role, tier, tuple(paths), sessions
        )
    state.lead = Lead(*doc["lead"]) if doc["lead"] else None
    state.mission = _unpack(doc["mission"]) if doc["mission"] else None
    for run_id, facts, rows, landed in doc["runs"]:
        run = Run(run_id, landed=landed)
        for packed, (task_id, depends_on, priority, read_only) in zip(facts, rows, strict=True):
            fact = _unpack(packed)
            run.add(Task(task_id, fact, tuple(depends_on), priority, read_only))
        state.runs[run_id] = run
    state.memory = {fact.doc["subject"]: fact for fact in _by_id(doc["memory"]).values()}
    for packed, started in doc["sessions"]:
        session = ManagedSession(_unpack(packed), _unpack(started) if started else None)
        state.sessions[session.fact.get("subject", "")] = session
    return state


def _claim(packed: list[str], expires_ms: int) -> Claim:
    claim = claim_of(_unpack(packed))
    claim.expires_ms = expires_ms
    return claim


def _by_id(packed: list[list[str]]) -> dict[str, Fact]:
    facts = [_unpack(one) for one in packed]
    return {fact.event_id: fact for fact in facts}
