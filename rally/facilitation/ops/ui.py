"""ui: what a status bar shows of a room."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.projections.inbox import inbox
from rally.facilitation.projections.summary import summary
from rally.model.text import check_tool


async def ui(ask: Ask) -> Reply:
    """The room in numbers; for a tool also what it was asked, and the oldest of that.

    A bar asks every few seconds, whether its agent lives or not: that is no activity, so it renews
    no lease.
    """
    tool = ask.params.get("tool") or None
    if tool:
        check_tool(tool)

    def look(context: Context) -> dict[str, Any]:
        state, now_ms = context.state, context.now_ms
        nothing: dict[str, Any] = {"items": [], "total": 0}
        asked = inbox(state, tool, now_ms, limit=1) if tool else nothing
        return {
            "room": ask.service.root,
            "tool": tool,
            "head": state.head_seq,
            **summary(state, now_ms),
            "inbox": asked["total"],
            "item": next(iter(asked["items"]), None),
        }

    return Reply(await ask.service.read(look), [])
