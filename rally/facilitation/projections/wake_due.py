"""wake-due (contract P6, S4): which standbys are due, why, and what a runner could start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rally.facilitation.state import leases
from rally.facilitation.state.entities import Standby
from rally.facilitation.state.room import RoomState


def due_cause(state: RoomState, standby: Standby, now_ms: int) -> str | None:
    """`time`, `step`, `fact` or `free`: why a standby is due; None while it is not.

    Several conditions must all hold; the cause is then the form of the first.
    """
    if standby.wake_after_ms is not None and standby.wake_after_ms <= now_ms:
        return "time"
    if standby.until and all(
        condition_holds(state, standby, index, now_ms) for index in range(len(standby.until))
    ):
        return standby.until[0].partition(":")[0]
    return None


def condition_holds(state: RoomState, standby: Standby, index: int, now_ms: int) -> bool:
    """Whether one condition of a standby holds now."""
    form, _, rest = standby.until[index].partition(":")
    if form == "free":
        return is_free(state, rest, standby.fact.tool, standby.fact.session_id, now_ms)
    return index in standby.held


def is_free(state: RoomState, path: str, tool: str, session_id: str | None, now_ms: int) -> bool:
    """Contract S4 `free:`: nobody else's live claim overlaps the path."""
    return not any(
        leases.binds(holding.claim, now_ms) and not leases.owns(holding.claim, tool, session_id)
        for holding in leases.overlaps(state, paths=(path,))
    )


def wake_due(
    state: RoomState, now_ms: int, *, tool: str | None = None, standby_id: str | None = None
) -> list[dict[str, Any]]:
    """The due standbys, oldest first; those of one tool, or the one with an id, where it is given."""
    due = []
    standbys = state.standbys
    if standby_id is not None:
        standbys = {standby_id: standbys[standby_id]} if standby_id in standbys else {}
    for standby in standbys.values():
        fact = standby.fact
        if (tool is not None and fact.tool != tool) or not state.is_present(fact.tool):
            continue
        cause = due_cause(state, standby, now_ms)
        if cause is None:
            continue
        due.append(
            {
                "standby_event_id": fact.event_id,
                "owner": fact.tool,
                "run": fact.run,
                "step": fact.step,
                "reason": fact.get("reason"),
                "wake_after": fact.get("wake_after"),
                "cause": cause,
                # Built from the tool id alone (its alphabet needs no quoting): nothing that an agent
                # wrote can become part of a command.
                "suggested_command": f"rally next --tool {fact.tool} --json",
            }
        )
    return due


def next_due_ms(state: RoomState, now_ms: int) -> int | None:
    """The next instant at which time alone may make a standby due; None if none can.

    That is the next `wake_after`, or the end of a lease that a `free:` condition waits for.
    """
    instants = []
    for standby in state.standbys.values():
        if standby.wake_after_ms is not None and standby.wake_after_ms > now_ms:
            instants.append(standby.wake_after_ms)
        instants += lapses(state, standby.until, now_ms)
    return min(instants, default=None)


def lapses(state: RoomState, conditions: Iterable[str], now_ms: int) -> list[int]:
    """The instants at which live leases end that `free:` conditions wait for."""
    paths = [one.removeprefix("free:") for one in conditions if one.startswith("free:")]
    return [
        holding.claim.expires_ms
        for holding in leases.overlaps(state, paths=paths)
        if leases.binds(holding.claim, now_ms)
    ]
