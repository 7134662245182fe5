"""`rally watch`: standbys that fall due (contract X1)."""

from __future__ import annotations

import os
import signal

import pytest
from runner_room import RALLY, Room

SHOW_WAKE = (
    'echo "$RALLY_ROOM|$RALLY_WATCH|$RALLY_TOOL|$RALLY_STANDBY_ID|$RALLY_RUN|$RALLY_STEP'
    '|$RALLY_SESSION_ID|$RALLY_FROM_SEQ|$(pwd)"'
)


def test_a_due_standby_is_woken_with_rallys_own_suggestion(room: Room) -> None:
    """Without --on-wake it is `rally next --tool OWNER --json`, found though no PATH has it."""
    watcher = room.watch(env={"PATH": "/usr/bin:/bin"})
    standby = room.due_standby("claude:1")
    fired = watcher.event("fired")
    assert (fired["standby_event_id"], fired["owner"], fired["cause"]) == (
        standby,
        "claude:1",
        "time",
    )
    assert fired["command"] == "rally next --tool claude:1 --json"
    assert '"action":' in watcher.event("finished", standby_event_id=standby)["stdout"]


def test_the_command_finds_its_surroundings(room: Room) -> None:
    """Room, label, owner, standby, run and step; the owner's session and never the watcher's."""
    room.enter("claude:1")
    standby = room.say(
        "standby", "--wake-after", "2020-01-01T00:00:00Z", "--run", "r", "--step", "it's",
        "--session-id", "s1", tool="claude:1",
    )["event_id"]  # fmt: skip
    mine = {"RALLY_SESSION_ID": "mine", "RALLY_FROM_SEQ": "7", "GIT_DIR": "/nowhere"}
    watcher = room.watch("--once", "--tool", "night", "--on-wake", SHOW_WAKE, env=mine)
    shown = watcher.event("finished")["stdout"].strip()
    assert shown == f"{room.root}|night|claude:1|{standby}|r|it's|s1||{room.root}"


def test_a_firing_stands_in_the_ledger_and_is_never_repeated(room: Room) -> None:
    """One claim of the label on `wake:<id>`, released as succeeded; later watchers leave it alone, and
    do not tell of what was settled before they began: cron's mail would tell of it every minute."""
    standby = room.due_standby()
    assert room.watch("--once", "--tool", "cron:1").event("finished")
    (claim,) = room.attempts(standby)
    (release,) = room.facts("--kind", "release")
    assert (claim["tool"], claim["ref"], release["ref"]) == ("cron:1", standby, claim["event_id"])
    assert release["status"] == "succeeded"
    again = room.watch("--once", "--tool", "other").rest()
    assert [event["event"] for event in again] == ["stopped"]
    assert [event["event"] for event in room.watch("--once", "--dry-run").rest()] == ["stopped"]
    third = room.watch("--tool", "third")
    room.await_news(third)
    assert [event["event"] for event in third.told] == ["heartbeat", "activity"]
    assert len(room.attempts(standby)) == 1


def test_overlapping_calls_from_cron_fire_once(room: Room) -> None:
    """Eight at one time, of one label, one firing; all end well."""
    standby = room.due_standby()
    calls = [room.watch("--once", "--on-wake", "true") for _ in range(8)]
    events = [event for call in calls for event in call.rest()]
    assert [call.wait() for call in calls] == [0] * 8
    assert sum(event["event"] == "fired" for event in events) == 1
    assert len(room.attempts(standby)) == 1


@pytest.mark.parametrize("answer", ["wake", "artifact", "leave"])
def test_a_standby_that_its_owner_answered_is_not_fired(room: Room, answer: str) -> None:
    """It is no longer due, also when the watcher learned of it before."""
    standby = room.due_standby("claude:1")
    hold = room.say("claim", "--resource", f"wake:{standby}", "--key", f"wake:{standby}:1",
                    "--ttl", "1d", "--ref", standby)  # fmt: skip
    watcher = room.watch()
    watcher.event("skipped", reason="running-elsewhere")
    words = {"wake": ["--ref-standby", standby],
             "artifact": ["--ref", standby, "--subject", "done"], "leave": []}[answer]  # fmt: skip
    if answer == "leave":
        room.ask("leave", "--tool", "claude:1")
    else:
        room.say(answer, *words, tool="claude:1")
    room.say("release", "--ref", hold["event_id"])
    room.await_news(watcher)
    assert watcher.stop()[-1]["fired"] == 0
    assert len(room.attempts(standby)) == 1


def test_a_condition_that_comes_true_wakes_without_the_clock(room: Room) -> None:
    """`--until fact:`; the watcher sleeps on the room and is told."""
    blocker = room.say("blocker", "--subject", "ci is red")["event_id"]
    room.enter("claude:1")
    room.say("standby", "--until", f"fact:{blocker}", tool="claude:1")
    watcher = room.watch("--on-wake", "true")
    room.say("resolve", "--ref", blocker)
    assert watcher.event("fired")["cause"] == "fact"


def test_a_standby_falls_due_while_nothing_is_written(room: Room) -> None:
    """The deadline itself wakes the watcher."""
    watcher = room.watch("--on-wake", "true")
    room.enter("claude:1")
    room.say("standby", "--wake-after", "+1s", tool="claude:1")
    assert watcher.event("fired")["cause"] == "time"


def test_a_tool_that_never_entered_wakes_nothing(room: Room) -> None:
    """The trust gate of contract P6 holds for runners too."""
    room.say("standby", "--wake-after", "2020-01-01T00:00:00Z", tool="stranger")
    assert [event["event"] for event in room.watch("--once").rest()] == ["stopped"]


def test_a_failed_command_is_tried_again_after_a_pause(room: Room) -> None:
    """The failure names when; the second attempt is the next key in the ledger."""
    watcher = room.watch("--on-wake", "mkdir tried || exit 0; echo oh no >&2; exit 9")
    standby = room.due_standby()
    failed = watcher.event("failed")
    assert (failed["exit_code"], failed["stderr"], failed["attempt"]) == (9, "oh no\n", 1)
    assert failed["retry_at"] > failed["at"]
    finished = watcher.event("finished")
    assert finished["attempt"] == 2
    assert finished["at"] >= failed["retry_at"]
    keys = [claim["key"] for claim in room.attempts(standby)]
    assert keys == [f"wake:{standby}:1", f"wake:{standby}:2"]


def test_five_failures_end_in_one_risk(room: Room) -> None:
    """Each call of --once is one attempt; after the fifth one risk fact, whoever looks later."""
    standby = room.due_standby("claude:1", "--run", "r", "--step", "s")
    for number in range(1, 6):
        failed = room.watch("--once", "--on-wake", "exit 1").event("failed")
        assert failed["attempt"] == number
        assert "retry_at" not in failed  # the next call is the next attempt
    (risk,) = room.facts("--kind", "risk")
    assert failed["risk"] == risk["event_id"]
    assert (risk["ref"], risk["run"], risk["step"]) == (standby, "r", "s")
    later = room.watch("--once", "--tool", "other", "--on-wake", "exit 1").rest()
    assert [event["event"] for event in later] == ["stopped"]
    assert len(room.attempts(standby)) == 5
    assert len(room.facts("--kind", "risk")) == 1
    assert room.ask("room")["totals"]["lapsed_claims"] == 0


def test_a_command_that_cannot_be_started_is_a_failed_attempt(room: Room) -> None:
    """`rally` that is nowhere: told, retried, and the lease is not kept."""
    standby = room.due_standby()
    room.env["PATH"] = "/nonexistent"
    failed = room.watch("--once", "--on-wake", "true").event("failed")
    assert "cannot be started" in failed["error"]
    room.env["PATH"] = os.environ["PATH"]
    assert room.watch("--once", "--on-wake", "true").event("finished")["attempt"] == 2
    assert len(room.attempts(standby)) == 2


def test_stopping_starts_nothing_new_and_waits_for_what_runs(room: Room) -> None:
    """SIGTERM: the running command ends by itself, the one behind it is not begun, exit 0."""
    go = room.fifo("go")
    watcher = room.watch("--max-concurrent", "1", "--on-wake", f"read line < {go}; echo $line")
    first = room.due_standby("claude:1")
    assert watcher.event("fired")["standby_event_id"] == first
    second = room.due_standby("claude:2")
    room.await_news(watcher)
    watcher.send(signal.SIGTERM)
    go.write("ended by itself\n")
    rest = watcher.rest()
    assert [event["event"] for event in rest] == ["finished", "stopped"]
    assert (rest[0]["stdout"], rest[1]["reason"]) == ("ended by itself\n", "SIGTERM")
    assert watcher.wait() == 0
    assert room.attempts(second) == []
    go.close()


def test_a_second_signal_ends_what_runs_and_leaves_it_to_the_next(room: Room) -> None:
    """The cut command counts as failed, so another watcher takes the next attempt at once."""
    watcher = room.watch("--on-wake", "sleep 1000")
    standby = room.due_standby()
    watcher.event("fired")
    watcher.send(signal.SIGINT)
    watcher.send(signal.SIGTERM)
    assert watcher.event("failed")["cut"] is True
    assert watcher.event("stopped")["reason"] in ("SIGINT", "SIGTERM")  # both were pending
    assert watcher.wait() == 0
    assert room.watch("--once", "--on-wake", "true").event("finished")["attempt"] == 2
    assert len(room.attempts(standby)) == 2


def test_what_it_was_started_to_ignore_does_not_stop_it(room: Room) -> None:
    """`nohup rally watch &` outlives the terminal."""
    script = f"trap '' HUP; exec {RALLY} watch --json --on-wake true"
    watcher = room.start_program(["sh", "-c", script])
    watcher.event("heartbeat")
    watcher.send(signal.SIGHUP)
    room.due_standby()
    watcher.event("finished")
    assert watcher.stop()[-1]["reason"] == "SIGTERM"


def test_a_dry_run_tells_and_writes_nothing(room: Room) -> None:
    """No claim, no command, no cursor."""
    standby = room.due_standby()
    before = len(room.facts())
    told = room.watch(
        "--once", "--dry-run", "--on-wake", "touch f", "--on-activity", "touch f"
    ).rest()
    assert (told[0]["reason"], told[0]["detail"]) == ("dry-run", "touch f")
    assert told[0]["standby_event_id"] == standby
    assert len(room.facts()) == before
    assert not (room.root / "f").exists()
    assert not (room.root / ".rally" / "watch").exists()


def test_text_for_people_is_one_line_an_event_and_safe_to_show(room: Room) -> None:
    """What a command prints is shown below, with escapes made visible (contract O5)."""
    room.due_standby("claude:1")
    done = room.run("watch", "--once", "--on-wake", r"printf 'a\033[31mb\n'")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert "fired" in lines[0]
    assert "claude:1" in lines[0]
    assert lines[2].endswith(r"| a\x1b[31mb")
    assert "\x1b" not in done.stdout.decode()


def test_a_reader_that_goes_away_stops_the_watcher_quietly(room: Room) -> None:
    """`rally watch | head`: exit 0, nothing on standard error (contract O4)."""
    watcher = room.watch("--on-wake", "true")
    assert watcher.process.stdout is not None
    watcher.process.stdout.close()
    room.due_standby()
    assert watcher.wait() == 0
    assert watcher.errors() == ""


def test_a_duration_ends_the_watch(room: Room) -> None:
    """Exit 0, with the reason."""
    watcher = room.watch("--duration", "1s")
    assert watcher.event("stopped")["reason"] == "duration"
    assert watcher.wait() == 0


def test_silence_is_broken_by_a_sign_of_life(room: Room) -> None:
    """After --max-interval without an event: what the room answers at that moment."""
    watcher = room.watch("--max-interval", "1s", "--on-wake", "true")
    room.enter("claude:1")
    beat = watcher.event("heartbeat")
    assert (beat["head"], beat["due"], beat["running"]) == (1, 0, 0)


def test_why_a_standby_is_left_alone_is_said_in_words(room: Room) -> None:
    """The reasons of the JSON lines are names for programs."""
    room.due_standby("claude:1")
    told = room.run("watch", "--once", "--dry-run", "--on-wake", "echo hi").stdout.decode()
    assert ": would run echo hi\n" in told
    held = room.watch("--on-wake", "sleep 1000")
    held.event("fired")
    told = room.run("watch", "--once").stdout.decode()
    assert ": another watcher runs it, until " in told
    held.send(signal.SIGTERM)
    held.send(signal.SIGINT)
    assert held.event("stopped")
