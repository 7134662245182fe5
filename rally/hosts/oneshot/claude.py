"""Claude Code, once: `claude -p`.

The traps: a missing login is `subtype: success` with `is_error: true`; with `--verbose` the record is
the last item of an array; a signal leaves no record at all.
"""

from __future__ import annotations

import json

from rally.hosts.claude import CLAUDE
from rally.hosts.oneshot.shape import (
    CRASH,
    POLICY,
    QUOTA,
    SCHEMA,
    Invocation,
    OneShot,
    Reading,
    Record,
    Schema,
    by_words,
    failed,
    last_of,
    records,
    text_of,
    without_record,
)

_BY_SUBTYPE = {
    "error_max_turns": POLICY,
    "error_max_budget_usd": QUOTA,
    "error_max_structured_output_retries": SCHEMA,
}


def invoke(prompt: str, schema: Schema) -> Invocation:
    """The prompt on standard input; edits without asking, and `rally` itself."""
    words = (
        *("-p", "--output-format", "json", "--json-schema", schema.text),
        *("--permission-mode", "acceptEdits", "--allowedTools", "Bash(rally:*)"),
    )
    return Invocation(words, prompt.encode())


def read(exit_code: int, stdout: str, stderr: str) -> Reading:
    """Success is `subtype: success`, no `is_error`, and exit code 0."""
    record = _result(stdout)
    if record is None:
        return without_record(exit_code, stdout, stderr)
    subtype, said = text_of(record, "subtype"), text_of(record, "result")
    if isinstance(record.get("structured_output"), dict):
        said = json.dumps(record["structured_output"])
    if subtype == "success" and record.get("is_error") is False and exit_code == 0:
        return Reading(said)
    errors = record.get("errors")
    told = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    why = told or text_of(record, "result") or f"it ended with {exit_code} ({subtype})"
    failure = _BY_SUBTYPE.get(subtype) or (CRASH if exit_code > 128 else by_words(why))
    return failed(failure, f"{subtype}: {why}" if subtype != "success" else why, said)


def _result(stdout: str) -> Record | None:
    try:
        whole = json.loads(stdout)
    except (ValueError, RecursionError):
        return last_of(records(stdout), "result")
    items = whole if isinstance(whole, list) else [whole]
    return last_of([item for item in items if isinstance(item, dict)], "result")


ONE_SHOT = OneShot(CLAUDE, invoke, read)
