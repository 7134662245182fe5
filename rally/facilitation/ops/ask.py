"""room, next, inbox, wake-due, whoami: questions about now."""

from __future__ import annotations

from typing import Any

from rally import __version__
from rally.facilitation.decide.context import Context
from rally.facilitation.intake import check_caller
from rally.facilitation.ledger.port import FactQuery, Ledger
from rally.facilitation.ops.common import LIST_LIMIT_DEFAULT, Ask, Reply
from rally.facilitation.projections import inbox as inboxes
from rally.facilitation.projections import room as rooms
from rally.facilitation.projections.next_action import next_action
from rally.facilitation.projections.show import show_claim, tool_status
from rally.facilitation.projections.wake_due import next_due_ms, wake_due
from rally.facilitation.state.leases import own_claims
from rally.model.clock import to_rfc3339
from rally.model.fact import Fact
from rally.model.text import check_identity, check_tool


def lens_of(ask: Ask) -> rooms.Lens:
    """The filters of `room`."""
    params = ask.params
    tool = params.get("tool")
    if tool:
        check_tool(tool)
    run = params.get("run")
    return rooms.Lens(
        tool=tool or None,
        paths=ask.paths(),
        run=check_identity(run, "--run") if run else None,
        since_seq=ask.seq("since") or 0,
        limit=ask.limit(LIST_LIMIT_DEFAULT),
    )


async def room(ask: Ask) -> Reply:
    """The whole room (contract P2)."""
    lens, service = lens_of(ask), ask.service
    query = FactQuery(
        kinds=frozenset({"artifact"}), run=lens.run, since_seq=lens.since_seq,
        newest_first=True, limit=lens.limit or None, hide_retracted=True,
        where=lens.sees if lens.tool or lens.paths else None,
    )  # fmt: skip
    artifacts = await service.ledger.select(query)
    matching = None
    if not lens.wide_open:
        matching = await service.ledger.count(query)
    waiting = [entry.shown for entry in service.queue.entries]

    def look(context: Context) -> dict[str, Any]:
        total = context.state.artifacts_total if matching is None else matching
        return rooms.room(
            context.state, lens, context.now_ms, artifacts=(artifacts, total), waiting=waiting
        )

    return Reply({"room": service.root, **await service.read(look)}, [])


async def next_(ask: Ask) -> Reply:
    """The one thing to do now (contract P3)."""
    caller = ask.caller()
    run = ask.params.get("run")
    data = await ask.service.read(
        lambda context: next_action(context.state, caller, context.now_ms, run=run), renews=caller
    )
    return Reply({"tool": caller[0], **data}, [])


async def inbox(ask: Ask) -> Reply:
    """What a tool was asked; with `sent`, what it asked others (contract P4)."""
    caller = ask.caller()
    tool = caller[0]
    limit = ask.limit(LIST_LIMIT_DEFAULT) or None
    if not ask.params.get("sent"):
        data = await ask.service.read(
            lambda context: inboxes.inbox(context.state, tool, context.now_ms, limit=limit),
            renews=caller,
        )
        return Reply(data, [])
    ledger = ask.service.ledger
    query = FactQuery(
        kinds=frozenset({"handoff"}), tool=tool, hide_retracted=True, newest_first=True, limit=limit
    )
    handoffs = await ledger.select(query)
    answers: dict[str, list[Fact]] = {}
    last_seen: dict[str, str] = {}
    for fact in handoffs:
        answers[fact.event_id] = await _answers(ledger, fact)
        target = fact.doc["target"]
        if target not in last_seen and target != "all":
            newest = await ledger.select(FactQuery(tool=target, newest_first=True, limit=1))
            if newest:
                last_seen[target] = newest[0].doc["created_at"]
    data = await ask.service.read(
        lambda context: inboxes.sent(
            context.state, tool, context.now_ms,
            handoffs=handoffs[::-1], answers=answers, last_seen=last_seen,
        ),
        renews=caller,
    )  # fmt: skip
    return Reply({**data, "total": await ledger.count(query)}, [])


async def _answers(ledger: Ledger, handoff: Fact) -> list[Fact]:
    """What its addressee answered to a handoff, in order, without what was withdrawn."""
    about = await ledger.about(handoff.event_id)
    withdrawn = await ledger.retracted([one.event_id for one in about])
    target = handoff.doc["target"]
    return [
        one
        for one in about
        if one.kind in ("receipt", "resolve", "artifact")
        and one.tool != handoff.tool
        and target in (one.tool, "all")
        and one.event_id not in withdrawn
        and one.has_effect
    ]


async def due(ask: Ask) -> Reply:
    """Standbys that are due (contract P6), all of them or the one with an `id`; writes nothing."""
    tool = ask.params.get("tool")
    if tool:
        check_tool(tool)

    standby_id = ask.params.get("id")

    def look(context: Context) -> dict[str, Any]:
        following = next_due_ms(context.state, context.now_ms)
        return {
            "due": wake_due(
                context.state, context.now_ms, tool=tool or None, standby_id=standby_id
            ),
            "next_due_at": to_rfc3339(following) if following is not None else None,
        }

    return Reply(await ask.service.read(look), [])


async def whoami(ask: Ask) -> Reply:
    """How this room sees the caller; without a tool, only where the caller is."""
    tool = ask.params.get("tool")
    caller = check_caller(tool, ask.params.get("session_id")) if tool else None

    def look(context: Context) -> dict[str, Any]:
        state, now_ms = context.state, context.now_ms
        data: dict[str, Any] = {
            "tool": caller[0] if caller else None,
            "session_id": caller[1] if caller else None,
            "room": ask.service.root,
            "working_tree": ask.place.top,
            "head": state.head_seq,
            "version": __version__,
            "entered": False,
        }
        if caller is None:
            return data
        presence = state.tools.get(caller[0])
        if presence is not None:
            data["entered"] = presence.present
            data["role"] = presence.role
            data["tier"] = presence.tier
            data["status"] = tool_status(state, presence, now_ms)
            data["last_seen"] = to_rfc3339(presence.last_ms)
        data["is_lead"] = state.is_led_by(caller[0])
        data["claims"] = [show_claim(claim, now_ms) for claim in own_claims(state, *caller)]
        return data

    return Reply(await ask.service.read(look, renews=caller), [])
