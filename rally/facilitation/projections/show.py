"""How live records are shown: as the fact that opened them, with what has changed since."""

from __future__ import annotations

from typing import Any

from rally.facilitation.checks.closing import is_overdue
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim, Handoff, Presence
from rally.facilitation.state.room import RoomState
from rally.model.clock import to_rfc3339
from rally.model.fact import Fact

IDLE_AFTER_MS = 10 * 60_000


def show_claim(claim: Claim, now_ms: int) -> dict[str, Any]:
    """The claim's fact with the lease as it stands now and `status` live or lapsed."""
    return {
        **claim.fact.doc,
        "lease_expires_at": to_rfc3339(claim.expires_ms),
        "fence": claim.seq,
        "status": "live" if leases.binds(claim, now_ms) else "lapsed",
    }


def last_receipt(handoff: Handoff) -> Fact | None:
    """The newest answer to a handoff."""
    return max(handoff.receipts.values(), key=lambda fact: fact.seq, default=None)


def show_handoff(handoff: Handoff, now_ms: int) -> dict[str, Any]:
    """The handoff's fact plus `receipt` (state of the last answer or null), `age_s` and `overdue`."""
    last = last_receipt(handoff)
    return {
        **handoff.fact.doc,
        "receipt": last.get("state") if last else None,
        "age_s": max(0, now_ms - handoff.fact.created_ms) // 1_000,
        "overdue": is_overdue(handoff, now_ms),
    }


def show_tool(state: RoomState, presence: Presence, now_ms: int) -> dict[str, Any]:
    """One row of `tools[]` (contract P2)."""
    held = [state.claims[one] for one in state.claims_by_tool.get(presence.tool, ())]
    return {
        "tool": presence.tool,
        "role": presence.role,
        "tier": presence.tier,
        "status": tool_status(state, presence, now_ms),
        "last_seen": to_rfc3339(presence.last_ms),
        "claims": sum(leases.binds(claim, now_ms) for claim in held),
        "sessions": [session for session in presence.sessions if session],
    }


def tool_status(state: RoomState, presence: Presence, now_ms: int) -> str:
    """`gone` after leave, `standby` while one is open, `idle` after ten silent minutes, `active`."""
    if not presence.present:
        return "gone"
    if any(standby.fact.tool == presence.tool for standby in state.standbys.values()):
        return "standby"
    return "idle" if now_ms - presence.last_ms > IDLE_AFTER_MS else "active"


def show_lead(state: RoomState) -> dict[str, Any] | None:
    """Who leads: `{tool, since, event_id}`, or null."""
    lead = state.lead
    if lead is None:
        return None
    return {"tool": lead.tool, "since": to_rfc3339(lead.since_ms), "event_id": lead.event_id}


def show_mission(state: RoomState) -> dict[str, Any] | None:
    """The room's goal: `{text, tool, since, event_id}`, or null."""
    fact = state.mission
    if fact is None:
        return None
    return {
        "text": fact.get("summary", ""),
        "tool": fact.tool,
        "since": fact.get("created_at"),
        "event_id": fact.event_id,
    }
