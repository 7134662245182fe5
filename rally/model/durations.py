"""Durations as people write them: `90s`, `30m`, `2h`, `1d`, with an optional leading `+`."""

from __future__ import annotations

from rally.model.clock import from_rfc3339
from rally.model.errors import UsageError

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# Longer than a century is a typing error, and its end would not fit RFC 3339's four-digit year.
DURATION_MS_MAX = 36_500 * _UNIT_MS["d"]


def parse_duration_ms(
    text: str, *, min_ms: int = 0, max_ms: int = DURATION_MS_MAX, name: str = "duration"
) -> int:
    """Milliseconds of a written duration, whole units only.

    Args:
        text: `[+]<digits><s|m|h|d>`.
        min_ms: the smallest value accepted, inclusive.
        max_ms: the largest value accepted, inclusive.
        name: the flag that the value came with, for the message.

    Raises:
        UsageError: `bad-duration`.
    """
    body = text.removeprefix("+")
    digits, unit = body[:-1], body[-1:]
    if unit not in _UNIT_MS or not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        raise UsageError(
            "bad-duration", f"{name} is not a duration: {text!r}", hint="write 90s, 30m, 2h or 1d"
        )
    value_ms = int(digits) * _UNIT_MS[unit]
    if not min_ms <= value_ms <= max_ms:
        raise UsageError(
            "bad-duration",
            f"{name} is out of range: {text!r}",
            hint=f"write a value from {format_duration(min_ms)} to {format_duration(max_ms)}",
        )
    return value_ms


def format_duration(duration_ms: int) -> str:
    """The shortest exact text in one unit; what is under a second is rounded up to `1s`."""
    if duration_ms <= 0:
        return "0s"
    for unit in ("d", "h", "m"):
        if duration_ms % _UNIT_MS[unit] == 0:
            return f"{duration_ms // _UNIT_MS[unit]}{unit}"
    return f"{-(-duration_ms // 1_000)}s"


def span(duration_ms: int) -> str:
    """A duration in at most two units, for people: `45s`, `12m`, `3h20m`, `2d4h`; never negative."""
    seconds = max(0, duration_ms) // 1_000
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if hours else f"{days}d"


def parse_instant_ms(text: str, now_ms: int, *, name: str = "time") -> int:
    """An absolute RFC 3339 time, or a duration counted from `now_ms`, with a leading `+` or without.

    Raises:
        UsageError: `bad-time` or `bad-duration`.
    """
    if text.startswith("+") or (text[:-1].isdigit() and text[-1] in _UNIT_MS):
        return now_ms + parse_duration_ms(text, name=name)
    return from_rfc3339(text)
