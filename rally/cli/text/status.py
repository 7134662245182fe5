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


def show_status(data: dict[str, Any], screen: Screen) -> str:
    """A table; without rooms, how to make one."""
    rooms = data["rooms"]
    if not rooms:
        return joined(["no rooms yet; `rally enter --tool claude:1` makes one here"])
    rows: list[list[Cell]] = [
        [
            row["room"],
            str(row["head"]),
            str(row["claims"] or ""),
            (str(row["blockers"] or ""), "stop"),
            (str(row["due"] or ""), "warn"),
            str(row.get("tools") or ""),
        ]
        for row in rooms
    ]
    return joined(table(_COLUMNS, rows, screen, indent=""))
