"""The answer of `wait`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.durations import span
from rally.model.visible import visible


def show_wait(data: dict[str, Any], screen: Screen) -> str:
    """Each condition and whether it holds."""
    lines = []
    for one in data["conditions"]:
        holds = screen.paint("holds", "ok") if one["holds"] else screen.paint("open ", "dim")
        lines.append(f"{holds}  {visible(one['condition'])}")
    return joined([*lines, f"waited {span(data['waited_ms'])}"])
