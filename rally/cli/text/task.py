"""The answers of `task`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import joined, plural, several
from rally.model.shell import word
from rally.model.visible import visible

_COLUMNS = (
    Column("task", 16),
    Column("status"),
    Column("tool", 16),
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
            done = "added before, as it is:" if data.get("replayed") else done
            where = f"{visible(str(task['id']))} of run {visible(str(task['run']))}"
            said = f"  {visible(fact['event_id'])}  seq {fact['seq']}" if fact else ""
            return joined([f"{done} {where}{said}"])


def _list(data: dict[str, Any], screen: Screen) -> str:
    tasks, run = data["tasks"], visible(str(data["run"]))
    if not tasks:
        command = f"rally task add --run {word(str(data['run']))} --id ID --owns PATH"
        return joined([f"run {run} has no tasks; {command} --intent TEXT --tool TOOL"])
    rows: list[list[Cell]] = [
        [
            (str(task["id"]), "name"),
            _state(task),
            "" if task["ready"] else task.get("tool") or "",  # who gave it back has it no more
            str(task["priority"]),
            "read-only" if task["owns"] == "read-only" else several(task["owns"]),
            several(task["depends_on"]),
            task.get("intent") or "",
        ]
        for task in tasks
    ]
    title = screen.paint(f"run {run}", "title")
    blocked = blocked_lines(tasks)
    lines = [f"{title} ({plural(len(tasks), 'task')})", *table(_COLUMNS, rows, screen)]
    return joined([*lines, *([""] if blocked else []), *blocked])


def _state(task: dict[str, Any]) -> Cell:
    if task["ready"]:
        return ("ready", "ok")
    if task["blocked_by"]:
        return ("blocked", "stop")
    return (_SPOKEN.get(task["status"], task["status"]), task["status"])


def blocked_lines(tasks: list[dict[str, Any]]) -> list[str]:
    """What has to be resolved before blocked tasks can go on: a line for each blocker."""
    found = {row["blocked_by"]["fact_id"]: row["blocked_by"] for row in tasks if row["blocked_by"]}
    return [
        f"  {visible(one['step'])} is blocked by {one['tool']}: {visible(one['subject'])}; "
        f"when that is settled: rally say resolve --ref {one['fact_id']} --tool TOOL"
        for one in found.values()
    ]


def _take(data: dict[str, Any], screen: Screen) -> str:
    """What was taken, with its fence, then the packet as it is."""
    task, fact = data["task"], data["fact"]
    name = screen.paint(visible(str(task["id"])), "name")
    took = f"took {name} of run {visible(str(task['run']))}"
    head = f"{took}  {visible(fact['event_id'])}  fence {data['fence']}"
    # As it is: a tab, or a blank at the end of a line, may mean something to the shell.
    return joined([head, "", visible(data["packet"], keep_newlines=True).removesuffix("\n")])
