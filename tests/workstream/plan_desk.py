"""A desk with descriptors on it: command lines run in this process, all of rally's commands included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli_terminal import Result, Terminal

from rally.cli.app import client_root
from rally.cli.run import run
from rally.facilitation.rooms import Rooms
from rally.model.errors import UsageError
from rally.model.paths import canonical_text
from rally.workstream.lint import Look, Report, lint
from rally.workstream.reading import read_document

Doc = dict[str, Any]


class Desk(Terminal):
    """Somebody who types any command into a folder; leases run on the machine's clock."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.env["RALLY_DAEMON"] = "off"
        self.rooms = Rooms()

    async def __call__(self, *argv: str, **surroundings: Any) -> Result:
        """Run one command line as `rally` does without a daemon."""
        call, err = self.call(**surroundings)
        code = await run(list(argv), call, self.rooms, client_root())
        return Result(code, b"".join(self.out), b"".join(err))

    def write(self, value: Any, name: str = "plan.json") -> str:
        """Put a descriptor on the desk."""
        text = value if isinstance(value, str) else json.dumps(value, indent=2)
        (self.cwd / name).write_text(text)
        return name

    async def facts(self, *kinds: str) -> list[Doc]:
        """The facts of the ledger, of some kinds, oldest first."""
        flags = [word for kind in kinds for word in ("--kind", kind)]
        found: list[Doc] = (await self.json("log", "--limit", "0", *flags))["facts"]
        return found


def task(task_id: str, **more: Any) -> Doc:
    """A task of a descriptor, sound unless `more` says otherwise; None leaves a field out."""
    sound = {
        "id": task_id, "intent": f"do {task_id}", "owns": [f"src/{task_id}/"],
        "validation": f"test -d src/{task_id}", "output": f"src/{task_id}", **more,
    }  # fmt: skip
    return {name: value for name, value in sound.items() if value is not None}


def plan(*tasks: Any, **more: Any) -> Doc:
    """A descriptor with these tasks."""
    sound = {"workstream": "ws", "description": "what it is for", "tasks": list(tasks), **more}
    return {name: value for name, value in sound.items() if value is not None}


def canonical(raw: str) -> str:
    """Paths by their text alone."""
    return canonical_text(raw, root="/room")


def report_on(value: Any, *, exists: bool = True) -> Report:
    """lint's report on a descriptor, in a room where every path exists, or none."""
    raw = value if isinstance(value, bytes) else json.dumps(value, indent=1).encode()
    return lint(read_document(raw, "plan.json"), Look(canonical, lambda path: exists))


def codes(report: Report) -> list[tuple[str, str, str]]:
    """Code, task and field of each violation."""
    return [(one.code, one.task, one.field) for one in report.violations]


__all__ = ["Desk", "Doc", "UsageError", "canonical", "codes", "plan", "report_on", "task"]
