"""A thousand standbys at one instant, and a watcher that has nothing to do."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest
from runner_room import Process, Room

STANDBYS = 1_000
MOST = 8


@pytest.mark.slow
async def test_a_thousand_that_fall_due_at_one_instant_are_all_fired_once(room: Room) -> None:
    """By two watchers of one label together, never more than --max-concurrent at a time each."""
    watchers = [room.watch("--max-concurrent", str(MOST), "--on-wake", "true") for _ in range(2)]
    due_at = datetime.now(timezone.utc) + timedelta(seconds=6)
    async with await room.connect() as connection:
        await connection.call("enter", tool="sleeper")
        for number in range(STANDBYS):
            await connection.call(
                "say", kind="standby", tool="sleeper", run="r", step=f"s{number}",
                wake_after=due_at.isoformat(),
            )  # fmt: skip
    fired: list[str] = []
    for watcher in watchers:
        fired += finished_by(watcher)
    assert len(fired) == STANDBYS
    assert len(set(fired)) == STANDBYS
    claims = room.facts("--kind", "claim")
    assert len(claims) == STANDBYS
    assert {claim["key"].rpartition(":")[2] for claim in claims} == {"1"}


def finished_by(watcher: Process) -> list[str]:
    """Read a watcher's events until it has seen every standby to its end; those that it fired."""
    fired, settled, running = [], set(), 0
    while len(settled) < STANDBYS:
        event = watcher.next_event()
        assert event is not None
        if event["event"] == "fired":
            running += 1
            fired.append(event["standby_event_id"])
        elif event["event"] == "finished":
            running -= 1
            settled.add(event["standby_event_id"])
        elif event["event"] == "skipped":
            settled.add(event["standby_event_id"])
        assert event["event"] != "failed"
        assert 0 <= running <= MOST
    return fired


def test_an_idle_watcher_sleeps(room: Room) -> None:
    """Five more seconds of nothing cost no wake-ups: neither a timer nor a thread looks around."""
    room.enter("claude:1")
    room.say("standby", "--wake-after", "+1h", tool="claude:1")
    short, long = switches(room, "1s"), switches(room, "6s")
    assert long - short < 40, f"{short} switches in 1 s, {long} in 6 s"


def switches(room: Room, duration: str) -> int:
    """How often a watcher gave up the processor of its own accord, in so long a life."""
    watcher = room.start("watch", "--json", "--duration", duration)
    watcher.rest()
    _, status, usage = os.wait4(watcher.pid, 0)
    watcher.process.returncode = os.waitstatus_to_exitcode(status)
    assert status == 0
    return usage.ru_nvcsw
