"""inbox (contract P4): what a tool was asked, and what became of what it asked."""

from __future__ import annotations

from typing import Any

from rally.facilitation.projections.show import last_receipt, show_handoff
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.rules import open_for
from rally.model.clock import to_rfc3339
from rally.model.fact import Fact


def inbox(state: RoomState, tool: str, now_ms: int, *, limit: int | None = None) -> dict[str, Any]:
    """Open handoffs to the tool, oldest first, and how many there are.

    Args:
        limit: most items; None for all.
    """
    items = []
    for handoff in state.handoffs.values():
        if open_for(handoff, tool):
            item = show_handoff(handoff, now_ms)
            own = handoff.receipts.get(tool)
            item["receipt"] = own.get("state") if own else None
            items.append(item)
    return {"tool": tool, "items": items[:limit], "total": len(items)}


def sent(  # noqa: PLR0913 (three kinds of history)
    state: RoomState,
    tool: str,
    now_ms: int,
    *,
    handoffs: list[Fact],
    answers: dict[str, list[Fact]],
    last_seen: dict[str, str],
) -> dict[str, Any]:
    """What the tool sent, oldest first: answered or not, by whom, and when the target was last seen.

    Args:
        handoffs: the tool's handoffs, withdrawn ones left out.
        answers: receipts, resolves and artifacts that refer to each, by event id.
        last_seen: when each target that is not in the room's list last said something.
    """
    items = []
    for fact in handoffs:
        said = answers.get(fact.event_id, [])
        receipts = [one for one in said if one.kind == "receipt"]
        open_now = state.handoffs.get(fact.event_id)
        target = fact.doc["target"]
        presence = state.tools.get(target)
        last = last_receipt(open_now) if open_now else (receipts[-1] if receipts else None)
        items.append(
            {
                **fact.doc,
                "open": open_now is not None,
                "receipt": last.get("state") if last else None,
                "answered_by": list(dict.fromkeys(one.tool for one in said)),
                "age_s": max(0, now_ms - fact.created_ms) // 1_000,
                "overdue": bool(open_now and show_handoff(open_now, now_ms)["overdue"]),
                "target_last_seen": to_rfc3339(presence.last_ms)
                if presence
                else last_seen.get(target),
            }
        )
    return {"tool": tool, "sent": True, "items": items}
