"""`rally watch --on-activity`: commands for what is new (contract X1)."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from runner_room import Room

from rally.facilitation import ops

SHOW = 'echo "$RALLY_FROM_SEQ-$RALLY_TO_SEQ $RALLY_WATCH $RALLY_ROOM $RALLY_STANDBY_ID"'


def test_news_is_dealt_with_once_for_each_batch(room: Room) -> None:
    """What came while the command ran is the next batch."""
    go = room.fifo("go")
    watcher = room.watch("--on-activity", f"read line < {go}; {SHOW}")
    first = room.say("note", "--subject", "one")["seq"]
    watcher.event("activity", from_seq=first, to_seq=first, facts=1)
    for subject in ("two", "three", "four"):
        last = room.say("note", "--subject", subject)["seq"]
    go.write("go\n")
    finished = watcher.event("finished")
    assert finished["stdout"] == f"{first}-{first} watch {room.root} \n"
    watcher.event("activity", from_seq=first + 1, to_seq=last, facts=3)
    go.write("go\n")
    watcher.event("finished")
    go.close()


def test_a_command_that_says_something_does_not_call_itself(room: Room) -> None:
    """What its children say, whatever they say it with, carries the label and is no activity."""
    watcher = room.watch(
        "--on-activity", "rally say note --tool helper --subject seen", "--tool", "w"
    )
    first = room.say("note", "--subject", "one")["seq"]
    watcher.event("activity", from_seq=first, to_seq=first)
    watcher.event("finished")
    second = room.say("note", "--subject", "two")["seq"]
    watcher.event("activity", from_seq=second, to_seq=second, facts=1)
    watcher.event("finished")
    notes = room.facts("--kind", "note")
    assert [note.get("origin") for note in notes] == [None, "watch:w", None, "watch:w"]


def test_every_way_of_writing_carries_the_marker(room: Room) -> None:
    """say, enter, leave, task, lead, mission and all that follows from them; the renewal is exempt."""
    mine = {"RALLY_WATCH": "w", "RALLY_TOOL": "claude:1"}
    for words in (
        "enter", "say claim --path src --run r --step t",
        "say artifact --run r --step t --subject s --release",
        "task add --run q --id a --intent i --read-only", "task take --run q",
        "task done --run q --id a", "lead take", "mission --set m",
        "memory set k v", "leave",
    ):  # fmt: skip
        room.ask(*words.split(), env=mine)
    assert [fact for fact in room.facts() if fact.get("origin") != "watch:w"] == []


def test_no_operation_writes_past_the_marker() -> None:
    """`Ask.say` is the only caller of `RoomService.say` among the operations."""
    callers = {
        path.name: [line for line in path.read_text().splitlines() if "service.say(" in line]
        for path in Path(ops.__file__).parent.glob("*.py")
    }
    assert {name for name, lines in callers.items() if lines} == {"common.py"}
    assert len(callers["common.py"]) == 1


def test_a_marker_that_is_no_label_is_refused(room: Room) -> None:
    """It would end up in the ledger; nothing is written."""
    room.env["RALLY_WATCH"] = "no label\x1b"
    code, error = room.error("say", "note", "--tool", "claude:1", "--subject", "s")
    assert (code, error["code"]) == (2, "bad-tool")
    del room.env["RALLY_WATCH"]
    assert room.facts() == []


def test_only_the_kinds_asked_for_are_activity(room: Room) -> None:
    """Several may be named; leases that are kept alive never are."""
    watcher = room.watch("--kind", "artifact", "--kind", "blocker", "--on-activity", "true")
    room.say("note", "--subject", "n")
    seq = room.say("artifact", "--subject", "a")["seq"]
    watcher.event("activity", from_seq=seq, to_seq=seq)


def test_between_two_calls_nothing_is_missed(room: Room) -> None:
    """--once begins at the head, then keeps its place for each label."""
    room.say("note", "--subject", "before")
    once = ("--once", "--on-activity", SHOW)
    assert [event["event"] for event in room.watch(*once).rest()] == ["stopped"]
    first = room.say("note", "--subject", "one")["seq"]
    last = room.say("note", "--subject", "two")["seq"]
    assert room.watch(*once).event("finished")["stdout"].startswith(f"{first}-{last} ")
    assert [event["event"] for event in room.watch(*once).rest()] == ["stopped"]
    assert [event["event"] for event in room.watch(*once, "--tool", "b").rest()] == ["stopped"]


def test_a_call_before_there_is_a_room_is_the_first_one(room: Room) -> None:
    """--once makes no room, and nothing that comes after it is missed; a room of later starts anew."""
    shutil.rmtree(room.root / ".rally")
    once = ("--once", "--on-activity", SHOW)
    for _ in range(2):
        assert [event["event"] for event in room.watch(*once).rest()] == ["stopped"]
    assert not (room.root / ".rally").exists()
    room.say("note", "--subject", "one")
    assert room.watch(*once).event("finished")["stdout"].startswith("1-1 ")
    shutil.rmtree(room.root / ".rally")
    room.say("note", "--subject", "two")
    assert [event["event"] for event in room.watch(*once).rest()] == ["stopped"]


def test_a_failed_batch_is_tried_by_the_next_call_and_given_up_after_five(room: Room) -> None:
    """The place moves on only then; one risk fact tells of it."""
    room.watch("--once", "--on-activity", "true").rest()
    first = room.say("note", "--subject", "one")["seq"]
    for number in range(1, 6):
        failed = room.watch("--once", "--on-activity", "exit 3").event("failed")
        assert (failed["attempt"], failed["from_seq"]) == (number, first)
    assert failed["gave_up"] is True
    assert [risk["event_id"] for risk in room.facts("--kind", "risk")] == [failed["risk"]]
    assert [event["event"] for event in room.watch("--once", "--on-activity", "true").rest()] == [
        "stopped"
    ]


def test_a_failed_batch_is_tried_again_after_a_pause(room: Room) -> None:
    """The same facts; what came meanwhile waits for its own batch."""
    watcher = room.watch("--on-activity", "mkdir tried || exit 0; exit 3")
    first = room.say("note", "--subject", "one")["seq"]
    failed = watcher.event("failed")
    second = room.say("note", "--subject", "two")["seq"]
    finished = watcher.event("finished")
    assert (finished["from_seq"], finished["to_seq"], finished["attempt"]) == (first, first, 2)
    assert finished["at"] >= failed["retry_at"]
    watcher.event("activity", from_seq=second, attempt=1)


def test_a_batch_whose_watcher_was_killed_is_done_by_the_next(room: Room) -> None:
    """The place is kept by the long form too: a restart misses nothing."""
    told = room.fifo("told")
    watcher = room.watch("--on-activity", f"echo began > {told}; sleep 1000")
    first = room.say("note", "--subject", "one")["seq"]
    pid = watcher.event("activity", from_seq=first)["pid"]
    assert told.read() == "began\n"
    watcher.send(signal.SIGKILL)
    watcher.wait()
    os.killpg(pid, signal.SIGKILL)
    last = room.say("note", "--subject", "two")["seq"]
    again = room.watch("--on-activity", "true")
    again.event("finished", from_seq=first, to_seq=last, attempt=2)
    told.close()


def test_calls_that_overlap_deal_with_a_batch_once(room: Room) -> None:
    """The one that comes second says so, and leaves it to the next call."""
    go = room.fifo("go")
    once = ("--once", "--on-activity", f"read line < {go}")
    room.watch(*once).rest()
    room.say("note", "--subject", "one")
    first = room.watch(*once)
    first.event("activity")
    second = room.watch(*once).rest()
    assert [event["event"] for event in second] == ["skipped", "stopped"]
    assert second[0]["reason"] == "running-elsewhere"
    go.write("go\n")
    assert first.event("finished")
    go.close()


def test_a_long_wake_command_keeps_no_news_waiting(room: Room) -> None:
    """The next call deals with activity while the one before still waits for its wake-up."""
    go = room.fifo("go")
    once = ("--once", "--on-wake", f"read line < {go}", "--on-activity", "true")
    room.watch(*once).rest()
    room.due_standby()
    first = room.watch(*once)
    while {event["event"] for event in first.told} < {"fired", "activity", "finished"}:
        assert first.next_event() is not None
    seq = room.say("note", "--subject", "one")["seq"]
    assert room.watch(*once).event("finished")["to_seq"] == seq
    go.write("go\n")
    assert first.event("finished")
    go.close()


def test_a_cursor_that_cannot_be_read_begins_anew(room: Room) -> None:
    """A torn file is as good as none: the head, and nothing breaks."""
    once = ("--once", "--on-activity", SHOW)
    room.watch(*once).rest()
    (kept,) = (room.root / ".rally" / "watch").glob("*.json")
    kept.write_bytes(b'{"seq": 1')
    room.say("note", "--subject", "one")
    assert [event["event"] for event in room.watch(*once).rest()] == ["stopped"]
    seq = room.say("note", "--subject", "two")["seq"]
    assert room.watch(*once).event("finished")["from_seq"] == seq


def test_facts_of_the_watcher_itself_are_no_activity(room: Room) -> None:
    """A firing is a claim and a release; neither calls the activity command."""
    watcher = room.watch("--on-wake", "true", "--on-activity", "true")
    room.due_standby()
    watcher.event("fired")
    seq = room.say("note", "--subject", "after")["seq"]
    while (last := watcher.event("activity"))["to_seq"] < seq:
        pass
    claims = [fact["seq"] for fact in room.facts("--kind", "claim")]
    assert claims
    assert all(claim != last["from_seq"] for claim in claims)
