"""Cursor's CLI, once: `cursor-agent -p`. On failure there is no JSON, only an exit code and a text."""

from __future__ import annotations

from rally.hosts.cursor import CURSOR
from rally.hosts.oneshot.shape import (
    Invocation,
    OneShot,
    Reading,
    Schema,
    by_words,
    failed,
    last_of,
    objects,
    text_of,
    without_record,
)

# Linux takes 128 KiB for one word of a command line, its end included.
_WORD_BYTES_MAX = 128 * 1024 - 1


def invoke(prompt: str, schema: Schema) -> Invocation:
    """The prompt as a word, the form that its documents show; edits without asking.

    Raises:
        ValueError: the prompt does not fit into a command line.
    """
    if len(prompt.encode()) > _WORD_BYTES_MAX:
        raise ValueError(
            f"the prompt has {len(prompt.encode())} bytes, and cursor takes it as one word of a "
            f"command line, which holds {_WORD_BYTES_MAX}"
        )
    return Invocation(("-p", "--output-format", "json", "--force", prompt))


def read(exit_code: int, stdout: str, stderr: str) -> Reading:
    """Success is exit code 0 and a record `result` of subtype `success`."""
    record = last_of(objects(stdout), "result")
    if record is None:
        return without_record(exit_code, stdout, stderr)
    said = text_of(record, "result")
    if exit_code == 0 and record.get("subtype") == "success" and record.get("is_error") is False:
        return Reading(said)
    why = said or text_of(record, "subtype") or f"it ended with {exit_code}"
    return failed(by_words(why), why, said)


ONE_SHOT = OneShot(CURSOR, invoke, read)
