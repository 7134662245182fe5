"""The answers of `lead` and `mission`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import block, joined
from rally.model.visible import visible


def show_lead(data: dict[str, Any], screen: Screen) -> str:
    """Who holds the seat now."""
    seat = data["lead"]
    if seat is None:
        return joined(["the lead's seat is free; rally lead take --tool claude:1"])
    name = screen.paint(visible(seat["tool"]), "name")
    return joined([f"{name} leads since {visible(seat['since'])}"])


def show_mission(data: dict[str, Any], screen: Screen) -> str:
    """The goal, who set it and when."""
    mission = data["mission"]
    if mission is None:
        return joined(["no mission is set; rally mission --tool claude:1 --set 'ship 1.0'"])
    name = screen.paint(visible(mission["tool"]), "name")
    return joined([f"set by {name} at {visible(mission['since'])}", *block(mission["text"])])
