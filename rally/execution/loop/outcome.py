"""What came of a loop: its attempts, the verdict, and how both are said in the ledger and in answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rally.execution.loop.evidence import Judged
from rally.execution.loop.judging import UNKNOWN, Changes
from rally.execution.loop.report import Report
from rally.facilitation.packets import Assignment
from rally.hosts.oneshot.shape import Reading
from rally.model.kinds import SUBJECT_CHARS_MAX

PASSED, FINDINGS, FAILED, UNDECIDED, LOST = "passed", "findings", "failed", "undecided", "lost"
STOPPED = "stopped"


@dataclass(slots=True, frozen=True)
class Call:
    """How the agent ended; without an exit code it was not started."""

    reading: Reading
    exit_code: int | None = None
    duration_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """For answers."""
        return {
            "exit_code": self.exit_code, "duration_ms": self.duration_ms,
            "failure": self.reading.failure, "why": self.reading.why or None,
        }  # fmt: skip


@dataclass(slots=True, frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        judged: None where the agent failed, so that there was nothing to judge.
    """

    number: int
    call: Call
    changes: Changes
    judged: Judged | None

    @property
    def findings(self) -> list[str]:
        """What the agent could put right."""
        return self.judged.findings if self.judged is not None else []

    def as_json(self) -> dict[str, Any]:
        """For answers."""
        judged = self.judged
        report = judged.report if judged is not None else None
        ran = judged.ran if judged is not None else None
        return {
            "attempt": self.number,
            "agent": self.call.as_json(),
            "changed_files": self.changes.own,
            "report": report.as_json() if isinstance(report, Report) else None,
            "validation": ran.as_json() if ran is not None else None,
            "checks": [check.as_json() for check in judged.checks] if judged is not None else [],
        }


@dataclass(slots=True)
class Outcome:
    """What came of it, so far.

    Attributes:
        caller: tool and session.
        logs: the folder with what the programs printed; None where it was removed.
        artifact, blocker: ids of the facts that were said.
    """

    of: Assignment
    agent: str
    caller: tuple[str, str]
    folder: str
    plan: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    verdict: str = FAILED
    why: str = ""
    logs: str | None = None
    artifact: str | None = None
    blocker: str | None = None

    def conclude(self, *, has_judge: bool) -> None:
        """The verdict, from the last attempt."""
        last = self.attempts[-1]
        if last.judged is None:
            self.verdict = FAILED
            self.why = f"{self.agent} failed ({last.call.reading.failure}): {last.call.reading.why}"
        elif last.findings:
            self.verdict, self.why = FINDINGS, last.findings[0]
        elif has_judge and last.judged.check("intent").status == UNKNOWN:
            self.verdict, self.why = UNDECIDED, last.judged.check("intent").why[0]
        else:
            self.verdict, self.why = PASSED, last.judged.checks[0].why[0]

    def lose(self, landed_by: str = "") -> None:
        """The claim ended before the task could land.

        Args:
            landed_by: the artifact by which somebody else landed it.
        """
        self.verdict = LOST
        self.why = "the claim ended while the agent worked; nothing was landed"
        if landed_by:
            self.why = f"{landed_by} landed the task while the agent worked; nobody judged that"

    def stop(self, why: str) -> None:
        """Somebody put something in the way before the task could land."""
        self.verdict = STOPPED
        self.why = f"it was stopped while the agent worked, and nothing was landed: {why}"

    def proof(self) -> tuple[list[str], str]:
        """Evidence and summary of the artifact."""
        last = self.attempts[-1]
        assert last.judged is not None
        ran = last.judged.ran
        said = [f"{check.name}: {check.status}: {check.why[0]}" for check in last.judged.checks]
        evidence = [ran.told, *([ran.output] if ran.output else [])] if ran is not None else []
        changed = ", ".join(last.changes.own[:20]) or "nothing"
        return [*evidence, "\n".join(said)], (
            f"{self.agent}, attempt {last.number}; changed: {changed}"
        )

    def trouble(self) -> tuple[str, list[str]]:
        """Subject and lines of the blocker."""
        last = self.attempts[-1]
        lines = []
        for attempt in self.attempts:
            lines.append(f"{self.agent}, attempt {attempt.number}:")
            lines += attempt.findings or [attempt.call.reading.why or self.why]
        if last.changes.own:
            lines.append(f"left in {self.folder}: {', '.join(last.changes.own[:20])}")
        if self.logs:
            lines.append(f"what was printed: {self.logs}")
        return f"{self.of.task} did not pass: {self.why}"[:SUBJECT_CHARS_MAX], lines

    def as_json(self) -> dict[str, Any]:
        """The main result of the command."""
        return {
            "run": self.of.run, "task": self.of.task, "agent": self.agent, "tool": self.caller[0],
            "session_id": self.caller[1], "folder": self.folder, "dry_run": False,
            "verdict": self.verdict, "why": self.why, "plan": self.plan,
            "attempts": [attempt.as_json() for attempt in self.attempts],
            "artifact": self.artifact, "blocker": self.blocker, "logs": self.logs,
        }  # fmt: skip


def plan_subject(of: Assignment, steps: Sequence[str]) -> str:
    """The subject of the note that tells the plan."""
    return f"plan of {of.task}: {' '.join(steps)}"[:SUBJECT_CHARS_MAX]
