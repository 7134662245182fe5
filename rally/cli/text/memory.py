"""The answers of `memory`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import joined
from rally.model.visible import visible

_COLUMNS = (
    Column("key", 8),
    Column("version", right=True),
    Column("author", 8),
    Column("set at"),
    Column("value", 12),
)


def show_memory(data: dict[str, Any], screen: Screen) -> str:
    """What one of the three actions came to; `get` prints the value alone, for `$(…)`."""
    match data["action"]:
        case "get":
            return visible(data["value"], keep_newlines=True) + "\n"
        case "set":
            key = screen.paint(visible(data["key"]), "name")
            return joined([f"set {key}  version {data['version']}"])
        case _:
            return _list(data["items"], screen)


def _list(items: list[dict[str, Any]], screen: Screen) -> str:
    if not items:
        return joined(["nothing is remembered; rally memory set KEY VALUE --tool claude:1"])
    rows: list[list[Cell]] = [
        [(one["key"], "name"), str(one["version"]), one["author"], one["set_at"], one["value"]]
        for one in items
    ]
    return joined(table(_COLUMNS, rows, screen))
