"""opencode, once: `opencode run`.

It has no terminal record, so a stream that was cut off looks like one that is finished. What counts as
the end is a last `step_finish` with the reason `stop`, and a text after the last `step_start`.
"""

from __future__ import annotations

from rally.hosts.oneshot.shape import (
    AUTH,
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
from rally.hosts.opencode import OPENCODE


def invoke(prompt: str, schema: Schema) -> Invocation:
    """The prompt on standard input."""
    return Invocation(("run", "--format", "json"), prompt.encode())


def read(exit_code: int, stdout: str, stderr: str) -> Reading:
    """Success is exit code 0, a text in the last step, and the reason `stop` at its end."""
    events = records(stdout)
    said = ""
    reason = ""
    for event in events:
        match event.get("type"):
            case "step_start":
                said = reason = ""
            case "text":
                said = text_of(event, "part", "text") or said
            case "step_finish":
                reason = text_of(event, "part", "reason")
    broken = last_of(events, "error")
    if broken is not None:
        name = text_of(broken, "error", "name")
        why = text_of(broken, "error", "data", "message") or name or "it reported an error"
        return failed(AUTH if "Auth" in name else by_words(why), why, said)
    if exit_code == 0 and said and reason == "stop":
        return Reading(said)
    if exit_code == 0 and events:
        return without_record(0, f"the last step ended with {reason or 'nothing'!a}", "")
    return without_record(exit_code, stdout, stderr)


ONE_SHOT = OneShot(OPENCODE, invoke, read)
