"""How far a run is (contract W4), from the rows of `task list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def progress(run: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The ids of the tasks that are done, claimed and pending.

    Every task is in one of these lists. Of the pending ones, `to_dispatch` are those that could be
    begun now and that nobody sleeps over (an agent on standby is woken, not sent again), and `blocked`
    those whose turn cannot come before a blocker is resolved, be it theirs or of what they hang on.

    Args:
        rows: as `task list` answers them, in the order in which they are to be listed.
    """
    listed = list(rows)
    done = [row["id"] for row in listed if row["status"] == "landed"]
    claimed = [row["id"] for row in listed if row["status"] != "landed" and row["held_by"]]
    pending = [row for row in listed if row["status"] != "landed" and not row["held_by"]]
    return {
        "run": run,
        "done": done,
        "claimed": claimed,
        "pending": [row["id"] for row in pending],
        "to_dispatch": [row["id"] for row in pending if row["ready"] and not row["standby"]],
        "blocked": [row["id"] for row in pending if row.get("blocked_by")],
        "complete": bool(listed) and len(done) == len(listed),
        "tasks": [_row(row) for row in listed],
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "id",
        "status",
        "detail",
        "tool",
        "held_by",
        "standby",
        "ready",
        "blocked_by",
        "registered",
    )
    return {name: row.get(name) for name in names}
