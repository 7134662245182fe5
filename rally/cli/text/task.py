"""The answers of `task`."""

from __future__ import annotations

from shlex import quote
from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import block, joined, several
from rally.model.visible import visible

_COLUMNS = (
    Column("task", 8),
    Column("status"),
    Column("tool", 8),
    Column("priority", right=True),
    Column("owns", 10),
    Column("after", 8),
    Column("intent", 12),
)
_SPOKEN = {"in_flight": "in flight"}


def show_task(data: dict[str, Any], screen: Screen) -> str:
    """What one of the five actions came to."""
    match data["action"]:
        case "list":
            return _list(data, screen)
        case "take":
            return _take(data, screen)
        case action:
            task, fact = data["task"], data.get("fact") or {}
            done = {"add": "added", "done": "landed", "drop": "given back"}[action]
            where = f"{visible(str(task['id']))} of run {visible(str(task['run']))}"
            said = f"  {visible(fact['event_id'])}  seq {fact['seq']}" if fact else ""
            return joined([f"{done} {where}{said}"])


def _list(data: dict[str, Any], screen: Screen) -> str:
    tasks, run = data["tasks"], visible(str(data["run"]))
    if not tasks:
        return joined(
            [
                f"run {run} has no tasks; rally task add --run {run} --id ID --intent TEXT --owns PATH"
            ]
        )
    rows: list[list[Cell]] = [
        [
            (str(task["id"]), "name"),
            ("ready", "ok")
            if task["ready"]
            else (_SPOKEN.get(task["status"], task["status"]), task["status"]),
            task.get("tool") or "",
            str(task["priority"]),
            "read-only" if task["owns"] == "read-only" else several(task["owns"]),
            several(task["depends_on"]),
            task.get("intent") or "",
        ]
        for task in tasks
    ]
    title = screen.paint(f"run {run}", "title")
    return joined([f"{title} ({len(tasks)} tasks)", *table(_COLUMNS, rows, screen)])


def _take(data: dict[str, Any], screen: Screen) -> str:
    task, fact = data["task"], data["fact"]
    name, run = str(task["id"]), str(task["run"])
    took = f"took {screen.paint(visible(name), 'name')} of run {visible(run)}"
    lines = [f"{took}  {visible(fact['event_id'])}  fence {data['fence']}"]
    if data.get("packet"):
        return joined([*lines, "", *block(data["packet"], indent="")])
    owns = task["owns"] if task["owns"] == "read-only" else " ".join(task["owns"])
    lines += [f"owns  {visible(owns)}", *block(str(task["intent"]))]
    for title in ("validation", "output"):
        if task.get(title):
            lines += [title, *block(str(task[title]))]
    end = f"rally task done --run {quote(run)} --id {quote(name)} --tool {quote(fact['tool'])}"
    return joined([*lines, f"then  {visible(end)} --evidence '…'"])
