"""session: the facts about managed agent sessions (contract X2). Facts only: nothing runs here.

A session is opened by one fact (`starting` or `adopted`), whose event id is the session id that the
agent gets; `started` tells in which pane it runs; one more fact ends it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rally.facilitation.decide import sessions as deciding
from rally.facilitation.decide.context import Context
from rally.facilitation.intake import Asked, check_caller, check_data
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import Ask, Params, Reply
from rally.facilitation.state.entities import ManagedSession
from rally.facilitation.state.past import Wants
from rally.facilitation.state.rules import open_for
from rally.model.errors import UsageError
from rally.model.fact import Fact
from rally.model.kinds import SHORT_TEXT_BYTES_MAX
from rally.model.session_names import check_session_name
from rally.model.text import check_choice, check_encodable, check_identity, check_tool

OPENING = {"start": "starting", "adopt": "adopted"}


async def session(ask: Ask) -> Reply:
    """The actions on session facts: start, adopt, started, end, list, find, handoff.

    Raises:
        UsageError: a wrong or missing value; `unknown-id`, `wrong-kind`.
        Refused: `name-taken`, `pane-taken`, `already-closed`.
    """
    action = str(ask.params.get("action", ""))
    match action:
        case "start" | "adopt":
            return await _open(ask, action)
        case "started" | "end":
            return await _tell(ask, action)
        case "list":
            rows = await ask.service.read(_all)
            return _reply(ask, action, {"sessions": rows, "total": len(rows)})
        case "find":
            return await _find(ask)
        case "handoff":
            return await _handoff(ask)
        case _:
            raise UsageError(
                "usage", f"session has no action {action!a}", hint="rally sessions",
                details={"choices": [*OPENING, "started", "end", "list", "find", "handoff"]},
            )  # fmt: skip


def show_session(one: ManagedSession) -> dict[str, Any]:
    """A session that nobody ended, as the ledger knows it; whether it lives is not in the ledger."""
    fact = one.fact
    return {
        **_identity(fact),
        "session_id": fact.event_id,
        "status": "started" if one.started else fact.doc["status"],
        "since": fact.doc["created_at"],
        "by": fact.tool,
        **(fact.get("data") or {}),
        **((one.started.get("data") or {}) if one.started else {}),
    }


def _identity(fact: Fact) -> dict[str, Any]:
    name = fact.get("subject", "")
    return {"name": name, "tool": fact.get("target", name)}


def _all(context: Context) -> list[dict[str, Any]]:
    return [show_session(one) for one in context.state.sessions.values()]


async def _open(ask: Ask, action: str) -> Reply:
    asked = _opening(ask.params)
    if ask.params.get("dry_run"):
        return _reply(ask, action, await ask.service.read(partial(_preview, asked)))
    said = await ask.say(asked, deciding.begin)
    row = show_session(ManagedSession(said.fact))
    return _reply(ask, action, {"session": row, "fact": said.fact.doc}, said.warnings)


def _preview(asked: Asked, context: Context) -> dict[str, Any]:
    """What opening it would come to; nothing is written."""
    content = deciding.begin(context, asked).contents[0]
    return {"session": {"name": content["subject"], "tool": content["target"]}}


def _opening(params: Params) -> Asked:
    caller = check_caller(params.get("tool"), params.get("session_id"))
    content: dict[str, Any] = {
        "status": OPENING[str(params["action"])],
        "data": check_data(params.get("data") or {}),
    }
    if params.get("name"):
        content["subject"] = check_session_name(str(params["name"]))
    if params.get("target"):
        content["target"] = check_tool(str(params["target"]))
    agent = check_session_name(str(params.get("agent") or ""), "the agent")
    content["data"]["agent"] = agent
    options = {"agent": agent, "avoid": frozenset(params.get("avoid") or ())}
    return Asked("session", *caller, content, options)


async def _tell(ask: Ask, action: str) -> Reply:
    params = ask.params
    ref = check_identity(str(params.get("id") or ""), "the session id")
    content: dict[str, Any] = {"ref": ref, "status": "started"}
    if params.get("data"):
        content["data"] = check_data(params["data"])
    if action == "end":
        content["status"] = check_choice(str(params.get("status")), "status", deciding.ENDINGS)
    reason = str(params.get("reason") or "")
    if reason:
        kept = check_encodable(reason, "--reason")[:SHORT_TEXT_BYTES_MAX]
        content["reason"] = kept.decode(errors="ignore")
    decider = deciding.end if action == "end" else deciding.started
    said = await ask.say(Asked("session", *ask.caller(), content), decider)
    return _reply(ask, action, {"fact": said.fact.doc}, said.warnings)


async def _find(ask: Ask) -> Reply:
    """Live sessions with this name or tool id; else what else is known under it."""
    wanted = check_identity(str(ask.params.get("target") or ""), "TARGET")

    def look(context: Context) -> tuple[list[dict[str, Any]], bool]:
        rows = _all(context)
        named = [row for row in rows if wanted in (row["name"], row["tool"])]
        return named, wanted in context.state.tools

    matches, is_tool = await ask.service.read(look)
    ledger = ask.service.ledger
    last: dict[str, Any] | None = None
    if not matches:
        is_tool = is_tool or bool(await ledger.select(FactQuery(tool=wanted, limit=1)))
        query = FactQuery(
            kinds=frozenset({"session"}), newest_first=True, limit=1,
            where=lambda fact: wanted in (fact.get("subject"), fact.get("target")),
        )  # fmt: skip
        for fact in await ledger.select(query):
            last = {**_identity(fact), "fact": fact.doc}
    return _reply(ask, "find", {"matches": matches, "last": last, "is_tool": is_tool})


async def _handoff(ask: Ask) -> Reply:
    """A handoff, and whether it still asks something of a tool."""
    wanted = check_identity(str(ask.params.get("id") or ""), "--handoff")
    tool = check_tool(str(ask.params.get("target") or ""))

    def look(context: Context) -> tuple[Fact, bool]:
        fact = context.known_kind(wanted, "--handoff", ("handoff",))
        live = context.state.handoffs.get(fact.event_id)
        return fact, live is not None and open_for(live, tool)

    fact, is_open = await ask.service.read(look, wants=Wants(ids={wanted}))
    return _reply(ask, "handoff", {"fact": fact.doc, "open": is_open})


def _reply(
    ask: Ask, action: str, data: dict[str, Any], warnings: list[dict[str, str]] | None = None
) -> Reply:
    return Reply({"action": action, "room": ask.service.root, **data}, warnings or [])
