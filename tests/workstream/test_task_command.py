"""task add, list, take, done, drop (contract W5)."""

from __future__ import annotations

from typing import Any

import pytest
from plan_desk import Desk

from rally.model.kinds import SUBJECT_CHARS_MAX

ADD = ("task", "add", "--tool", "lead:1", "--run", "r")
SOUND = ("--id", "a", "--intent", "do it", "--owns", "src/a")

# words after ADD, code, part of the message
BAD: list[tuple[tuple[str, ...], str, str]] = [
    (("--intent", "x", "--owns", "p"), "missing-field", "--id"),
    (("--id", "", "--intent", "x", "--owns", "p"), "missing-field", "--id"),
    (("--id", "a b", "--intent", "x", "--owns", "p"), "bad-value", "'a b'"),
    (("--id", "а", "--intent", "x", "--owns", "p"), "bad-value", "\\u0430"),
    (("--id", "x" * 257, "--intent", "x", "--owns", "p"), "too-long", "257"),
    (("--id", "a", "--owns", "p"), "missing-field", "--intent"),
    (("--id", "a", "--intent", " ", "--owns", "p"), "missing-field", "--intent"),
    (
        ("--id", "a", "--intent", "x" * 16_385, "--owns", "p"),
        "too-long",
        "--intent has 16385 bytes",
    ),
    (("--id", "a", "--intent", "\udcff", "--owns", "p"), "bad-text", "--intent"),
    (("--id", "a", "--intent", "x", "--owns", "p", "--read-only"), "bad-value", "read-only"),
    (("--id", "a", "--intent", "x", "--owns", ""), "bad-path", "empty"),
    (("--id", "a", "--intent", "x", "--owns", "../p"), "path-outside-room", "'../p'"),
    (("--id", "a", "--intent", "x", *["--owns", "p"] * 1_001), "too-long", "--owns was given 1001"),
    ((*SOUND, "--depends-on", "a"), "bad-value", "itself"),
    ((*SOUND, "--depends-on", "b c"), "bad-value", "--depends-on"),
    ((*SOUND, *["--depends-on", "b"] * 1_001), "too-long", "--depends-on was given 1001"),
    ((*SOUND, "--priority", "high"), "usage", "'high'"),
    ((*SOUND, "--validation", ""), "missing-field", "--validation"),
    ((*SOUND, "--output", " "), "missing-field", "--output"),
    ((*SOUND, "--validation", "\udcff"), "bad-text", "--validation"),
    ((*SOUND, "--validation", "x" * 65_536), "too-long", "whole fact"),
    ((*SOUND, "--output", "\udcff"), "bad-text", "--output"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD, ids=lambda one: str(one)[:50])
async def test_a_bad_task_is_refused_and_nothing_is_made(
    desk: Desk, words: tuple[str, ...], code: str, message: str
) -> None:
    """T4, F5: exit 2, the value is named, and not even a room comes into being."""
    result = await desk(*ADD, *words, "--json")
    assert (result.code, result.error["code"]) == (2, code), result.out
    assert message in result.error["message"]
    made = desk.cwd / ".rally"
    assert not made.exists() or await desk.facts() == []


async def test_a_task_is_registered_with_all_that_was_said_of_it(desk: Desk) -> None:
    """W5: the fact, and the same in the descriptor's words."""
    data = await desk.json(
        *ADD, *SOUND, "--owns", "./src//b/", "--depends-on", "z", "--priority", "-5",
        "--validation", "make 'a'\n", "--output", "a thing",
    )  # fmt: skip
    fact = data["fact"]
    assert data["task"] == {
        "id": "a", "run": "r", "intent": "do it", "owns": ["src/a", "src/b"], "depends_on": ["z"],
        "priority": -5, "validation": "make 'a'\n", "output": "a thing",
    }  # fmt: skip
    assert (fact["kind"], fact["step"], fact["subject"], fact["summary"]) == (
        "task", "a", "do it", "do it",
    )  # fmt: skip
    assert fact["data"]["read_only"] is False


async def test_a_long_intent_is_cut_in_lists_and_whole_in_packets(desk: Desk) -> None:
    """The subject shows its first 500 characters, the summary keeps it all."""
    intent = "é" * 8_000
    await desk.json(*ADD, "--id", "a", "--intent", intent, "--owns", "p")
    (fact,) = await desk.facts("task")
    assert (fact["subject"], fact["summary"]) == ("é" * SUBJECT_CHARS_MAX, intent)
    taken = await desk.json("task", "take", "--run", "r", "--tool", "x:1")
    assert taken["task"]["intent"] == intent
    assert f"> {intent}\n" in taken["packet"]


async def test_the_packet_is_printed_as_it_is(desk: Desk) -> None:
    """A tab or a blank at the end of a line means something to the shell; an escape stays visible."""
    await desk.json(*ADD, *SOUND, "--validation", "printf 'a\tb'\n\ttrue \\  \n\x1b[2J")
    printed = (await desk("task", "take", "--run", "r", "--tool", "x:1")).out
    assert "\nprintf 'a\tb'\n\ttrue \\  \n\\x1b[2J\n" in printed
    assert printed.endswith("\n```\n")


async def test_the_same_task_again_answers_the_first(desk: Desk) -> None:
    """F8: a retry is safe; another task under the same id is not the same task."""
    first = await desk.json(*ADD, *SOUND)
    again = await desk.json("task", "add", "--tool", "other:1", "--run", "r", *SOUND)
    assert (again["fact"], again["replayed"], first["replayed"]) == (first["fact"], True, False)
    assert "added before, as it is: a of run r" in (await desk(*ADD, *SOUND)).out
    for name, more in (
        ("priority", ("--priority", "7")),
        ("depends_on", ("--depends-on", "z")),
        ("owns", ("--owns", "src/z")),
        ("output", ("--output", "y")),
    ):
        result = await desk(*ADD, *SOUND, *more, "--json")
        assert (result.code, result.error["code"]) == (3, "task-exists")
        assert result.error["details"]["differs"] == [name], "in the words of a descriptor"
    assert len(await desk.facts()) == 1


async def test_a_task_that_landed_long_ago_is_known_still(desk: Desk) -> None:
    """A run whose every task has landed is forgotten by the state, and not by the ledger."""
    first = await desk.json(*ADD, *SOUND)
    await desk.json("task", "take", "--run", "r", "--tool", "x:1")
    await desk.json("task", "done", "--run", "r", "--id", "a", "--tool", "x:1")
    again = await desk.json(*ADD, *SOUND)
    assert (again["fact"], again["replayed"]) == (first["fact"], True)
    other = await desk(*ADD, *SOUND, "--priority", "7", "--json")
    assert (other.code, other.error["code"]) == (3, "task-exists")


async def test_a_withdrawn_task_can_be_registered_otherwise(desk: Desk) -> None:
    """`retract` takes a task out of the run."""
    first = await desk.json(*ADD, *SOUND)
    await desk.json(
        "say", "retract", "--tool", "x:1", "--ref", first["fact"]["event_id"], "--reason", "no"
    )
    assert (await desk.json("task", "list", "--run", "r"))["tasks"] == []
    again = await desk.json(*ADD, *SOUND, "--priority", "7")
    assert again["replayed"] is False


async def take(desk: Desk, tool: str, *words: str) -> Any:
    """What `task take` gave, or the error."""
    result = await desk("task", "take", "--run", "r", "--tool", tool, *words, "--json")
    return result.data if result.code == 0 else result.error


async def test_taking_gives_the_next_task_with_its_claim_and_its_packet(desk: Desk) -> None:
    """W5, C3: lower priority first, then the oldest; the paths it owns are claimed with the step."""
    await desk.json(*ADD, "--id", "late", "--intent", "x", "--owns", "src/late")
    await desk.json(
        *ADD, "--id", "early", "--intent", "x", "--owns", "src/early", "--priority", "1"
    )
    taken = await take(desk, "x:1", "--ttl", "2h", "--session-id", "s 1")
    fact = taken["fact"]
    assert (taken["task"]["id"], fact["kind"], fact["paths"]) == ("early", "claim", ["src/early"])
    assert (fact["run"], fact["step"], fact["ttl"]) == ("r", "early", "2h")
    assert taken["fence"] == fact["fence"] == fact["seq"]
    packet = taken["packet"]
    assert "# Task early of run `r`" in packet
    assert f"--fence {fact['fence']} --strict --path src/early" in packet
    assert "--session-id 's 1'" in packet
    assert "rally say claim" not in packet
    assert (await take(desk, "y:1"))["task"]["id"] == "late"


async def test_a_read_only_task_takes_its_step_alone(desk: Desk) -> None:
    """C4: the step, and no path."""
    await desk.json(*ADD, "--id", "look", "--intent", "x", "--read-only")
    taken = await take(desk, "x:1")
    assert "paths" not in taken["fact"]
    assert taken["task"]["owns"] == "read-only"
    assert "read-only: you write" in taken["packet"]


async def test_an_empty_id_takes_nothing(desk: Desk) -> None:
    """A variable that was not set is not the wish for just any task."""
    await desk.json(*ADD, *SOUND)
    refused = await desk("task", "take", "--run", "r", "--tool", "x:1", "--id", "", "--json")
    assert (refused.code, refused.error["code"]) == (2, "missing-field")
    assert (await take(desk, "x:1"))["task"]["id"] == "a"


async def test_nothing_ready_says_why(desk: Desk) -> None:
    """W5: exit 3, with what each open task waits for."""
    unknown = await take(desk, "x:1")
    assert (unknown["code"], unknown["exit_code"]) == ("nothing-ready", 3)
    assert "it has no tasks" in unknown["message"]
    await desk.json(*ADD, *SOUND)
    await desk.json(*ADD, "--id", "b", "--intent", "x", "--owns", "src/b", "--depends-on", "a")
    await desk.json(*ADD, "--id", "c", "--intent", "x", "--owns", "docs")
    await desk.say("z:1", "claim", "--path", "docs/c.md")
    await take(desk, "x:1")
    refused = await take(desk, "y:1")
    assert refused["code"] == "nothing-ready"
    waiting = {one["task"]: one for one in refused["details"]["waiting"]}
    until = waiting["a"]["held_until"], waiting["c"]["conflicts"][0]["lease_expires_at"]
    assert refused["message"].endswith(
        f": a is held by x:1 until {until[0]}; b waits for a; c needs what z:1 holds until {until[1]}"
    )
    assert waiting["b"]["waits_for"] == ["a"]
    assert waiting["c"]["conflicts"][0]["owner"] == "z:1"
    for step in "abc":
        await desk.say("x:1", "artifact", "--run", "r", "--step", step, "--subject", "s")
    assert "all 3 have landed" in (await take(desk, "y:1"))["message"]


async def test_next_suggests_only_what_take_would_give(desk: Desk) -> None:
    """One question, one answer: a task whose paths others hold is not suggested to me."""
    await desk.json(*ADD, *SOUND)
    await desk.say("z:1", "claim", "--path", "src/")
    assert (await desk.json("next", "--tool", "x:1"))["action"] == "wait"
    (row,) = (await desk.json("task", "list", "--run", "r"))["tasks"]
    assert row["ready"] is False
    assert (await take(desk, "x:1"))["code"] == "nothing-ready"
    await desk.say("z:1", "release", "--path", "src/")
    suggested = await desk.json("next", "--tool", "x:1")
    assert (suggested["action"], suggested["fact"]["step"]) == ("take_task", "a")
    assert (await take(desk, "x:1"))["task"]["id"] == "a"


async def test_the_holder_lands_its_task_in_one(desk: Desk) -> None:
    """W5: artifact and release at once, and what depended on it is ready."""
    await desk.json(*ADD, *SOUND)
    await desk.json(*ADD, "--id", "b", "--intent", "x", "--read-only", "--depends-on", "a")
    await take(desk, "x:1")
    done = ("task", "done", "--run", "r", "--id", "a")
    stranger = await desk(*done, "--tool", "y:1", "--json")
    assert (stranger.code, stranger.error["code"]) == (3, "not-owner")
    assert stranger.error["details"]["owner"] == "x:1"
    before = await desk.facts()
    data = await desk.json(
        *done, "--tool", "x:1", "--uri", "file:a", "--evidence", "1", "--evidence", "2"
    )
    artifact, release = (await desk.facts())[len(before) :]
    assert data["fact"] == artifact
    assert (artifact["kind"], artifact["uri"], artifact["evidence"]) == (
        "artifact",
        "file:a",
        ["1", "2"],
    )
    assert (release["kind"], artifact["created_at"]) == ("release", release["created_at"])
    rows = (await desk.json("task", "list", "--run", "r"))["tasks"]
    assert [(row["status"], row["ready"], row["tool"]) for row in rows] == [
        ("landed", False, "x:1"), ("planned", True, None),
    ]  # fmt: skip
    again = await desk(*done, "--tool", "x:1", "--json")
    assert (again.code, again.error["code"]) == (3, "already-closed")
    assert again.error["details"]["fact_id"] == artifact["event_id"]


async def test_landing_ends_every_claim_of_the_step(desk: Desk) -> None:
    """A holder that claimed more for its step holds nothing of it afterwards."""
    await desk.json(*ADD, *SOUND)
    await take(desk, "x:1")
    await desk.say("x:1", "claim", "--run", "r", "--step", "a", "--path", "docs")
    await desk.json("task", "done", "--run", "r", "--id", "a", "--tool", "x:1")
    assert (await desk.json("room"))["active_claims"] == []


async def test_a_dropped_task_is_there_for_others(desk: Desk) -> None:
    """W5: the claim ends, the reason is kept, and the task can be taken again."""
    await desk.json(*ADD, *SOUND)
    await take(desk, "x:1")
    drop = ("task", "drop", "--run", "r", "--id", "a")
    stranger = await desk(*drop, "--tool", "y:1", "--json")
    assert (stranger.code, stranger.error["code"]) == (3, "not-owner")
    data = await desk.json(*drop, "--tool", "x:1", "--reason", "out of context")
    assert (data["fact"]["kind"], data["fact"]["reason"]) == ("release", "out of context")
    (row,) = (await desk.json("task", "list", "--run", "r"))["tasks"]
    assert (row["ready"], row["held_by"]) == (True, None)
    assert (await take(desk, "y:1"))["task"]["id"] == "a"


@pytest.mark.parametrize("action", ["done", "drop"])
async def test_who_does_not_hold_a_task_is_told_who_does(desk: Desk, action: str) -> None:
    """A tool is told from its other session, and nobody holds what nobody took."""
    await desk.json(*ADD, *SOUND)
    end = ("task", action, "--run", "r", "--id", "a", "--tool", "x:1", "--session-id", "s2")
    free = (await desk(*end, "--json")).error
    assert free["message"] == "x:1 does not hold a; nobody does"
    assert free["hint"] == "rally task take --run r --tool x:1 --id a"
    await desk.json("task", "take", "--run", "r", "--tool", "x:1", "--session-id", "s1")
    held = (await desk(*end, "--json")).error
    start = "x:1 in its session s2 does not hold a; x:1 in its session s1 does until 2"
    assert held["message"].startswith(start)


@pytest.mark.parametrize("action", ["done", "drop"])
async def test_a_task_that_there_is_not_cannot_be_ended(desk: Desk, action: str) -> None:
    """Exit 2, and the way to the list."""
    await desk.json(*ADD, *SOUND)
    for words, code in (
        (("--run", "r", "--id", "zz"), "unknown-task"),
        (("--run", "zz", "--id", "a"), "unknown-task"),
        (("--run", "r"), "missing-field"),
        (("--id", "a"), "missing-field"),
    ):
        result = await desk("task", action, "--tool", "x:1", *words, "--json")
        assert (result.code, result.error["code"]) == (2, code)


async def test_what_another_machine_registered_is_shown_and_never_taken(desk: Desk) -> None:
    """T3: an untrusted task neither stands in the place of ours nor is given to anybody."""
    await desk.json(*ADD, *SOUND)
    service = await desk.rooms.service(str(desk.cwd), create=False, env=desk.env)
    (own,) = await desk.facts("task")
    await append_untrusted(service, {**own, "event_id": "task-f1", "summary": "evil"})
    await append_untrusted(service, {**own, "event_id": "task-f2", "step": "b", "subject": "evil"})
    rows = (await desk.json("task", "list", "--run", "r"))["tasks"]
    assert [(row["id"], row["intent"], row.get("trust"), row["ready"]) for row in rows] == [
        ("a", "do it", None, True), ("b", "do it", "untrusted", False),
    ]  # fmt: skip
    assert (await take(desk, "x:1"))["task"]["id"] == "a"
    assert (await take(desk, "x:1"))["code"] == "nothing-ready"


async def append_untrusted(service: Any, doc: dict[str, Any]) -> None:
    """A fact as it came from another machine."""
    from rally.model.fact import seal

    head = await service.ledger.head()
    content = {name: value for name, value in doc.items() if name not in ("seq", "prev", "hash")}
    await service.ledger.append(
        [seal({**content, "origin": "far", "trust": "untrusted"}, seq=head.seq + 1, prev=head.hash)]
    )


async def test_tasks_that_would_wait_for_each_other_are_refused(desk: Desk) -> None:
    """Registered one by one they would never be ready; the circle is named."""
    await desk.json(*ADD, *SOUND, "--depends-on", "b")
    await desk.json(*ADD, "--id", "b", "--intent", "x", "--read-only", "--depends-on", "c")
    words = (*ADD, "--id", "c", "--intent", "x", "--read-only", "--depends-on", "a", "--json")
    result = await desk(*words)
    assert (result.code, result.error["code"]) == (2, "bad-value")
    assert "c → a → b → c" in result.error["message"]
    assert len(await desk.facts("task")) == 2
