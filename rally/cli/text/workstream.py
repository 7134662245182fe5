"""The answers of `workstream`."""

from __future__ import annotations

from typing import Any

import orjson

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import block, joined
from rally.cli.text.task import blocked_lines
from rally.model.shell import word
from rally.model.visible import json_safe, visible

_STEP_COLUMNS = (
    Column("task", 8),
    Column("status"),
    Column("exit", right=True),
    Column("took", right=True),
    Column("command", 16),
)
_OUTPUT_LINES_MAX = 40
_STYLES = {"passed": "ok", "failed": "stop", "unverified": "warn", "not_landed": "dim"}


def document(value: Any) -> str:
    """A JSON document for people and for files."""
    return json_safe(orjson.dumps(value, option=orjson.OPT_INDENT_2)).decode() + "\n"


def show_lint(data: dict[str, Any], screen: Screen) -> str:
    """`FILE:LINE: task field: code: message` for each violation, in the order of the file."""
    if "sarif" in data:
        return document(data["sarif"])
    file, lines = visible(data["file"]), []
    for one in data["violations"]:
        where = " ".join(visible(part) for part in (one["task"], one["field"]) if part)
        code = screen.paint(one["code"], "stop")
        about = f"{where}: " if where else ""
        lines.append(f"{file}:{one['line']}: {about}{code}: {visible(one['message'])}")
        if one["hint"]:
            lines.append(f"    hint: {visible(one['hint'])}")
    found, odd = len(data["violations"]), len(data["warnings"])
    warned = f", {_count(odd, 'warning')}" if odd else ""
    verdict = screen.paint("clean", "ok") if data["clean"] else _count(found, "violation")
    return joined([*lines, f"{file}: {verdict}{warned}"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_packets(data: dict[str, Any], screen: Screen) -> str:
    """The prompts, or the files that they were written to."""
    packets = data["packets"]
    if data["out"] is not None:
        return joined([visible(one["file"]) for one in packets])
    return "\n---\n\n".join(one["prompt"] for one in packets)


def show_start(data: dict[str, Any], screen: Screen) -> str:
    """What was registered, and what comes next."""
    run = screen.paint(visible(data["run"]), "name")
    new, known = len(data["registered"]), len(data["already"])
    if data["replayed"]:
        return joined([f"run {run} was started before with these {_count(known, 'task')}"])
    more = f", {known} registered before" if known else ""
    return joined(
        [
            f"started run {run} with {_count(new, 'task')}{more}",
            f"next  rally task take --run {word(data['run'])} --tool TOOL",
        ]
    )


def show_status(data: dict[str, Any], screen: Screen) -> str:
    """One line for each list, the whole of it."""
    lines = []
    total = len(data["tasks"])
    verdict = screen.paint("complete", "ok") if data["complete"] else "work remains"
    title = screen.paint(f"run {visible(data['run'])}", "title")
    lines.append(f"{title}  {len(data['done'])} of {total} landed, {verdict}")
    holders = {row["id"]: row["held_by"] for row in data["tasks"]}
    for name, label in (("done", "landed"), ("claimed", "in flight"), ("pending", "planned"),
                        ("to_dispatch", "ready")):  # fmt: skip
        ids = data[name]
        if name == "claimed":
            ids = [f"{one} ({holders[one]})" for one in ids]
        lines.append(f"  {label:<9}  {visible(' '.join(ids)) or '-'}")
    if data["blocked"]:
        lines.append(f"  {'blocked':<9}  {visible(' '.join(data['blocked']))}")
        lines += blocked_lines(data["tasks"])
    return joined(lines)


def _end(output: str) -> str:
    """The last lines of what was printed; the note of the step has more."""
    lines = output.splitlines()
    if len(lines) <= _OUTPUT_LINES_MAX:
        return output
    return "\n".join(["…", *lines[-_OUTPUT_LINES_MAX:]])


def show_verify(data: dict[str, Any], screen: Screen) -> str:
    """Each step's outcome, the output of what failed, and the verdict."""
    if data["dry_run"]:
        tree = f"a clean working tree of {data['at']}"
        where = visible(data["folder"]) if data["at"] is None else tree
        lines = [f"would run in {where}:"] if data["would_run"] else []
        for one in data["would_run"]:
            lines += [f"  {visible(one['step'])}", *block(one["command"], indent="    ")]
        return joined(lines or ["nothing would run: no landed task has a validation"])
    rows: list[list[Cell]] = [
        [
            one["step"],
            (one["status"].replace("_", " "), _STYLES[one["status"]]),
            str(one.get("exit_code", "")),
            f"{one['duration_ms']} ms" if "duration_ms" in one else "",
            one.get("command") or one.get("why", ""),
        ]
        for one in data["steps"]
    ]
    lines = table(_STEP_COLUMNS, rows, screen)
    for one in data["steps"]:
        if one["status"] == "failed":
            late = " (its time was over)" if one["timed_out"] else ""
            lines += [
                "",
                f"{visible(one['step'])} failed{late}:",
                *block(_end(one["output"]) or "(no output)"),
            ]
            if one.get("landed_by"):
                withdraw = (
                    f"rally say retract --ref {one['landed_by'][-1]} --reason WHY --tool TOOL"
                )
                lines.append(f"to open the task again: {withdraw}")
    style = {"complete": "ok", "broken": "stop"}.get(data["verdict"], "warn")
    verdict = f"{screen.paint(data['verdict'], style)}: {visible(data['why'])}"
    return joined([*lines, *([""] if lines else []), verdict])
