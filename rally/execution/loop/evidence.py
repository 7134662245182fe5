"""Gathering what shows whether an attempt is good: git's difference, the validation, the judge."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rally.execution.loop import judging
from rally.execution.loop.holding import Desk, Taken
from rally.execution.loop.judging import Changes, Check, Ran
from rally.execution.loop.programs import Programs
from rally.execution.loop.report import Report
from rally.execution.loop.snapshot import Snapshots
from rally.execution.loop.tree import Tree

# A judge is a model, more often than not; what is longer it would not read.
DIFF_CHARS_MAX = 512 * 1024


@dataclass(slots=True, frozen=True)
class Judged:
    """The evidence of one attempt, and what it came to.

    Attributes:
        report: the agent's, with its paths in the room's form, or what is wrong with it.
    """

    changes: Changes
    report: Report | str
    ran: Ran | None
    checks: tuple[Check, ...]

    @property
    def findings(self) -> list[str]:
        """What is wrong, one line each."""
        return judging.findings(self.checks)

    def check(self, name: str) -> Check:
        """One of the five."""
        return next(check for check in self.checks if check.name == name)


class Evidence:
    """What the attempts of one task left behind.

    Args:
        tree: where the agent works.
        snapshots: of that tree.
        programs: runs the validation and the judge.
        desk: asked what others hold.
        judge: a command that is asked whether the intent was met; None: nobody is.
    """

    def __init__(
        self, tree: Tree, snapshots: Snapshots, programs: Programs, desk: Desk, *, judge: str | None
    ) -> None:
        self._tree = tree
        self._snapshots = snapshots
        self._programs = programs
        self._desk = desk
        self._judge = judge
        self._before = ""
        # What validations and the judge wrote; none of it is the agent's.
        self._by_others: set[str] = set()

    async def begin(self, taken: Taken) -> list[str]:
        """Remember how things are; the files within the boundary that are not as committed."""
        self._before = await asyncio.to_thread(self._snapshots.take)
        names = await asyncio.to_thread(self._snapshots.uncommitted, self._before)
        inside = (self._tree.in_room(name) for name in names)
        return [path for path in inside if judging.is_owned(taken.assignment, path)]

    async def changed(self, taken: Taken) -> Changes:
        """What differs from the beginning, and whose it is."""
        _, changes, _ = await self._look(taken)
        return changes

    async def judge(self, taken: Taken, report: Report | str, *, attempt: int) -> Judged:
        """Look at everything that an attempt left behind.

        Raises:
            StoppedError: the work was stopped.
            Failure: git or the room cannot be asked.
        """
        of = taken.assignment
        after, changes, names = await self._look(taken)
        if isinstance(report, Report):
            files = tuple(dict.fromkeys(map(self._tree.reported, report.changed_files)))
            report = replace(report, changed_files=files)
        changes = await asyncio.to_thread(self._on_disk, taken, changes, report)
        ran = await self._validate(taken, attempt, after)
        checks = (
            judging.validation(of, ran),
            judging.output(of, changes),
            judging.boundary(of, changes, report),
            judging.claims(of, changes, report, ran),
        )
        answer = None
        if self._judge is not None and not judging.findings(checks):
            own = set(changes.own)
            about = {
                **_about(taken), "attempt": attempt, "changed_files": changes.own,
                **await self._difference(after, [n for n in names if self._tree.in_room(n) in own]),
                "report": report.as_json() if isinstance(report, Report) else None,
                "validation": ran.as_json() if ran is not None else None,
            }  # fmt: skip
            answer = await self._programs.run_command(
                self._judge,
                _place(taken),
                name=f"judge-{attempt}",
                stdin=json.dumps(about).encode(),
            )
            await self._excuse(after)
        met = judging.intent(answer, is_asked=self._judge is not None)
        return Judged(changes, report, ran, (*checks[:3], met, checks[3]))

    async def _look(self, taken: Taken) -> tuple[str, Changes, list[str]]:
        """A snapshot, what differs, and git's names of that."""
        after = await asyncio.to_thread(self._snapshots.take)
        names = await asyncio.to_thread(self._snapshots.changed, self._before, after)
        names = [name for name in names if name not in self._by_others]
        others = await self._desk.others(taken)
        owned, outside, theirs = [], [], []
        for path in map(self._tree.in_room, names):
            if judging.is_owned(taken.assignment, path):
                owned.append(path)
            elif (tool := judging.owner_of(path, others)) is not None:
                theirs.append((path, tool))
            else:
                outside.append(path)
        return after, Changes(tuple(owned), tuple(outside), tuple(theirs)), names

    def _on_disk(self, taken: Taken, changes: Changes, report: Report | str) -> Changes:
        """What has to be looked up in the tree beside."""
        missing = tuple(
            path
            for path in judging.paths_of(taken.assignment)
            if not os.path.lexists(f"{self._tree.folder}/{path}")
        )
        ignored: frozenset[str] = frozenset()
        if isinstance(report, Report):
            silent = set(report.changed_files) - set(changes.own)
            inside = {
                self._tree.name(path): path for path in silent if not judging.leaves_room(path)
            }
            found = self._snapshots.ignored([*inside])
            ignored = frozenset(path for name, path in inside.items() if name in found)
        return replace(changes, missing=missing, ignored=ignored)

    async def _validate(self, taken: Taken, attempt: int, before: str) -> Ran | None:
        """Run the validation; what it writes is not the agent's."""
        command = taken.assignment.validation
        if not command:
            return None
        ran = await self._programs.run_command(
            command, _place(taken), name=f"validation-{attempt}"
        )  # fmt: skip
        await self._excuse(before)
        return ran

    async def _excuse(self, before: str) -> None:
        """What was written since a snapshot of what the agent left is not the agent's."""
        after = await asyncio.to_thread(self._snapshots.take)
        written = await asyncio.to_thread(self._snapshots.changed, before, after)
        already = await asyncio.to_thread(self._snapshots.changed, self._before, before)
        self._by_others |= set(written) - set(already)

    async def _difference(self, after: str, names: Sequence[str]) -> dict[str, Any]:
        text = await asyncio.to_thread(
            self._snapshots.difference, self._before, after, names
        )  # fmt: skip
        return {"diff": text[:DIFF_CHARS_MAX], "diff_cut": len(text) > DIFF_CHARS_MAX}


def _place(taken: Taken) -> dict[str, str]:
    return {"RALLY_RUN": taken.assignment.run, "RALLY_STEP": taken.assignment.task}


def _about(taken: Taken) -> dict[str, Any]:
    """The task, for the judge."""
    of = taken.assignment
    return {
        "run": of.run,
        "task": {
            "id": of.task, "intent": of.intent, "owns": list(of.owns) or "read-only",
            "depends_on": list(of.depends_on), "validation": of.validation, "output": of.output,
            "goal": of.goal,
        },
    }  # fmt: skip
