"""The answer of `ui`: one short line for a status bar."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.model.visible import one_line

_SUBJECT_COLUMNS = 30


def show_ui(data: dict[str, Any], _: Screen) -> str:
    """What asks for attention first; an empty line where there is no room.

    The answer of a failure has its code under `failure`, and nothing else.
    """
    if "failure" in data:
        return f"rally: {data['failure']}\n"
    if not data["head"]:
        return "\n"
    parts = [data["tool"] or "rally"]
    if data["inbox"]:
        subject = one_line(data["item"].get("subject", ""), _SUBJECT_COLUMNS)
        parts.append(f"inbox {data['inbox']}: {subject}")
    for count, one, many in (
        (data["due"], "due", "due"),
        (data["blockers"], "blocker", "blockers"),
        (data["claims"], "claim", "claims"),
    ):
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
    return "  ".join(parts if len(parts) > 1 else [*parts, "quiet"]) + "\n"


def show_tmux_status(data: dict[str, Any], screen: Screen) -> str:
    """The same with every `#` doubled: tmux reads `#[…]`, `#{…}` and `#(…)` in what a command printed,
    and the last one is a command of its own."""
    return show_ui(data, screen).replace("#", "##")
