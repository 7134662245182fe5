"""What the doctor finds, and whom it examines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rally.facilitation.places import ROOM_FOLDER, Place

Severity = Literal["problem", "warn", "info", "ok"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warn", "info", "ok")


@dataclass(slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        code: stable, for programs.
        subject: what was looked at, in a word or two.
        message: what is so, one line.
        fix: the command that puts it right, to be pasted; None where there is none.
        mend: puts it right, where that can do no harm; raises OSError or RallyError.
        fixed: whether `mend` has.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    fix: str | None = None
    mend: Callable[[], None] | None = None
    fixed: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the answer."""
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.subject,
            "message": self.message,
            "fix": self.fix,
            "fixable": self.mend is not None,
            "fixed": self.fixed,
        }


@dataclass(slots=True)
class Patient:
    """What is examined.

    Attributes:
        env, cwd: of the command.
        now_ms: the present.
        place: where the room is or would be; None where that cannot be told.
        measured: figures beside the findings: `ledger`, `daemon`, `hooks`, `versions`.
    """

    env: Mapping[str, str]
    cwd: str
    now_ms: int
    place: Place | None = None
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The room's `.rally`; only where `place` is known."""
        assert self.place is not None
        return f"{self.place.root}/{ROOM_FOLDER}"
