"""A thousand standbys at one instant, and a watcher that has nothing to do."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from runner_room import Process, Room

STANDBYS = 1_000
MOST = 8


@pytest.mark.slow
async def test_a_thousand_that_fall_due_at_one_instant_are_all_fired_once(room: Room) -> None:
    """By two watchers of one label together, never more than --max-concurrent at a time each."""
    watchers = [room.watch("--max-concurrent", str(MOST), "--on-wake", "true") for _ in range(2)]
    async with await room.connect() as connection:
        await connection.call("enter", tool="sleeper")
        due_at = datetime.now(timezone.utc) + timedelta(seconds=4)
        await asyncio.gather(*(
            connection.call(
                "say", kind="standby", tool="sleeper", run="r", step=f"s{number}",
                wake_after=due_at.isoformat(),
            )
            for number in range(STANDBYS)
        ))  # fmt: skip
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
    """Nor does the daemon that it follows wake up, or a watcher without one: neither a timer nor a
    thread looks around. A few looks follow the last fact; twenty a second there must not be."""
    room.enter("claude:1")
    room.say("standby", "--wake-after", "+1h", tool="claude:1")
    seconds = "2s"
    with_daemon = room.start("watch", "--json", "--max-interval", seconds)
    direct = room.start("watch", "--json", "--max-interval", seconds, env={"RALLY_DAEMON": "off"})
    daemon = int(Path(room.env["RALLY_RUNTIME_DIR"], "rallyd.lock").read_text())
    with_daemon.event("heartbeat")
    direct.event("heartbeat")
    sleepers = {"watcher": with_daemon.pid, "direct watcher": direct.pid, "daemon": daemon}
    before = {name: switches(pid) for name, pid in sleepers.items()}
    with_daemon.event("heartbeat")
    direct.event("heartbeat")
    awoke = {name: switches(pid) - before[name] for name, pid in sleepers.items()}
    assert max(awoke.values()) < 30, awoke


def switches(pid: int) -> int:
    """How often the threads of a process gave up the processor of their own accord."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            found += int(value) if name == "voluntary_ctxt_switches" else 0
    return found
