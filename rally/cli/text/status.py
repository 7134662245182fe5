"""The answer of `status`: one row for each room of this user."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import joined

_COLUMNS = (
    Column("room", 20),
    Column("head", right=True),
    Column("claims", right=True),
    Column("blockers", right=True),
    Column("due", right=True),
    Column("agents", right=True),
)


_UNREADABLE = (Column("room", 20), Column("code"), Column("then"))
_SUMMED = (("claims", ""), ("blockers", "stop"), ("due", "warn"), ("tools", ""))


def show_status(data: dict[str, Any], screen: Screen) -> str:
    """A table with a line of sums, and the rooms that cannot be read; without rooms, how to make one."""
    rooms, unreadable = data["rooms"], data["unreadable"]
    if not rooms and not unreadable:
        return joined(["no rooms yet; `rally enter --tool claude:1` makes one here"])
    rows: list[list[Cell]] = [
        [row["room"], str(row["head"]), *(_count(row[name], style) for name, style in _SUMMED)]
        for row in rooms
    ]
    if len(rooms) > 1:
        sums = [_count(sum(row[name] for row in rooms), style) for name, style in _SUMMED]
        rows.append([(f"{len(rooms)} rooms", "dim"), "", *sums])
    lines = table(_COLUMNS, rows, screen, indent="")
    if unreadable:
        lines += ["", screen.paint(f"not readable ({len(unreadable)})", "stop")] if lines else []
        broken: list[list[Cell]] = [
            [one["room"], (one["code"], "stop"), one["hint"]] for one in unreadable
        ]
        lines += table(_UNREADABLE, broken, screen, indent="")
    return joined(lines)


def _count(number: int, style: str) -> Cell:
    return (str(number or ""), style)
