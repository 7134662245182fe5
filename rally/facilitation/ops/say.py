"""say, enter, leave, lead, mission, task: the operations that write."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide.context import warning
from rally.facilitation.intake import Asked, admit
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.ops.wish import wish
from rally.facilitation.projections.show import show_claim, show_lead, show_mission
from rally.facilitation.said import Said
from rally.model.errors import UsageError
from rally.model.text import check_tool

ATTENTION_MAX = 50
# Presence and lease keeping are no news.
NO_NEWS = frozenset({"renew"})


def said_json(said: Said) -> dict[str, Any]:
    """`data.say` (contract O1)."""
    result: dict[str, Any] = {"fact": said.fact.doc, "replayed": said.replayed}
    if said.fence is not None:
        result["fence"] = said.fence
    return result


async def say(ask: Ask) -> Reply:
    """Write one fact (contract F3); what lets go of the caller's claims says of which."""
    said = await ask.say(wish(ask.place, ask.params))
    data = said_json(said)
    if said.ended:
        data["released"] = _released(ask, said)
    return Reply(data, said.warnings)


def _released(ask: Ask, said: Said) -> list[dict[str, Any]]:
    now_ms = ask.service.clock.now_ms()
    return [show_claim(claim, now_ms) for claim in said.ended]


async def enter(ask: Ask) -> Reply:
    """Enter, and learn what must be known (contract P1)."""
    from rally.facilitation.projections import room as rooms

    asked = wish(ask.place, {**ask.params, "kind": "enter"})
    said = await ask.say(asked)
    fact, service = said.fact, ask.service
    earlier = await service.ledger.select(
        FactQuery(
            kinds=frozenset({"enter"}), tool=asked.tool, until_seq=fact.seq - 1,
            newest_first=True, limit=1, where=lambda one: one.has_effect,
        )
    )  # fmt: skip
    before = earlier[0].seq if earlier else 0
    watched = tuple(asked.content.get("paths", ()))
    news = await service.ledger.select(
        FactQuery(
            exclude_kinds=NO_NEWS, not_tool=asked.tool, since_seq=before, until_seq=fact.seq,
            newest_first=True, limit=ATTENTION_MAX + 1, hide_retracted=True,
        )
    )  # fmt: skip
    warnings = said.warnings
    if len(news) > ATTENTION_MAX and before:
        more = f"more is new than these {ATTENTION_MAX} (rally log --since {before} --limit 0)"
        warnings = [*warnings, warning("more-news", more)]
    data = await service.read(
        lambda context: rooms.enter(
            context.state,
            (asked.tool, asked.session_id),
            watched,
            context.now_ms,
            root=service.root,
            cursor=(before, fact.seq),
            news=news[ATTENTION_MAX - 1 :: -1],
        )
    )
    return Reply({**data, "fact": fact.doc}, warnings)


async def leave(ask: Ask) -> Reply:
    """Leave: claims and standbys of the caller end."""
    asked = wish(ask.place, {**ask.params, "kind": "leave"})
    said = await ask.say(asked)
    return Reply({"fact": said.fact.doc, "released": _released(ask, said)}, said.warnings)


async def lead(ask: Ask) -> Reply:
    """Show, take, give or drop the lead's seat (contract P10)."""
    action = str(ask.params.get("action", "show"))
    if action == "show":
        seat = await ask.service.read(lambda context: show_lead(context.state))
        return Reply({"action": action, "lead": seat}, [])
    tool, session_id = ask.caller()
    content: dict[str, Any] = {
        "status": {"take": "taken", "give": "given", "drop": "dropped"}[action]
    }
    if action == "give":
        to = ask.params.get("to")
        if not to:
            raise UsageError(
                "missing-field", "lead give needs --to", hint="rally lead give --to claude:2"
            )
        content["target"] = check_tool(to, name="--to")
    said = await ask.say(Asked("lead", tool, session_id, content))
    seat = await ask.service.read(lambda context: show_lead(context.state))
    return Reply({"action": action, "lead": seat, "fact": said.fact.doc}, said.warnings)


async def mission(ask: Ask) -> Reply:
    """Show or set the room's goal (contract P10)."""
    text = ask.params.get("text")
    if text is None:
        shown = await ask.service.read(lambda context: show_mission(context.state))
        return Reply({"action": "show", "mission": shown}, [])
    caller = ask.caller()
    if not str(text).strip():
        raise UsageError("bad-value", "--set is empty", hint="rally mission --set 'ship 1.0'")
    checked = admit("note", caller, {"subject": "mission", "summary": text}, ask.path)
    content = {"summary": checked.content["summary"]}
    said = await ask.say(Asked("mission", *caller, content))
    shown = await ask.service.read(lambda context: show_mission(context.state))
    return Reply({"action": "set", "mission": shown, "fact": said.fact.doc}, said.warnings)
