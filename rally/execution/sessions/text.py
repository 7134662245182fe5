"""What may be put into an agent's terminal: text as data, never as keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from rally.model.errors import UsageError
from rally.model.kinds import SUBJECT_CHARS_MAX, SUMMARY_BYTES_MAX
from rally.model.shell import word
from rally.model.text import check_encodable
from rally.model.visible import visible

TEXT_BYTES_MAX = 64 * 1024
_KEPT = frozenset("\n\t")
# Unicode's explicit and implicit directional formatting characters (UAX #9).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """The text without control characters (line feed and tab stay) and bidirectional controls.

    Without the escape character nothing in it can end the bracketed paste that carries it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        for char in text
        if char in _KEPT or not (char in _BIDI or unicodedata.category(char) == "Cc")
    )


def checked(text: str) -> str:
    """A text as it is delivered.

    Raises:
        UsageError: `bad-text`, `too-long`, or `bad-value` where nothing is left of it.
    """
    check_encodable(text, "--text")
    cleaned = clean(text)
    size = len(cleaned.encode())
    if size > TEXT_BYTES_MAX:
        raise UsageError(
            "too-long", f"--text has {size} bytes, at most {TEXT_BYTES_MAX} are allowed",
            hint="put it into a file, and inject the file's name",
        )  # fmt: skip
    if not cleaned.strip():
        raise UsageError(
            "bad-value", "--text has nothing in it that could be shown", hint="--text 'what to do'"
        )
    return cleaned


def fits_ledger(text: str) -> bool:
    """Whether a text can be kept as a handoff's summary."""
    return len(text.encode()) <= SUMMARY_BYTES_MAX


def subject_of(text: str) -> str:
    """The first line of a text, as a subject."""
    first = next(line.strip() for line in text.splitlines() if line.strip())
    return first if len(first) <= SUBJECT_CHARS_MAX else first[: SUBJECT_CHARS_MAX - 1] + "…"


def answer_lines(handoff: Mapping[str, Any], tool: str) -> list[str]:
    """The commands with which the addressee answers, ready to be run by its shell."""
    start = f"rally say receipt --tool {word(tool)} --ref {word(handoff['event_id'])}"
    if handoff.get("intent", "work") in ("work", "review"):
        first = f"  {start} --state acked      # seen; then `--state done` when it is done"
    else:
        first = f"  {start} --state accepted"
    return [
        "[rally] Answer with one of:",
        first,
        f"  {start} --state rejected --reason 'why not'",
    ]


def with_receipt(text: str, handoff: Mapping[str, Any], tool: str) -> str:
    """A message, and beneath it how to say that it arrived."""
    return "\n".join([text.rstrip("\n"), "", *answer_lines(handoff, tool)])


def handoff_text(handoff: Mapping[str, Any], tool: str) -> str:
    """A handoff in words for its addressee; what its sender wrote is indented, so that it cannot
    pass for rally's own lines."""
    intent = handoff.get("intent", "work")
    lines = [f"[rally] {handoff['event_id']}: {handoff['tool']} asks you for {intent}:"]
    lines += _block(handoff.get("subject", ""))
    if handoff.get("summary", handoff.get("subject")) != handoff.get("subject"):
        lines += ["", *_block(handoff["summary"])]
    for name in ("run", "step", "uri", "ack_by"):
        if handoff.get(name):
            lines.append(f"{name}: {visible(handoff[name])}")
    for name in ("paths", "resources", "evidence"):
        if handoff.get(name):
            lines.append(f"{name}: {', '.join(map(visible, handoff[name]))}")
    return clean("\n".join([*lines, "", *answer_lines(handoff, tool)]))


def _block(text: str) -> list[str]:
    return [f"    {visible(line)}" for line in text.splitlines()]
