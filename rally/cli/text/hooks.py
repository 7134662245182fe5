"""The answers of `hooks`, and the part of `init` that is about files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import joined
from rally.model.visible import visible

_COLUMNS = (
    Column("surface"),
    Column("scope"),
    Column("state"),
    Column("options"),
    Column("file", 20),
    Column("done"),
    Column("trust"),
)
_STYLES = {"installed": "ok", "absent": "dim", "broken": "stop"}


def show_hooks(data: dict[str, Any], screen: Screen) -> str:
    """How each surface is, what was done, and what to know about it."""
    if data.get("dry_run"):
        return show_diff(data["diff"], screen)
    return joined(surface_lines(data["surfaces"], screen))


def show_diff(diff: str, screen: Screen) -> str:
    """What would change; the diff's lines were made visible when it was made."""
    if not diff:
        return joined(["nothing would change"])
    styles = {"+": "ok", "-": "stop", "@": "name"}
    lines = diff.splitlines()
    return joined(screen.paint(line, styles.get(line[:1], "")) for line in lines)


def surface_lines(surfaces: Sequence[dict[str, Any]], screen: Screen) -> list[str]:
    """A table of surfaces, then problems and notes, a line each."""
    lines = table(_COLUMNS, [_row(one) for one in surfaces], screen, indent="")
    lines += [visible(f"{one['surface']}: {one['problem']}") for one in surfaces if one["problem"]]
    notes = [note for one in surfaces for note in one.get("notes", ())]
    return [*lines, *(f"note: {visible(note)}" for note in notes)]


def _row(surface: dict[str, Any]) -> Sequence[Cell]:
    state = surface["state"]
    files = surface["files"] if state != "absent" else []
    changes = surface.get("changes", [])
    touched = [one for one in changes if one["change"] != "unchanged"]
    files = [one["path"] for one in touched] or files
    done = [one["change"] for one in touched] or [one["change"] for one in changes]
    return (
        surface["surface"],
        surface["scope"],
        (state, _STYLES.get(state, "warn")),
        ", ".join(surface["options"]),
        ", ".join(short(path) for path in files),
        ", ".join(dict.fromkeys(done)),
        surface["trust"],
    )


def short(path: str) -> str:
    """A path as people write it: from their folder or their home, where it is below one of them."""
    with suppress(FileNotFoundError):  # the folder may be gone
        folder = os.getcwd().rstrip("/")
        if path.startswith(f"{folder}/"):
            return path[len(folder) + 1 :]
    home = os.path.expanduser("~").rstrip("/")
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home}/") else path
