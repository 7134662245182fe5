"""A finding of a check, and what every finding function is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from rally.facilitation.state.room import RoomState

STOP = "stop"
WARN = "warn"
INFO = "info"

# Every code a check can report, for the reference page (contract K2, K3, K6).
FINDING_CODES: dict[str, str] = {
    "claimed-path": "stop: another owner's live claim overlaps the path",
    "stale-fence": "stop: the claim behind --fence has ended or was taken over",
    "read-only-step": "stop: the step named owns no path",
    "outside-claim": "stop when the step named has a claim that does not cover the path, else warn",
    "unclaimed-path": "info: nobody claims the path; stop with --require-claim",
    "lapsed-claim": "warn: a lease on the path is over, the caller's own or another's",
    "active-blocker": "stop: an open blocker is scoped to the path",
    "room-freeze": "stop: the lead raised a blocker without a scope",
    "unscoped-blocker": "warn: an open blocker names no path",
    "binding-decision": "info: a binding decision covers the path",
    "missing-path": "warn: no --path was given; only blockers were looked at",
    "shared-claim": "warn: others hold the path in shared mode",
    "owned-active-claim": "stop: the caller still holds a claim",
    "open-handoff": "warn: a handoff to the caller is open",
    "open-blocker": "warn: a blocker that concerns the caller is open",
    "overdue-handoff": "warn: nobody has answered a handoff in time",
    "artifact-without-evidence": "warn: an artifact names no evidence",
}


class Finding(NamedTuple):
    """One thing that a check has to say (contract K1); None fields are absent."""

    code: str
    severity: str
    message: str
    path: str | None = None
    fact_id: str | None = None
    owner: str | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding as the envelope shows it; every key is there, null where it has no value."""
        return self._asdict()


@dataclass(slots=True)
class Question:
    """What is asked of `check before-write`.

    Attributes:
        paths: canonical paths; empty when none was given.
        fence: the fence that the caller believes to hold, if it said so.
        step: (run, step) that the caller works on, if it said so.
    """

    state: RoomState
    now_ms: int
    tool: str
    session_id: str | None
    paths: tuple[str, ...] = ()
    fence: int | None = None
    step: tuple[str, str] | None = None
    require_claim: bool = False


def allowed(findings: list[Finding]) -> bool:
    """Contract K1: a write is allowed exactly when nothing says stop."""
    return all(finding.severity != STOP for finding in findings)
