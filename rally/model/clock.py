"""The only place that reads a clock, and the one text form of an instant.

Instants are whole milliseconds since the Unix epoch everywhere inside rally (`*_ms`); outside they
are RFC 3339 in UTC with milliseconds and `Z` (contract O7).
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol

from rally.model.errors import UsageError

SECOND_MS = 1_000


class Clock(Protocol):
    """Something that tells the time; tests hand in one that they advance."""

    def now_ms(self) -> int:
        """The present instant, milliseconds since the epoch."""
        ...


class SystemClock:
    """The machine's wall clock.

    It may jump; the ledger keeps its own order (`RoomState.time_ms` never goes back), so no decision
    trusts this clock to be monotonic.
    """

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def to_rfc3339(instant_ms: int) -> str:
    """`1700000000123` → `2023-11-14T22:13:20.123Z`. Accepts years 1970 to 9999."""
    seconds, millis = divmod(instant_ms, SECOND_MS)
    t = time.gmtime(seconds)
    return (
        f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}.{millis:03d}Z"
    )


def from_rfc3339(text: str) -> int:
    """The instant behind an RFC 3339 text, any offset, any precision.

    Raises:
        UsageError: `bad-time`, when the text is no instant or names no offset.
    """
    try:
        moment = datetime.fromisoformat(text.upper())  # `t` and `z` are allowed (RFC 3339, 5.6)
        if moment.tzinfo is None:
            raise ValueError(text)
        delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise UsageError(
            "bad-time", f"not a time: {text!r}", hint="write 2030-01-31T18:00:00Z or +30m"
        ) from None
    return (delta.days * 86_400 + delta.seconds) * SECOND_MS + delta.microseconds // 1_000
