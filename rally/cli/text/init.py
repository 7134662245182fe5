"""The answer of `init`."""

from __future__ import annotations

import os
from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.cli.text.hooks import show_diff, surface_lines
from rally.model.visible import visible

_SAID = {
    "created": "made",
    "updated": "the block is in",
    "unchanged": "the block was there already",
    "removed": "removed: nothing else was in it",
}


def show_init(data: dict[str, Any], screen: Screen) -> str:
    """Whether the room was made now, what became of each page, and what to type next."""
    room = visible(data["room"])
    if data["dry_run"]:
        first = f"would make a room in {room}\n" if data["created"] else ""
        return first + (show_diff(data["diff"], screen) if data["diff"] or not first else "")
    if data.get("removed"):
        return _removed(data)
    done = "made a room in" if data["created"] else "there is a room already in"
    lines = [f"{done} {room}  head {data['head']}"]
    lines += [f"{_name(one)}  {_SAID[one['change']]}" for one in data["files"]]
    if not data["files"] and not data["left_alone"]:
        lines.append("no AGENTS.md or CLAUDE.md here; to make them: rally init --create")
    lines += surface_lines(data["hooks"], screen)
    if data["offer"]:
        lines.append(f"to have writes checked before they happen: {visible(data['offer'])}")
    return joined(lines)


def _removed(data: dict[str, Any]) -> str:
    said = {**_SAID, "updated": "the block is out", "unchanged": "there was no block"}
    lines = [f"{_name(one)}  {said[one['change']]}" for one in data["files"]]
    return joined(lines or ["no AGENTS.md or CLAUDE.md here"])


def _name(file: dict[str, str]) -> str:
    return visible(os.path.basename(file["path"]))
