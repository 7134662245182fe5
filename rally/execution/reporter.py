"""What a watcher tells: one line an event, as JSON or for people."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any

from rally.model.clock import Clock, to_rfc3339
from rally.model.visible import one_line, visible

EVENTS = ("activity", "fired", "finished", "failed", "skipped", "boundary", "heartbeat", "stopped")
_STYLES = {
    "fired": "name",
    "finished": "ok",
    "failed": "stop",
    "skipped": "dim",
    "boundary": "warn",
    "heartbeat": "dim",
}
_SKIPPED = {
    "fired-before": "another watcher has fired it",
    "running-elsewhere": "another watcher runs it",
    "answered": "its owner has answered meanwhile",
    "gave-up": "given up after five attempts",
    "dry-run": "would run",
}
_NAME_WIDTH = max(map(len, EVENTS))
_OUTPUT_LINES = 20
_OUTPUT_COLUMNS = 200


class Reporter:
    """Puts events into words.

    Args:
        write: takes one line's worth: a document for JSON lines (contract O1), or text that is safe
            to show.
        as_json: which of the two.
        paint: puts a style of `cli.screen` on a text.
        clock: dates the events.
        show: takes what stands on a terminal's last line, where there is one: how things are, drawn
            anew with each event. Signs of life are not told there beside it.

    Attributes:
        status: how things are, as `heartbeat` has it, and `settled`, `pending` and `room`.
    """

    def __init__(
        self,
        write: Callable[[str | dict[str, Any]], None],
        *,
        as_json: bool,
        paint: Callable[[str, str], str],
        clock: Clock,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self._show = show
        self.status: Callable[[], dict[str, Any]] = dict
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
            return
        if event == "stopped" and self._show is not None:
            self._show("")
            self._show = None
        # Facts for which there is no command are nothing that a person waits for.
        is_told = event != "activity" or "command" in kept
        if is_told and not (event == "heartbeat" and self._show is not None):
            self._write(self._text(event, at, kept))
        self.refresh()

    def refresh(self) -> None:
        """Things are different without an event: the last line is drawn anew."""
        if self._show is not None:
            self._show(_standing(self.status(), self._clock.now_ms()))

    def _text(self, event: str, at: str, fields: dict[str, Any]) -> str:
        name = self._paint(event.ljust(_NAME_WIDTH), _STYLES.get(event, ""))
        said = visible(_said(event, fields, at))
        lines = [f"{self._paint(at[11:19], 'dim')} {name}  {said}"]
        for stream in ("stdout", "stderr"):
            output = str(fields.get(stream, "")).splitlines()
            if len(output) > _OUTPUT_LINES:
                output = ["…", *output[-_OUTPUT_LINES:]]
            bar = self._paint("|", "dim")
            lines += [f"         {bar} {one_line(line, _OUTPUT_COLUMNS)}" for line in output]
        return "\n".join(lines) + "\n"


def _said(event: str, fields: dict[str, Any], at: str) -> str:
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
            said += f": {_SKIPPED.get(fields['reason'], fields['reason'])}{_detail(fields)}"
        case "boundary":
            said = _boundary(fields)
        case "heartbeat":
            said = f"{fields['due']} due, {fields['running']} running, {_next(fields, at)}"
        case _:
            why = "all is done" if fields["reason"] == "once" else fields["reason"]
            said = f"{why}; {fields['finished']} finished, {fields['failed']} failed"
    return said


def _standing(status: dict[str, Any], now_ms: int) -> str:
    """How things are, on one line."""
    if not status:
        return ""
    room = os.path.basename(status["room"]) or status["room"]
    if not status["head"]:
        return f"nobody has said anything in {room} yet; waiting"
    counts = [
        f"{status[name]} {word}"
        for name, word in (
            ("running", "running"), ("pending", "to be run"), ("settled", "woken, not answered yet"),
        )
        if status[name]
    ]  # fmt: skip
    return f"watching {room}: {', '.join([*counts, _next(status, to_rfc3339(now_ms))])}"


def _next(fields: dict[str, Any], now: str) -> str:
    """When the next standby falls due; the day only where it is another one."""
    at = fields.get("next_due_at")
    if not at:
        return "nothing falls due later"
    return f"next at {at[11:19]}Z" if at[:10] == now[:10] else f"next on {at[:10]} at {at[11:19]}Z"


def _about(fields: dict[str, Any]) -> str:
    if "standby_event_id" in fields:
        step = f" step {fields['step']}" if fields.get("step") else ""
        return f"{fields.get('owner', '?')}{step} {fields['standby_event_id']}"
    if "from_seq" in fields:
        return f"activity {fields['from_seq']} to {fields['to_seq']}"
    return "activity"


def _boundary(fields: dict[str, Any]) -> str:
    total = fields["total"]
    what = fields["path"] if total == 1 else f"{total} files, {fields['path']} among them,"
    risk = f" ({fields['risk']})" if fields.get("risk") else ""
    by = fields.get("writer", "somebody")
    return f"{by} wrote {what} in {fields['tree']}, claimed by {fields['owner']}{risk}"


def _running(fields: dict[str, Any]) -> str:
    return f": {fields['command']}" if fields.get("command") else ""


def _detail(fields: dict[str, Any]) -> str:
    if fields["reason"] == "dry-run":
        return f" {fields['detail']}"
    if fields.get("detail") == "activity":  # that is what the line is about
        return ""
    if fields.get("until"):
        return f", until {fields['until'][11:19]} at the latest"
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
        again = fields.get("retry_at")
        after = f"; again at {again[11:19]}" if again else "; the next call tries again"
    return f"{what} (attempt {fields['attempt']}){after}"


def shown_command(argv: list[str] | str) -> str:
    """A command as it would be typed."""
    return argv if isinstance(argv, str) else shlex.join(argv)
