"""The answer of `next`: the action, why, and commands to paste."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.visible import visible


def show_next(data: dict[str, Any], screen: Screen) -> str:
    """Action and reason on the first line, then one command a line."""
    action = screen.paint(visible(data["action"]), "title" if data["actionable"] else "dim")
    lines = [f"{action}  {visible(data['reason'])}"]
    if data["requires_human"]:
        lines.append(screen.paint(visible(data["stop_reason"] or "a person must act"), "stop"))
    lines += [f"  {visible(command)}" for command in data["suggested_commands"]]
    ends = data["completion"]
    if ends["kind"] and data["actionable"]:
        needs = " with evidence" if ends["requires_evidence"] else ""
        then = " and released the claim" if ends["release"] else ""
        lines.append(screen.paint(f"done when you have said {ends['kind']}{needs}{then}", "dim"))
    others = data["alternatives"]
    if others:
        lines.append("also")
        width = max(len(one["action"]) for one in others)
        lines += [
            f"  {visible(one['action']):<{width}}  {visible(one['reason'])}" for one in others
        ]
    return joined(lines)
