"""The answers of `inbox` and `wake-due`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import in_time, joined, step_of
from rally.model.durations import span
from rally.model.shell import word
from rally.model.visible import visible

_ASKED = (
    Column("from", 16),
    Column("intent"),
    Column("subject", 20),
    Column("age"),
    Column("state"),
    Column("id"),
)
_SENT = (
    Column("to", 16),
    Column("intent"),
    Column("subject", 20),
    Column("age"),
    Column("state"),
    Column("seen"),
    Column("id"),
)
_DUE = (
    Column("owner", 16),
    Column("cause"),
    Column("step", 8),
    Column("reason", 12),
    Column("id"),
)


def show_inbox(data: dict[str, Any], screen: Screen) -> str:
    """One row for each handoff; what stands behind the newest one can be asked with `show`."""
    items = data["items"]
    sent = bool(data.get("sent"))
    tool = visible(data["tool"])
    if not items:
        nobody = f"{tool} has asked nothing of others" if sent else f"nothing is asked of {tool}"
        return joined([nobody])
    title = f"{tool} asked of others" if sent else f"asked of {tool}"
    more = f" of {data['total']}; --limit 0 shows all" if len(items) < data["total"] else ""
    lines = [screen.paint(f"{title} ({len(items)}{more})", "title")]
    if sent:
        lines += table(_SENT, [_sent_row(item, screen) for item in items], screen)
    else:
        lines += table(_ASKED, [_row(item, item["tool"]) for item in items], screen)
        first = word(items[0]["event_id"])
        lines.append(f"answer: rally say receipt --tool {tool} --ref {first} --state accepted")
    return joined(lines)


def _row(item: dict[str, Any], other: str) -> list[Cell]:
    state: Cell = (item.get("receipt") or "open", "")
    if item["overdue"]:
        state = ("overdue", "stop")
    return [
        (other, "name"),
        item.get("intent", "work"),
        item.get("subject", ""),
        span(item["age_s"] * 1_000),
        state,
        (item["event_id"], "dim"),
    ]


def _sent_row(item: dict[str, Any], screen: Screen) -> list[Cell]:
    row = _row(item, item.get("target", ""))
    if not item["open"]:
        row[4] = (f"{item.get('receipt') or 'closed'}", "ok")
    seen = item.get("target_last_seen")
    row.insert(5, in_time(seen, screen) if seen else "never")
    return row


def show_wake_due(data: dict[str, Any], screen: Screen) -> str:
    """The due standbys, and beneath them the commands that a runner would start."""
    due, following = data["due"], data.get("next_due_at")
    later = [f"next by time {in_time(following, screen)} ({following})"] if following else []
    if not due:
        return joined(["no standby is due", *later])
    rows: list[list[Cell]] = [
        [
            (one["owner"], "name"),
            one["cause"],
            step_of(one),
            one.get("reason") or "",
            (one["standby_event_id"], "dim"),
        ]
        for one in due
    ]
    commands = dict.fromkeys(visible(one["suggested_command"]) for one in due)
    lines = [screen.paint(f"due ({len(due)})", "title"), *table(_DUE, rows, screen), *commands]
    return joined([*lines, *later])
