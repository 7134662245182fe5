"""Watchers that are killed, daemons that go away, rooms that vanish."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import pytest
from runner_room import HERE, Process, Room, is_alive

DIES = str(HERE / "dies_before_the_start.py")


def dying_watch(room: Room, *words: str) -> Process:
    return room.start_program([sys.executable, DIES, "watch", "--json", *words])


def test_killed_between_lease_and_start_the_next_watcher_takes_over(room: Room) -> None:
    """The turn is spent, its lease lapses, and the command runs once, as attempt 2."""
    standby = room.due_standby()
    dead = dying_watch(room, "--once", "--timeout", "1s", "--on-wake", "echo dead")
    assert dead.wait() == -signal.SIGKILL
    watcher = room.watch("--on-wake", "echo alive")
    skipped = watcher.event("skipped", reason="running-elsewhere")
    finished = watcher.event("finished")
    assert (finished["attempt"], finished["stdout"]) == (2, "alive\n")
    assert finished["at"] > skipped["until"]
    assert len(room.attempts(standby)) == 2
    assert room.ask("room")["totals"]["lapsed_claims"] == 0


def test_killed_while_the_command_runs_it_is_run_again_after_the_lease(room: Room) -> None:
    """Nobody knows how it ended, so the next watcher fires it; while the lease runs, nobody does."""
    standby = room.due_standby()
    first = room.watch("--timeout", "2s", "--on-wake", "sleep 1000")
    fired = first.event("fired")
    first.send(signal.SIGKILL)
    first.wait()
    try:
        assert room.watch("--once").event("skipped")["reason"] == "running-elsewhere"
        second = room.watch("--on-wake", "true")
        assert second.event("finished")["attempt"] == 2
    finally:
        os.killpg(fired["pid"], signal.SIGKILL)
    assert len(room.attempts(standby)) == 2


def test_killed_in_the_last_attempt_gives_up_with_one_risk(room: Room) -> None:
    """Five turns are all there are, whoever had them; the lapsed claim is cleared away."""
    standby = room.due_standby()
    for _ in range(4):
        room.watch("--once", "--on-wake", "exit 1").event("failed")
    dead = dying_watch(room, "--once", "--timeout", "1s")
    assert dead.wait() == -signal.SIGKILL
    watcher = room.watch("--on-wake", "echo too late")
    assert watcher.event("skipped", reason="gave-up")["attempt"] == 5
    (risk,) = room.facts("--kind", "risk")
    assert risk["ref"] == standby
    assert len(room.attempts(standby)) == 5
    assert room.ask("room")["totals"]["lapsed_claims"] == 0


def test_a_watcher_outlives_its_daemon(room: Room) -> None:
    """The daemon is killed, another one is started, and what falls due is fired."""
    watcher = room.watch("--on-wake", "true")
    room.end_daemon()
    standby = room.due_standby()
    assert watcher.event("fired")["standby_event_id"] == standby
    assert watcher.event("finished")


def test_a_firing_whose_daemon_is_killed_meanwhile_is_written_down(room: Room) -> None:
    """The release goes through whatever answers next, once."""
    go = room.fifo("go")
    watcher = room.watch("--on-wake", f"read line < {go}")
    standby = room.due_standby()
    watcher.event("fired")
    room.end_daemon()
    go.write("now\n")
    assert watcher.event("finished")
    (release,) = room.facts("--kind", "release")
    assert release["key"] == f"wake:{standby}:2"
    go.close()


@pytest.mark.parametrize("mode", ["daemon", "direct"])
@pytest.mark.parametrize("loss", ["removed", "replaced", "renamed"])
def test_a_room_that_vanishes_is_a_clear_error(room: Room, mode: str, loss: str) -> None:
    """Exit 1 and `room-gone`; no other room is made by the watcher."""
    watcher = room.watch(env={"RALLY_DAEMON": "off"} if mode == "direct" else None)
    folder = room.root / ".rally"
    if loss == "renamed":
        folder.rename(room.root / "elsewhere")
    else:
        shutil.rmtree(folder)
    if loss == "replaced":
        room.ask("init")
    assert watcher.event("stopped")["reason"] == "room-gone"
    last = watcher.next_event()
    assert last is not None
    assert (last["ok"], last["error"]["code"], watcher.wait()) == (False, "room-gone", 1)
    assert watcher.errors() == ""
    assert folder.exists() is (loss == "replaced")


def test_without_a_daemon_everything_works_too(room: Room) -> None:
    """RALLY_DAEMON=off: other processes' facts and the next due time are noticed."""
    room.end_daemon()
    room.env["RALLY_DAEMON"] = "off"
    watcher = room.watch("--on-wake", "rally say note --subject woken")
    room.enter("claude:1")
    room.say("standby", "--wake-after", "+1s", tool="claude:1")
    assert watcher.event("finished")
    assert watcher.stop()[-1]["reason"] == "SIGTERM"
    assert [fact["tool"] for fact in room.facts("--kind", "note")] == ["claude:1"]


def test_a_watcher_may_come_before_its_room(room: Room) -> None:
    """It creates none, and begins to watch when there is one."""
    shutil.rmtree(room.root / ".rally")
    room.end_daemon()
    assert [event["event"] for event in room.watch("--once").rest()] == ["stopped"]
    watcher = room.start("watch", "--json", "--on-wake", "true")
    room.due_standby()
    assert watcher.event("finished")


def test_a_command_whose_time_is_over_is_ended_with_all_it_started(room: Room) -> None:
    """TERM to the whole group, also when nobody in it listens: KILL after the grace."""
    pids = room.fifo("pids")
    command = f"trap '' TERM; (trap '' TERM; sleep 1000) & echo $$ $! > {pids}; wait; sleep 1000"
    room.due_standby()
    watcher = room.watch("--timeout", "1s", "--on-wake", command)
    leader, child = map(int, pids.read().split())
    failed = watcher.event("failed")
    assert (failed["timed_out"], failed["signal"]) == (True, signal.SIGKILL)
    assert not is_alive(leader)
    assert not is_alive(child)
    pids.close()


def test_what_a_command_leaves_behind_is_ended_with_it(room: Room) -> None:
    """A background process neither survives nor keeps the watcher waiting."""
    pids = room.fifo("pids")
    room.due_standby()
    finished = room.watch("--once", "--on-wake", f"sleep 1000 & echo $! > {pids}").event("finished")
    assert finished["duration_ms"] < 10_000
    assert not is_alive(int(pids.read()))
    pids.close()


def test_a_flood_on_both_outputs_blocks_nobody_and_only_its_end_is_kept(room: Room) -> None:
    """Twenty megabytes each way; the last lines are there."""
    command = (
        "python3 -c 'import sys\n"
        'for n in range(20): sys.stdout.write("o" * 1000000); sys.stderr.write("e" * 1000000)\n'
        'print("the end"); print("of both", file=sys.stderr)\''
    )
    room.due_standby()
    finished = room.watch("--once", "--on-wake", command).event("finished")
    assert finished["stdout"].endswith("o" * 1000 + "the end\n")
    assert finished["stderr"].endswith("e" * 1000 + "of both\n")
    assert len(finished["stdout"]) + len(finished["stderr"]) <= 2 * 16 * 1024
