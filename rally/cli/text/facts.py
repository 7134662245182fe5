"""What a fact says in one line, and other pieces that several answers share.

Texts come back as agents wrote them: whoever prints one makes it visible (tables do).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rally.cli.screen import Screen
from rally.model.clock import from_rfc3339
from rally.model.durations import span
from rally.model.visible import visible

_PATHS_SHOWN = 2


def several(names: Iterable[str], most: int = _PATHS_SHOWN) -> str:
    """`a, b +3`: the first of some names, and how many more."""
    listed = list(names)
    more = f" +{len(listed) - most}" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def plural(number: int, word: str) -> str:
    """`1 claim`, `2 claims`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def held(fact: dict[str, Any]) -> str:
    """What a claim holds: paths and resources, else its step."""
    names = [*fact.get("paths", ()), *fact.get("resources", ())]
    if names:
        return several(names)
    return step_of(fact)


def step_of(fact: dict[str, Any]) -> str:
    """`run/step`, as far as there is either."""
    return "/".join(fact[name] for name in ("run", "step") if fact.get(name))


def headline(fact: dict[str, Any]) -> str:
    """What a fact is about, in as few words as it was given."""
    kind, subject = fact["kind"], fact.get("subject", "")
    parts: list[str] = []
    told = subject or fact.get("summary", "") or fact.get("reason", "")
    if kind in ("claim", "release", "enter"):
        parts.append(f"{held(fact)}:" if held(fact) and told else held(fact))
    elif step_of(fact):
        parts.append(f"[{step_of(fact)}]")
    if kind == "handoff":
        parts.append(f"to {fact.get('target')}:")
    elif kind == "lead":
        parts += [fact.get("status", ""), fact.get("target", "")]
    elif kind == "session":
        parts.append(f"{fact.get('status', '')}:")
    elif kind == "receipt":
        parts.append(fact.get("state", ""))
    elif kind == "blocker" and fact.get("severity"):
        parts.append(f"{fact['severity']}:")
    parts.append(told)
    if kind == "standby":
        parts.append(waits_for(fact))
    if fact.get("ref"):
        parts.append(f"(ref {fact['ref']})")
    return " ".join(part for part in parts if part)


def waits_for(standby: dict[str, Any]) -> str:
    """What ends a standby."""
    parts = [f"until {' and '.join(standby['until'])}"] if standby.get("until") else []
    if standby.get("wake_after"):
        parts.append(f"at {standby['wake_after']}")
    return " or ".join(parts)


def age(fact: dict[str, Any], screen: Screen) -> str:
    """How long ago a fact was said."""
    return span(screen.now_ms - from_rfc3339(fact["created_at"]))


def left(instant: str, screen: Screen) -> str:
    """How long until an instant, or how long it is past."""
    left_ms = from_rfc3339(instant) - screen.now_ms
    return span(left_ms) if left_ms > 0 else f"{span(-left_ms)} ago"


def in_time(instant: str, screen: Screen) -> str:
    """`in 5m` or `5m ago`."""
    text = left(instant, screen)
    return text if text.endswith("ago") else f"in {text}"


def block(text: str, indent: str = "  ") -> list[str]:
    """A text of several lines, indented so that it cannot pass for rally's own words."""
    shown = visible(text.expandtabs(), keep_newlines=True)
    return [f"{indent}{line}".rstrip() for line in shown.splitlines() or [""]]


def joined(lines: Iterable[str]) -> str:
    """Lines as a whole answer."""
    return "\n".join(lines) + "\n"
