"""The texts that a hook gives an agent: short, and harmless whatever others wrote (contract O5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.presence import show_enter
from rally.hosts.hooks import TEXT_CHARS_MAX
from rally.model.shell import option, word
from rally.model.visible import one_line, visible

_LINES_MAX = 5
_LINE_CHARS_MAX = 600
_ENTRIES_MAX = 6
_WAIT = "90s"  # less than agents give a command
_WIDTH = 100
_INTRODUCTION = (
    "rally: other agents work in this repository too. Your writes are checked, and stopped where "
    "somebody else has claimed the path."
)
_NO_NEWS = frozenset(("enter", "leave", "session"))
_LISTS = ("do", "do_not", "respond_to", "know", "attention")

Caller = tuple[str, str | None]
Finding = Mapping[str, Any]


def who(caller: Caller) -> str:
    """`--tool T --session-id S`, as far as there is a session."""
    tool, session_id = caller
    return f"--tool {word(tool)}" + (f" {option('--session-id', session_id)}" if session_id else "")


def stopped(findings: Iterable[Finding], caller: Caller, elsewhere: str | None = None) -> str:
    """Why a write is blocked, by whom, until when, and what can be done instead.

    Args:
        elsewhere: the root of the room that it is in, where that is not the session's.
    """
    stops = list(findings)
    lines = ["rally stopped this write:"]
    for one in stops[:_LINES_MAX]:
        named = f" ({visible(one['fact_id'])})" if one.get("fact_id") else ""
        lines.append(f"- {one_line(one['message'], _LINE_CHARS_MAX)}{named}")
    if len(stops) > _LINES_MAX:
        lines.append(f"- and {len(stops) - _LINES_MAX} more")
    lines.append("Leave these paths alone, also by other means. Instead:")
    lines.append(f"- go on elsewhere: rally next --tool {word(caller[0])}")
    first = stops[0]
    room = f" {option('--room', elsewhere)}" if elsewhere else ""
    if first.get("fact_id") and first["code"] == "claimed-path":
        claim, owner = first["fact_id"], first["owner"]
        until = word(f"free:{first['path']}")  # `fact:` would stay open if the lease lapses
        if elsewhere:  # nobody is woken in a room that he has not entered
            lines.append(
                f"- wait until it is free: rally wait{room} {who(caller)} --until {until}"
                f" --timeout {_WAIT}"
            )
        else:
            lines.append(
                f"- be woken when it is free: rally say standby {who(caller)} --until {until}"
            )
        lines.append(
            f"- ask its owner: rally say handoff{room} --tool {word(caller[0])}"
            f" --target {word(owner)} --intent question --subject 'may I have {claim}?'"
        )
    elif first.get("fact_id"):
        lines.append(f"- see why: rally show{room} {visible(first['fact_id'])}")
    return _cut("\n".join(lines))


def refused(
    message: str,
    conflicts: Iterable[Mapping[str, Any]],
    caller: Caller,
    elsewhere: str | None = None,
) -> str:
    """Why a write is blocked whose paths somebody else claimed a moment before; see `stopped`."""
    findings = [
        {
            "code": "claimed-path",
            "message": message,
            "path": one["path"],
            "fact_id": one["claim_id"],
            "owner": one["owner"],
        }
        for one in conflicts
    ]
    return stopped(
        findings[:1] or [{"code": "claim-conflict", "message": message}], caller, elsewhere
    )


def remarks(findings: Iterable[Finding]) -> str:
    """What an agent should know about a write that is not stopped; empty for nothing."""
    told = list(dict.fromkeys(one_line(one["message"], _LINE_CHARS_MAX) for one in findings))
    more = [f"- and {len(told) - _LINES_MAX} more"] if len(told) > _LINES_MAX else []
    lines = [*(f"- {one}" for one in told[:_LINES_MAX]), *more]
    return _cut("\n".join(["rally notes about this write:", *lines])) if lines else ""


def welcome(data: Mapping[str, Any], caller: Caller, now_ms: int) -> str:
    """What an agent must know that has just entered."""
    tool = word(caller[0])
    # Of what is new the newest; of all else what waits longest.
    cut = {name: list(data[name])[:_ENTRIES_MAX] for name in _LISTS}
    cut["attention"] = _news(data)[-_ENTRIES_MAX:]
    screen = Screen(_WIDTH, is_piped=True, colour=False, now_ms=now_ms)
    lines = [
        _INTRODUCTION,
        show_enter({**data, **cut}, screen).rstrip("\n"),
    ]
    left_out = sum(len(data[name]) - len(cut[name]) for name in _LISTS[:-1])
    if left_out:
        lines.append(f"{left_out} more are left out here: rally room")
    lines += [
        f"Your id is {tool}: give it to the rally commands that you run, as below or in RALLY_TOOL.",
        f"- what to do now: rally next --tool {tool}",
        f"- before a larger piece of work: rally say claim {who(caller)} --path DIR/ --subject WHAT",
    ]
    return _cut("\n".join(lines))


def _news(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is new and not told elsewhere; who came and went is no news to an agent that begins."""
    told = {one["event_id"] for name in _LISTS[:-1] for one in data[name]}
    return [
        one
        for one in data["attention"]
        if one["event_id"] not in told and one["kind"] not in _NO_NEWS
    ]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 2]}\n…"
