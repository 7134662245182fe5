"""memory set, get, list: named values that outlive their authors' sessions.

A value is text of at most 60 KiB, which leaves room in its fact (contract F5: 64 KiB) for the longest
key, tool and session. It is counted as the fact's JSON writes it, where a quote, a backslash or a line
break takes two bytes: whatever is accepted here fits. Up to the 16 KiB that every summary may have, a
value is kept in `summary`, where `log --grep` looks; a longer one in `data`; its key in `subject`.
Setting an empty text is setting an empty value; withdrawing the fact (`say retract`) removes one.
"""

from __future__ import annotations

from typing import Any

import orjson

from rally.facilitation.decide.memory import remember
from rally.facilitation.intake import Asked, admit, check_caller
from rally.facilitation.ops.common import Ask, Params, Reply
from rally.model.errors import UsageError
from rally.model.fact import Fact
from rally.model.kinds import SUMMARY_BYTES_MAX
from rally.model.shell import word
from rally.model.text import check_encodable, check_identity, nearest

VALUE_BYTES_MAX = 60 * 1024


async def memory(ask: Ask) -> Reply:
    """The three actions.

    Raises:
        UsageError: a wrong or missing value; `unknown-key`.
        Refused: `version-conflict`.
    """
    action = str(ask.params.get("action", ""))
    match action:
        case "set":
            said = await ask.say(_wish(ask.params), remember)
            return Reply(
                {"action": action, **show_value(said.fact), "fact": said.fact.doc}, said.warnings
            )
        case "get":
            return Reply({"action": action, **await _get(ask)}, [])
        case "list":
            values = await ask.service.read(lambda context: list(context.state.memory.values()))
            items = [
                show_value(fact) for fact in sorted(values, key=lambda one: one.doc["subject"])
            ]
            return Reply({"action": action, "items": items, "total": len(items)}, [])
        case _:
            raise UsageError(
                "usage", f"memory has no action {action!a}; it has: set, get, list",
                hint="rally memory list",
            )  # fmt: skip


def show_value(fact: Fact) -> dict[str, Any]:
    """A value, its version, and who set it when."""
    return {
        "key": fact.doc["subject"],
        "value": (fact.get("data") or {}).get("value", fact.get("summary", "")),
        "version": fact.seq,
        "author": fact.tool,
        "set_at": fact.doc["created_at"],
        "event_id": fact.event_id,
    }


async def _get(ask: Ask) -> dict[str, Any]:
    key = _key(ask.params)
    found, keys = await ask.service.read(
        lambda context: (context.state.memory.get(key), list(context.state.memory))
    )
    if found is None:
        near = nearest(key, keys)
        raise UsageError(
            "unknown-key", f"nothing is remembered under {key!a}",
            hint=f"rally memory get {word(near)}" if near else "rally memory list",
            details={"key": key, "nearest": near},
        )  # fmt: skip
    return show_value(found)


def _key(params: Params) -> str:
    key = params.get("key")
    if not key:
        raise UsageError("missing-field", "KEY is missing", hint="rally memory get KEY")
    return check_identity(str(key), "KEY")


def _wish(params: Params) -> Asked:
    caller = check_caller(params.get("tool"), params.get("session_id"))
    key, value = _key(params), params.get("value")
    if value is None:
        raise UsageError(
            "missing-field", "VALUE is missing", hint="rally memory set KEY VALUE, or - to read it"
        )
    raw = check_encodable(str(value), "VALUE")
    size = len(orjson.dumps(value)) - len('""')
    if size > VALUE_BYTES_MAX:
        counted = "" if size == len(raw) else " as JSON"
        raise UsageError(
            "too-long", f"VALUE has {size} bytes{counted}, at most {VALUE_BYTES_MAX} are allowed",
            hint="put it into a file, and remember the file's name",
        )  # fmt: skip
    kept = {"summary": value} if len(raw) <= SUMMARY_BYTES_MAX else {"data": {"value": value}}
    asked = admit("note", caller, {"subject": key, **kept}, str)
    asked.kind = "memory"
    version = params.get("if_version")
    if version is not None:
        if version < 0:
            raise UsageError(
                "bad-value", f"--if-version is {version}; a version is 0 or more",
                hint="--if-version 0",
            )  # fmt: skip
        asked.options["if_version"] = version
    return asked
