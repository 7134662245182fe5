"""The answers of `log` and `show`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import block, headline, joined
from rally.model.fact import FIELDS
from rally.model.visible import one_line, pad, visible

_STYLES = {"blocker": "stop", "claim": "ok", "artifact": "ok", "handoff": "warn", "risk": "warn"}
_KIND_WIDTH, _TOOL_WIDTH = 8, 14
_HEADLINE_MIN = 12
# Written beside the others, or in a form of its own.
_APART = frozenset({"seq", "kind", "event_id", "summary", "evidence", "data"})


def show_log(data: dict[str, Any], screen: Screen) -> str:
    """One line for each fact."""
    facts = data["facts"]
    if not facts:
        return joined([f"no fact matches; head {data['head']}"])
    return joined(fact_line(fact, screen) for fact in facts)


def fact_line(fact: dict[str, Any], screen: Screen) -> str:
    """Seq, time, kind, tool, what it says; the columns are fixed, so that a stream stays aligned.

    On a terminal it is cut to fit; in a pipe it is whole.
    """
    kind = fact["kind"]
    time = fact["created_at"]
    # The date and the fraction give way where the screen is narrow.
    shown = time if screen.is_piped or screen.width >= 100 else time[11:19]
    start = f"{fact['seq']:>6}  {visible(shown)}  "
    width = screen.width - len(start) - _KIND_WIDTH - _TOOL_WIDTH - 4
    text = headline(fact)
    text = visible(text) if screen.is_piped else one_line(text, max(width, _HEADLINE_MIN))
    cells = [
        _cell(kind, _KIND_WIDTH, _STYLES.get(kind, ""), screen),
        _cell(fact["tool"], _TOOL_WIDTH, "name", screen),
        text,
    ]
    return f"{start}{'  '.join(cells)}".rstrip()


def _cell(text: str, width: int, style: str, screen: Screen) -> str:
    """A padded cell of which only the text is painted."""
    padded = pad(text, width)
    bare = padded.rstrip()
    return screen.paint(bare, style) + padded[len(bare) :]


def show_fact(data: dict[str, Any], screen: Screen) -> str:
    """The fact field by field, then what refers to it."""
    fact = data["fact"]
    head = f"{visible(fact['event_id'])}  {visible(fact['kind'])}  seq {fact['seq']}"
    lines = [screen.paint(head, "title")]
    if data["retracted"]:
        lines.append(screen.paint("withdrawn by a retract", "stop"))
    names = [name for name in FIELDS if name in fact and name not in _APART]
    names += [name for name in fact if name not in FIELDS]
    width = max(len(visible(name)) for name in names)
    lines += [f"{visible(name):<{width}}  {_value(fact[name])}" for name in names]
    if "summary" in fact:
        lines += ["summary", *block(fact["summary"])]
    for entry in fact.get("evidence", ()):
        lines += ["evidence", *block(entry)]
    if "data" in fact:
        lines += ["data", *block(_value(fact["data"]))]
    if data["referred_by"]:
        lines.append(f"referred to by ({len(data['referred_by'])})")
        lines += [f"  {fact_line(one, screen)}" for one in data["referred_by"]]
    return joined(lines)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "  ".join(visible(one) for one in value)
    from rally.cli.envelope import json_line  # few facts carry an object

    return visible(json_line(value).decode().removesuffix("\n"))
