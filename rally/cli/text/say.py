"""The answer of `say`: what was written, under which id, with which fence."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import held, in_time, joined
from rally.model.visible import visible


def show_say(data: dict[str, Any], screen: Screen) -> str:
    """One line with what others need to refer to the fact; a claim says what it holds."""
    fact = data["fact"]
    words = [screen.paint(visible(fact["event_id"]), "name"), f"seq {fact['seq']}"]
    if data.get("fence") is not None:
        words.append(f"fence {data['fence']}")
    if data["replayed"]:
        words.append("(said before with this key)")
    lines = ["  ".join(words)]
    if fact["kind"] == "standby":
        lines += _asleep(fact, screen)
    for one in data.get("released", ()):
        lines.append(f"released {visible(held(one))}  {visible(one['event_id'])}")
    if fact["kind"] == "claim" and held(fact):
        until = fact.get("lease_expires_at")
        lease = f"  lease ends {until} ({in_time(until, screen)})" if until else ""
        names = ", ".join([*fact.get("paths", ()), *fact.get("resources", ())]) or held(fact)
        holds = "was granted" if data["replayed"] else "holds"
        lines.append(f"{holds} {visible(names)}{lease}")
    return joined(lines)


def _asleep(standby: dict[str, Any], screen: Screen) -> list[str]:
    """What ends the sleep; nothing where only the sleeper does."""
    wakes = [visible(" and ".join(standby["until"]))] if standby.get("until") else []
    if at := standby.get("wake_after"):
        wakes.append(f"{at} ({in_time(at, screen)})")
    return [f"asleep until {' or '.join(wakes)}"] if wakes else []
