"""Codex, once: `codex exec`.

The traps: exit code 0 with `turn.failed`; a top-level `error` and an item of type `error` are not fatal;
what went wrong stands on standard output.
"""

from __future__ import annotations

from rally.hosts.codex import CODEX
from rally.hosts.oneshot.shape import (
    Invocation,
    OneShot,
    Reading,
    Schema,
    by_words,
    failed,
    last_of,
    records,
    text_of,
    without_record,
)


def invoke(prompt: str, schema: Schema) -> Invocation:
    """The prompt on standard input; it may write into the working tree."""
    words = (
        *("exec", "--json", "--sandbox", "workspace-write"),
        *("--output-schema", schema.file, "-"),
    )
    return Invocation(words, prompt.encode())


def read(exit_code: int, stdout: str, stderr: str) -> Reading:
    """Success is `turn.completed`, no `turn.failed`, and exit code 0."""
    events = records(stdout)
    said = ""
    for event in events:
        if event.get("type") == "item.completed" and _is_message(event):
            said = text_of(event, "item", "text")
    broken = last_of(events, "turn.failed")
    if broken is not None:
        why = text_of(broken, "error", "message") or "the turn failed"
        return failed(by_words(why), why, said)
    if exit_code == 0 and last_of(events, "turn.completed") is not None:
        return Reading(said)
    told = text_of(last_of(events, "error"), "message")
    return without_record(exit_code, told, stderr if not told else "")


def _is_message(event: dict[str, object]) -> bool:
    return text_of(event, "item", "type") == "agent_message"


ONE_SHOT = OneShot(CODEX, invoke, read)
