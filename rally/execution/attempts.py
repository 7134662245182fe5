"""What the ledger says about the firings of one standby; pure, over facts as they are stored.

A standby is fired by whoever says, first, the claim with the next key of its series:

    wake:<standby id>:1    claim on the resource wake:<standby id>     attempt 1
    wake:<standby id>:2    claim …                                     attempt 2, when 1 came to nothing
    wake:<standby id>:3    release of attempt 2, status `succeeded`    the series is over

A key is used once in a room (contract F6), so two watchers can never take the same turn, and an
attempt and the success of the one before it compete for the same key: whatever a paused or late
watcher still believes, after a success nobody fires again. The lease of the claim keeps the others
away while the command runs. A watcher that is killed lets it lapse; its turn is spent, and whoever
comes next takes the next one. So a command runs exactly once, unless its watcher died before it could
write down how it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rally.model.clock import from_rfc3339

ATTEMPTS_MAX = 5
PAUSE_MS_FIRST = 1_000
PAUSE_MS_MAX = 300_000
# The most that chance adds to a pause: watchers that failed together do not try again together.
JITTER_SHARE = 0.25
SUCCEEDED = "succeeded"

Doc = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Untried:
    """Nobody has fired it."""


@dataclass(slots=True, frozen=True)
class Begun:
    """The last attempt has no end in the ledger: it runs, or its watcher died and the lease lapses."""

    attempt: int
    claim_id: str


@dataclass(slots=True, frozen=True)
class Failed:
    """The last attempt came to nothing."""

    attempt: int
    ended_ms: int


@dataclass(slots=True, frozen=True)
class Fired:
    """An attempt succeeded; nothing remains to be done."""

    attempt: int
    ended_ms: int


Standing = Untried | Begun | Failed | Fired


def resource_of(standby_id: str) -> str:
    """The resource that an attempt claims (contract X1)."""
    return f"wake:{standby_id}"


def key_of(standby_id: str, turn: int) -> str:
    """The idempotency key of a turn: of attempt `turn`, or of the success of attempt `turn - 1`."""
    return f"{resource_of(standby_id)}:{turn}"


def end_key_of(standby_id: str, attempt: int) -> str:
    """The key of the release that says that an attempt came to nothing."""
    return f"{key_of(standby_id, attempt)}:ended"


def risk_key_of(standby_id: str) -> str:
    """The key of the one risk that says that nobody tries any more."""
    return f"{resource_of(standby_id)}:gave-up"


def last_attempt(standby_id: str, about: Iterable[Doc]) -> tuple[int, Doc | None]:
    """The number and the claim of the newest attempt; 0 and None where there was none.

    Args:
        about: the facts that ref the standby, in any order; others among them are passed over.
    """
    claims = {fact.get("key"): fact for fact in about if fact["kind"] == "claim"}
    attempt, claim = 0, None
    while (following := claims.get(key_of(standby_id, attempt + 1))) is not None:
        attempt, claim = attempt + 1, following
    return attempt, claim


def standing(attempt: int, claim: Doc | None, about_claim: Sequence[Doc]) -> Standing:
    """How far the series is.

    Args:
        attempt, claim: what `last_attempt` answered.
        about_claim: the facts that ref that claim, ascending.
    """
    if claim is None:
        return Untried()
    for fact in about_claim:
        if fact["kind"] in ("release", "retract"):
            ended_ms = from_rfc3339(fact["created_at"])
            if fact["kind"] == "release" and fact.get("status") == SUCCEEDED:
                return Fired(attempt, ended_ms)
            return Failed(attempt, ended_ms)
    return Begun(attempt, claim["event_id"])


def given_up_ms(standby_id: str, about: Iterable[Doc]) -> int | None:
    """When somebody said that nobody tries any more; None where nobody did.

    Args:
        about: the facts that ref the standby.
    """
    key = risk_key_of(standby_id)
    said = (from_rfc3339(fact["created_at"]) for fact in about if fact.get("key") == key)
    return next(said, None)


def pause_ms(attempt: int, chance: float) -> int:
    """How long to wait after a failed attempt: 1 s, doubling, at most 5 min (contract X1).

    Args:
        attempt: how many were made, 1 or more.
        chance: 0 to 1; how much of the jitter is added.
    """
    pause = min(PAUSE_MS_FIRST << (attempt - 1), PAUSE_MS_MAX)
    return pause + int(pause * JITTER_SHARE * chance)
