"""Gemini, once: `gemini -p`. Its exit codes say what went wrong."""

from __future__ import annotations

from rally.hosts.gemini import GEMINI
from rally.hosts.oneshot.shape import (
    AUTH,
    CONFIG,
    CRASH,
    POLICY,
    Invocation,
    OneShot,
    Reading,
    Schema,
    by_words,
    failed,
    objects,
    text_of,
    without_record,
)

_BY_EXIT = {41: AUTH, 42: CONFIG, 52: CONFIG, 53: POLICY, 54: CRASH, 130: CRASH}


def invoke(prompt: str, schema: Schema) -> Invocation:
    """The prompt on standard input, which it puts before the words of `-p`; edits without asking."""
    asked = "Carry out the task above, and end with the JSON object that it asks for."
    words = ("-p", asked, "--output-format", "json", "--approval-mode", "auto_edit")
    return Invocation(words, prompt.encode())


def read(exit_code: int, stdout: str, stderr: str) -> Reading:
    """Success is exit code 0, a `response`, and no `error`."""
    record = next((one for one in objects(stdout) if "response" in one or "error" in one), None)
    said = text_of(record, "response")
    error = (record or {}).get("error")
    if error:
        why = text_of(record, "error", "message") or str(error)
        return failed(_BY_EXIT.get(exit_code) or by_words(why), why, said)
    if exit_code in _BY_EXIT:
        reading = without_record(exit_code, stdout, stderr)
        return failed(_BY_EXIT[exit_code], reading.why, said)
    if record is None or exit_code != 0:
        return without_record(exit_code, stdout, stderr)
    return Reading(said)


ONE_SHOT = OneShot(GEMINI, invoke, read)
