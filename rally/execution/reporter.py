"""What a watcher tells: one line an event, as JSON or for people."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from rally.model.clock import Clock, to_rfc3339
from rally.model.visible import visible

EVENTS = ("activity", "fired", "finished", "failed", "skipped", "heartbeat", "stopped")
_STYLES = {
    "fired": "name",
    "finished": "ok",
    "failed": "stop",
    "skipped": "dim",
    "heartbeat": "dim",
}
_NAME_WIDTH = max(map(len, EVENTS))
_OUTPUT_LINES = 20


class Reporter:
    """Puts events into words.

    Args:
        write: takes one line's worth: a document for JSON lines (contract O1), or text that is safe
            to show.
        as_json: which of the two.
        paint: puts a style of `cli.screen` on a text.
        clock: dates the events.
    """

    def __init__(
        self,
        write: Callable[[str | dict[str, Any]], None],
        *,
        as_json: bool,
        paint: Callable[[str, str], str],
        clock: Clock,
    ) -> None:
        self._write = write
        self._as_json = as_json
        self._paint = paint
        self._clock = clock
        self.counts = dict.fromkeys(EVENTS, 0)
        # Counts every line, for whoever wants to know whether it has been quiet.
        self.lines = 0

    def tell(self, event: str, **fields: Any) -> None:
        """One event; fields that are None are left out."""
        self.counts[event] += 1
        self.lines += 1
        at = to_rfc3339(self._clock.now_ms())
        kept = {name: value for name, value in fields.items() if value is not None}
        if self._as_json:
            self._write({"event": event, "at": at, **kept})
        else:
            self._write(self._text(event, at, kept))

    def _text(self, event: str, at: str, fields: dict[str, Any]) -> str:
        name = self._paint(event.ljust(_NAME_WIDTH), _STYLES.get(event, ""))
        lines = [f"{self._paint(at[11:19], 'dim')} {name}  {visible(_said(event, fields))}"]
        for stream in ("stdout", "stderr"):
            output = str(fields.get(stream, "")).splitlines()
            if len(output) > _OUTPUT_LINES:
                output = ["…", *output[-_OUTPUT_LINES:]]
            lines += [f"         {self._paint('|', 'dim')} {visible(line)}" for line in output]
        return "\n".join(lines) + "\n"


def _said(event: str, fields: dict[str, Any]) -> str:
    """The event in words."""
    said = _about(fields)
    match event:
        case "activity":
            said = f"{fields['facts']} new, {fields['from_seq']} to {fields['to_seq']}"
            said += _running(fields)
        case "fired":
            said += f" (attempt {fields['attempt']}){_running(fields)}"
        case "finished":
            said += f" after {fields['duration_ms']} ms"
        case "failed":
            said += f" {_failure(fields)}"
        case "skipped":
            said += f": {fields['reason']}{_detail(fields)}"
        case "heartbeat":
            next_due = fields.get("next_due_at", "nothing is due later")
            said = f"{fields['due']} due, {fields['running']} running, next: {next_due}"
        case _:
            said = f"{fields['reason']}; {fields['fired']} fired, {fields['failed']} failed"
    return said


def _about(fields: dict[str, Any]) -> str:
    if "standby_event_id" in fields:
        step = f" step {fields['step']}" if fields.get("step") else ""
        return f"{fields.get('owner', '?')}{step} {fields['standby_event_id']}"
    if "from_seq" in fields:
        return f"activity {fields['from_seq']} to {fields['to_seq']}"
    return "activity"


def _running(fields: dict[str, Any]) -> str:
    return f": {fields['command']}" if fields.get("command") else ""


def _detail(fields: dict[str, Any]) -> str:
    if fields.get("until"):
        return f", until {fields['until']}"
    return f" ({fields['detail']})" if fields.get("detail") else ""


def _failure(fields: dict[str, Any]) -> str:
    if fields.get("error"):
        what = str(fields["error"])
    elif fields.get("timed_out"):
        what = "ran out of time"
    elif fields.get("cut"):
        what = "was cut short"
    else:
        what = f"ended with {fields.get('exit_code')}"
    if fields.get("gave_up"):
        after = f"; gave up, see {fields['risk']}" if fields.get("risk") else "; gave up"
    else:
        after = f"; again at {fields['retry_at']}" if fields.get("retry_at") else ""
    return f"{what} (attempt {fields['attempt']}){after}"


def shown_command(argv: list[str] | str) -> str:
    """A command as it would be typed."""
    return argv if isinstance(argv, str) else shlex.join(argv)
