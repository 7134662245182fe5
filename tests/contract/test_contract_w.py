"""Workstreams and tasks: what a descriptor may say, what a packet holds, who gets which task."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from contract_room import Doc, Room, codes

VERDICT_REMAINS, VERDICT_BROKEN = 3, 4


def task(name: str, **fields: Any) -> Doc:
    """A sound task that owns a path of its own."""
    return {
        "id": name, "intent": f"do {name}", "owns": [f"src/{name}"], "validation": "true",
        "output": "a thing", **fields,
    }  # fmt: skip


def plan(*tasks: Any, **fields: Any) -> Doc:
    return {"workstream": "w", "description": "d", "tasks": list(tasks), **fields}


def without(document: Doc, name: str) -> Doc:
    return {key: value for key, value in document.items() if key != name}


def written(room: Room, document: Any, name: str = "plan.json") -> str:
    (room.root / name).write_text(json.dumps(document))
    return name


def lint(room: Room, document: Any, *, exits: int = 1) -> list[tuple[str, str]]:
    """Code and task of each violation."""
    data = room.data("workstream", "lint", written(room, document), exits=exits)
    assert data["action"] == "lint"
    for one in data["violations"]:
        assert one["message"]
    return [(one["code"], one["task"]) for one in data["violations"]]


ALL = plan(
    task("A-z_0.9", tier="host-native", depends_on=[], commands=["make a"], priority=7),
    task("b", owns="read-only", tier="cross-host", depends_on=["A-z_0.9"]),
    thread="t",
)


def test_a_descriptor_with_every_field_is_clean(room: Room) -> None:
    """W1, W2: required and optional fields, both tiers, `owns` as list and word; exit 0."""
    answer = room.ask("workstream", "lint", written(room, ALL))
    assert answer.data["violations"] == []
    assert "unknown-field" not in answer.warned
    assert room.head() == 0
    assert room.run("workstream", "lint", "plan.json").code == 0


# Wrong each for one reason, none in the way of another: one call tells them all.
WRONG_TASKS: list[tuple[Doc, str]] = [
    *(
        (without(task(f"no-{name}"), name), "missing-field")
        for name in ("intent", "owns", "validation", "output")
    ),
    *(
        (task(f"empty-{name}", **{name: ""}), "missing-field")
        for name in ("intent", "owns", "validation", "output", "tier")
    ),
    (task("number", intent=3), "bad-type"),
    (task("depends", depends_on="b"), "bad-type"),
    (task("commands", commands="make"), "bad-type"),
    (task("priority", priority="1"), "bad-type"),
    (task("nothing", owns=[]), "bad-owns"),
    (task("text", owns="src"), "bad-owns"),
    (task("outside", owns=["../x"]), "bad-owns"),
    (task("machine", owns=["/etc"]), "bad-owns"),
    (task("unknown", depends_on=["q"]), "unknown-dependency"),
    (task("itself", depends_on=["itself"]), "cycle"),
    (task("tier", tier="remote"), "bad-tier"),
    (task("long", intent="x" * 16_385), "too-long"),
    (task("many", owns=[f"p{n}" for n in range(1_001)]), "too-long"),
    *(
        (task(f"lines-{name}", **{name: "a\nb"}), "control-characters")
        for name in ("intent", "output")
    ),
    (task("tab", output="a\tb"), "control-characters"),
    (task("path", owns=["a\nb"]), "control-characters"),
    (task("escape", validation="a\x1bb"), "control-characters"),
    (task("bell", commands=["a\x07b"]), "control-characters"),
]
WRONG_PLANS: list[tuple[str, Any, str]] = [
    ("a list", [1], "not-object"),
    ("a task that is none", plan(3), "not-object"),
    *((f"no {name}", without(plan(task("a")), name), "missing-field")
      for name in ("workstream", "description", "tasks")),
    ("tasks as object", plan() | {"tasks": {}}, "bad-type"),
    ("no task", plan(), "empty-tasks"),
    ("no id", plan(without(task("a"), "id")), "missing-field"),
    ("an empty id", plan(task("")), "missing-field"),
    ("ids with a space and a slash", plan(task("a b"), task("a/b", owns="read-only")), "bad-id"),
    ("an id twice", plan(task("a"), task("a", owns="read-only")), "duplicate-id"),
    ("empty texts", plan(task("a"), workstream="", description="", thread=""), "missing-field"),
    ("a tab", plan(task("a"), description="a\tb"), "control-characters"),
]  # fmt: skip
OVERLAPS = [("x", "./x/"), ("x", "x/y"), ("x/*.py", "x/m*"), (".", "x"), ("a/**/z", "a/b/c/z")]


def test_each_violation_of_a_task_has_its_code(room: Room) -> None:
    """W1, W2, O2: one thing is wrong, one violation is told; exit 1, and still an answer."""
    found = lint(room, plan(*(one for one, _ in WRONG_TASKS)))
    assert sorted(found) == sorted((code, one["id"]) for one, code in WRONG_TASKS)
    assert room.head() == 0


@pytest.mark.parametrize(
    ("document", "code"), [one[1:] for one in WRONG_PLANS], ids=[one[0] for one in WRONG_PLANS]
)
def test_each_violation_of_a_plan_has_its_code(warm: Room, document: Any, code: str) -> None:
    """W1, W2, O2: what is wrong with the whole, or with an id; exit 1."""
    found = lint(warm, document)
    assert found
    assert {one for one, _ in found} == {code}


def test_write_tasks_that_overlap_are_a_conflict(warm: Room) -> None:
    """W2, C2: equal, a folder above, patterns, the whole room; a read-only task overlaps nothing."""
    for one, other in OVERLAPS:
        document = plan(task("a", owns=[one]), task("b", owns=[other]), task("c", owns="read-only"))
        assert [code for code, _ in lint(warm, document)] == ["boundary-conflict"], (one, other)
    document = plan(
        task("a", owns=["src/a"]), task("b", owns=["src/ab"]), task("c", owns="read-only")
    )
    assert lint(warm, document, exits=0) == []


RANDOM_ENDS = [
    "node -e 'Date.now()'", "node -e 'Math.random()'", "node -e 'new Date()'", "test $RANDOM -gt 1",
    "date", "test `date +%s` -gt 1", "uuidgen | grep 1", "head -c 1 /dev/urandom",
    "python -c 'import time; time.time()'", "python -c 'import random; random.random()'",
    "python -c 'import uuid; uuid.uuid4()'", "python -c 'datetime.now()'",
]  # fmt: skip


def test_chance_and_time_are_found_in_validation_and_commands(warm: Room) -> None:
    """W2: `nondeterministic` for JavaScript, shell and Python, each of them, in both fields."""
    tasks = [task(f"v{n}", validation=line) for n, line in enumerate(RANDOM_ENDS)]
    tasks += [task(f"c{n}", commands=["true", line]) for n, line in enumerate(RANDOM_ENDS)]
    assert sorted(lint(warm, plan(*tasks))) == sorted(
        ("nondeterministic", one["id"]) for one in tasks
    )


def test_what_only_looks_like_chance_is_clean(warm: Room) -> None:
    """W2: prose is no command, and a word that contains another is another word."""
    fine = ["pytest tests/test_update.py", "make validate", "grep -q candidate README"]
    tasks = [task(f"t{n}", validation=line, intent="show the date") for n, line in enumerate(fine)]
    assert lint(warm, plan(*tasks), exits=0) == []


def test_every_violation_is_reported_with_its_task(warm: Room) -> None:
    """W2: not the first alone; the path of a cycle is printed."""
    document = plan(
        task("a", depends_on=["b"], validation="date"),
        task("b", depends_on=["c"], tier="far"),
        task("c", depends_on=["a", "nobody"], owns=["src/a/x"]),
        task("c", owns=["/"]),
        description="",
    )
    found = lint(warm, document)
    assert set(found) >= {("missing-field", ""), ("nondeterministic", "a"), ("bad-tier", "b")}
    assert {code for code, _ in found} == {
        "missing-field", "nondeterministic", "bad-tier", "unknown-dependency", "cycle",
        "boundary-conflict", "duplicate-id", "bad-owns",
    }  # fmt: skip
    text = warm.run("workstream", "lint", "plan.json")
    assert text.code == 1
    assert all(code in text.out for code, _ in found)
    cycle = next(
        one for one in warm.data("workstream", "lint", "plan.json", exits=1)["violations"]
        if one["code"] == "cycle"
    )  # fmt: skip
    assert re.search(r"\ba\b.*\bb\b.*\bc\b.*\ba\b", cycle["message"])


def test_an_unknown_field_is_a_warning(warm: Room) -> None:
    """W2, O1: in the task and beside it; exit 0."""
    written(warm, plan(task("a", intnt="x"), extra=1))
    answer = warm.ask("workstream", "lint", "plan.json")
    assert answer.data["violations"] == []
    assert answer.warned.count("unknown-field") == 2


def test_what_shells_find_special_is_no_violation(warm: Room) -> None:
    """W2: a quote, `$` or space; line breaks and tabs in commands."""
    special = 'it\'s "$HOME" `x` \\ & ; 0'
    document = plan(
        task("a", intent=special, output=special, owns=["src/it's $HOME.py"],
             validation="test 1 &&\n\ttrue", commands=["a\n\tb"]),
        thread=special, description=special,
    )  # fmt: skip
    assert lint(warm, document, exits=0) == []


@pytest.mark.parametrize("content", [None, b"", b"{", b"{}}", b'"\xff"'])
def test_a_descriptor_that_cannot_be_read_is_a_usage_error(
    warm: Room, content: bytes | None
) -> None:
    """W2, O2, O3: no file, no JSON, no text: exit 2, from lint, packet, start and status alike."""
    if content is not None:
        (warm.root / "plan.json").write_bytes(content)
    for words in (
        ("lint", "plan.json"),
        ("packet", "plan.json", "--run", "r"),
        ("start", "plan.json", "--run", "r", "--tool", "a"),
        ("status", "plan.json", "--run", "r"),
    ):
        error = warm.refused(2, "unreadable", "workstream", *words)
        assert "plan.json" in error["message"]


# --- packets

SPECIAL = "src/it's $HOME `x`.py"


def packets(room: Room, *words: str) -> dict[str, str]:
    data = room.data("workstream", "packet", "plan.json", "--run", "r 1's", *words)
    assert data["action"] == "packet"
    return {one["task"]: one["prompt"] for one in data["packets"]}


def test_a_packet_holds_all_that_its_task_needs(room: Room) -> None:
    """W3: intent, boundary, dependencies, the loop with its names, standby, validation, output."""
    special = task("b", owns=[SPECIAL, "docs"], depends_on=["a"], output="the thing")
    written(room, plan(task("a"), special | {"validation": "make it's\n\tmake that"}))
    told = packets(room)
    assert list(told) == ["a", "b"]
    text = told["b"]
    for part in (
        "do b", SPECIAL, "docs", "make it's\n\tmake that", "the thing",
        "task", "changed_files", "validation_result",
    ):  # fmt: skip
        assert part in text, part
    assert "last message is one JSON object" in text
    assert "--until step:a" in text
    assert "rally say standby" not in told["a"].partition("## In the way")[0]
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("rally ")]
    verbs = [" ".join(words[1:3]) if words[1] in ("say", "check") else words[1] for words in lines]
    for verb in ("enter", "say standby", "say claim", "check before-write", "say artifact",
                 "check before-complete", "leave"):  # fmt: skip
        assert verb in verbs, verb
    for words in lines:
        assert words[words.index("--tool") + 1] == "agent:b"
        if words[1:3] in (["say", "claim"], ["say", "artifact"], ["say", "standby"]):
            assert words[words.index("--run") + 1] == "r 1's"
            assert words[words.index("--step") + 1] == "b"
            assert words[words.index("--parent-step") + 1] == "a"
    claim = next(words for words in lines if words[1:3] == ["say", "claim"])
    assert SPECIAL in claim
    assert room.head() == 0


def test_packets_are_the_same_bytes_each_time_and_files_by_task(warm: Room) -> None:
    """W3: `--out DIR` writes `<task id>.md`; `--task` one; the tool is `<prefix>:<task id>`."""
    written(warm, plan(task("a"), task("b.2", depends_on=["a"])))
    told = packets(warm)
    assert packets(warm, "--out", "first", "--tool-prefix", "agent") == told
    packets(warm, "--out", "again/deep")
    for name, text in told.items():
        assert (warm.root / "first" / f"{name}.md").read_bytes() == text.encode()
        assert (warm.root / "again" / "deep" / f"{name}.md").read_bytes() == text.encode()
    assert sorted(path.name for path in (warm.root / "first").iterdir()) == ["a.md", "b.2.md"]
    one = packets(warm, "--task", "b.2", "--tool-prefix", "codex")
    assert list(one) == ["b.2"]
    assert "--tool codex:b.2 " in one["b.2"]
    assert "agent:" not in one["b.2"]
    plain = warm.run("workstream", "packet", "plan.json", "--run", "r 1's", "--task", "a")
    assert plain.out.rstrip("\n") == told["a"].rstrip("\n")


def test_what_does_not_lint_clean_gets_no_packet(room: Room) -> None:
    """W3, O2: exit 2 `not-clean` with the violations; no file is written; `start` refuses it too."""
    written(room, plan(task("a"), task("a", tier="x")))
    error = room.refused(
        2, "not-clean", "workstream", "packet", "plan.json", "--run", "r", "--out", "o"
    )
    found = error["details"]["violations"]
    assert {one["code"] for one in found} == {"duplicate-id", "boundary-conflict", "bad-tier"}
    assert all(one["task"] and one["message"] for one in found)
    assert not (room.root / "o").exists()
    room.refused(2, "not-clean", "workstream", "start", "plan.json", "--run", "r", "--tool", "t")


def test_the_lines_of_a_packet_run_unchanged_in_sh(warm: Room) -> None:
    """W3, O5: every line of the loop, from `enter` to `leave`; the task has landed by then."""
    document = plan(
        task("a"), task("b", owns=[SPECIAL, "docs"], depends_on=["a"], intent="it's $X")
    )
    written(warm, document)
    warm.data("workstream", "start", "plan.json", "--run", "r 1's", "--tool", "lead")
    told = packets(warm)
    for name in ("a", "b"):
        loop = told[name].partition("## In the way")[0]
        for line in loop.splitlines():
            if line.startswith("rally ") and "standby" not in line:
                assert warm.sh(line).code == 0, line
    artifact = warm.facts("--kind", "artifact")[-1]
    assert (artifact["run"], artifact["step"], artifact["parent_steps"]) == ("r 1's", "b", ["a"])
    assert sorted(warm.facts("--kind", "claim")[-1]["paths"]) == ["docs", SPECIAL]
    assert warm.data("room")["totals"]["active_claims"] == 0
    assert warm.data("workstream", "status", "--run", "r 1's")["complete"] is True
    for line in told["b"].splitlines():
        if line.startswith("rally "):
            assert warm.sh(line).code in (0, 3), line


# --- runs


def test_a_run_is_registered_followed_and_complete(room: Room) -> None:
    """W4, O2, O3: `done claimed pending to_dispatch complete`; 3 while work remains, then 0."""
    written(room, plan(task("a"), task("b", depends_on=["a"]), task("c", owns="read-only")))
    started = room.data("workstream", "start", "plan.json", "--run", "r", "--tool", "lead")
    assert started["action"] == "start"
    kinds = [fact["kind"] for fact in room.facts()]
    assert sorted(kinds) == ["run", "task", "task", "task"]
    assert {fact["tool"] for fact in room.facts()} == {"lead"}

    def status(*words: str, exits: int = 3) -> tuple[Any, ...]:
        data = room.data("workstream", "status", *words, "--run", "r", exits=exits)
        assert data["action"] == "status"
        return tuple(data[name] for name in ("done", "claimed", "pending", "to_dispatch",
                                             "complete"))  # fmt: skip

    assert status() == status("plan.json") == ([], [], ["a", "b", "c"], ["a", "c"], False)
    room.data("task", "take", "--run", "r", "--tool", "x")
    assert status() == ([], ["a"], ["b", "c"], ["c"], False)
    room.data("task", "done", "--run", "r", "--id", "a", "--tool", "x")
    assert status() == (["a"], [], ["b", "c"], ["b", "c"], False)
    for name in ("b", "c"):
        room.say("artifact", "x", subject="x", run="r", step=name)
    assert status(exits=0) == status("plan.json", exits=0) == (["a", "b", "c"], [], [], [], True)
    assert room.run("workstream", "status", "--run", "r").code == 0


def test_status_is_of_that_run_only(warm: Room) -> None:
    """W4: equal step names of another run count for nothing."""
    for run in ("r", "q"):
        warm.data("task", "add", "--tool", "t", "--run", run, "--id", "a", "--intent", "x",
                  "--owns", f"src/{run}")  # fmt: skip
    warm.data("task", "take", "--run", "q", "--tool", "x")
    warm.say("artifact", "x", subject="x", run="q", step="other")
    data = warm.data("workstream", "status", "--run", "r", exits=3)
    assert (data["done"], data["claimed"], data["pending"]) == ([], [], ["a"])
    assert warm.run("workstream", "status", "--run", "r").code == 3


def test_a_start_is_safe_to_repeat(warm: Room) -> None:
    """W4, F8: the same descriptor again writes nothing."""
    words = ("workstream", "start", written(warm, ALL), "--run", "r", "--tool", "lead")
    warm.data(*words)
    before = warm.head()
    warm.data(*words)
    assert warm.head() == before


# --- tasks


def add(room: Room, name: str, *words: str, run: str = "r") -> Doc:
    return room.data(
        "task",
        "add",
        "--tool",
        "lead",
        "--run",
        run,
        "--id",
        name,
        "--intent",
        f"do {name}",
        *words,
    )


def test_a_task_goes_from_add_to_done(room: Room) -> None:
    """W5, O1: `data.task` has action and task, and where there are such fact, fence and packet."""
    added = add(room, "a", "--owns", "src/a", "--owns", "docs", "--priority", "5", "--validation",
                "make a", "--output", "a thing")  # fmt: skip
    assert (added["action"], added["task"]["id"], added["fact"]["kind"]) == ("add", "a", "task")
    assert added["task"]["owns"] == ["src/a", "docs"]
    assert (added["task"]["validation"], added["task"]["output"]) == ("make a", "a thing")
    assert (added["task"]["intent"], added["task"]["priority"]) == ("do a", 5)
    add(room, "b", "--read-only", "--depends-on", "a")
    listed = room.data("task", "list", "--run", "r")
    assert listed["action"] == "list"
    assert [(one["id"], one["depends_on"]) for one in listed["tasks"]] == [("a", []), ("b", ["a"])]
    taken = room.data("task", "take", "--run", "r", "--tool", "x:1")
    fact = taken["fact"]
    assert (taken["action"], taken["task"]["id"], fact["kind"]) == ("take", "a", "claim")
    assert (fact["tool"], fact["run"], fact["step"]) == ("x:1", "r", "a")
    assert sorted(fact["paths"]) == ["docs", "src/a"]
    assert taken["fence"] == fact["fence"] == fact["seq"]
    for part in ("do a", "src/a", "make a", "a thing", "x:1"):
        assert part in taken["packet"]
    assert codes(room.check("y", "src/a/f")) == ["claimed-path"]
    done = room.data("task", "done", "--run", "r", "--id", "a", "--tool", "x:1", "--uri", "u:1",
                     "--evidence", "e1", "--evidence", "e2")  # fmt: skip
    assert (done["action"], done["task"]["id"], done["fact"]["kind"]) == ("done", "a", "artifact")
    assert (done["fact"]["uri"], done["fact"]["evidence"]) == ("u:1", ["e1", "e2"])
    assert room.data("room")["totals"]["active_claims"] == 0
    assert [fact["kind"] for fact in room.facts()[-2:]] == ["artifact", "release"]
    assert room.data("task", "take", "--run", "r", "--tool", "y:1")["task"]["id"] == "b"


def test_a_dependency_that_nobody_registered_is_pointed_out(warm: Room) -> None:
    """W5: a task may be added before what it depends on; it may also be a slip of the pen."""
    words = ("task", "add", "--tool", "t", "--run", "r", "--intent", "x", "--id")
    assert warm.ask(*words, "a", "--depends-on", "b").warned == ["unknown-dependency"]
    assert "unknown-dependency" not in warm.ask(*words, "b").warned
    warm.say("artifact", "t", subject="done by hand", run="r", step="c")
    known = ("--depends-on", "a", "--depends-on", "c")
    assert "unknown-dependency" not in warm.ask(*words, "d", *known).warned


def test_a_dropped_task_can_be_taken_again(warm: Room) -> None:
    """W5: given back by its holder; nobody else can drop it or land it (3)."""
    add(warm, "a", "--owns", "src")
    warm.data("task", "take", "--run", "r", "--tool", "x")
    for verb in ("drop", "done"):
        error = warm.refused(3, "not-owner", "task", verb, "--run", "r", "--id", "a", "--tool", "y")
        assert "x" in error["message"]
    dropped = warm.data("task", "drop", "--run", "r", "--id", "a", "--tool", "x")
    assert (dropped["action"], dropped["task"]["id"]) == ("drop", "a")
    assert warm.data("room")["totals"]["active_claims"] == 0
    assert warm.data("task", "take", "--run", "r", "--tool", "y")["task"]["id"] == "a"


def test_nothing_ready_says_why(room: Room) -> None:
    """W5, O3: exit 3 `nothing-ready`; who holds what, and what is waited for."""
    room.refused(3, "nothing-ready", "task", "take", "--run", "none", "--tool", "x")
    given = room.by_daemon
    add(given, "a", "--owns", "src")
    add(given, "b", "--read-only", "--depends-on", "a")
    given.data("task", "take", "--run", "r", "--tool", "holder")
    message = room.refused(3, "nothing-ready", "task", "take", "--run", "r", "--tool", "x")[
        "message"
    ]
    assert "holder" in message
    assert re.search(r"\bb\b.*\ba\b", message)


def test_a_task_whose_paths_are_claimed_is_not_ready(warm: Room) -> None:
    """W5, C3: a claim outside of the run keeps it away; the next one is given."""
    add(warm, "a", "--owns", "src/a")
    warm.say("claim", "z", path="src")
    warm.refused(3, "nothing-ready", "task", "take", "--run", "r", "--tool", "x")
    add(warm, "b", "--owns", "docs")
    assert warm.data("task", "take", "--run", "r", "--tool", "x")["task"]["id"] == "b"


def test_takers_get_different_tasks(room: Room) -> None:
    """W5, C3: six at once, four tasks; nobody gets what another has, two get nothing."""
    for n in range(4):
        add(room.by_daemon, f"t{n}", "--owns", f"src/{n}")
    takers = [
        room.start("task", "take", "--run", "r", "--tool", f"x:{n}", "--json") for n in range(6)
    ]
    got = []
    for taker in takers:
        out, _ = taker.communicate(timeout=30)
        answer = json.loads(out)
        got.append((taker.returncode, answer["data"]["task"]["task"]["id"] if answer["ok"]
                    else answer["error"]["code"]))  # fmt: skip
    assert sorted(got) == [(0, f"t{n}") for n in range(4)] + [(3, "nothing-ready")] * 2


def test_the_order_is_priority_then_age(warm: Room) -> None:
    """W5, P3: lower first, 100 where none is given."""
    for name, words in (("old", ()), ("late", ("--priority", "101")), ("new", ()),
                        ("first", ("--priority", "99"))):  # fmt: skip
        add(warm, name, "--owns", f"src/{name}", *words)
    order = [warm.data("task", "take", "--run", "r", "--tool", f"x{n}")["task"]["id"]
             for n in range(4)]  # fmt: skip
    assert order == ["first", "old", "new", "late"]


def test_a_task_that_owns_no_path_is_read_only(warm: Room) -> None:
    """W5, W1, C4: `--owns` and `--read-only` may both be left out, and not both be given."""
    assert add(warm, "a")["task"]["owns"] == "read-only"
    claim = warm.data("task", "take", "--run", "r", "--tool", "x")["fact"]
    assert "paths" not in claim
    assert codes(warm.check("x", "src", run="r", step="a"))[0] == "read-only-step"
    warm.refused(2, "bad-value", "task", "add", "--tool", "t", "--run", "r", "--id", "b",
                 "--intent", "x", "--owns", "p", "--read-only")  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ("add", "--tool", "t", "--id", "a", "--intent", "x"),
        ("add", "--tool", "t", "--run", "r", "--intent", "x"),
        ("add", "--tool", "t", "--run", "r", "--id", "a"),
        ("add", "--tool", "t", "--run", "r", "--id", "a b", "--intent", "x"),
        ("take", "--run", "r"),
        ("take", "--tool", "t"),
        ("done", "--run", "r", "--tool", "t", "--id", "nothing"),
        ("drop", "--run", "r", "--tool", "t", "--id", "nothing"),
        ("list",),
        ("bogus",),
    ],
    ids=" ".join,
)
def test_what_a_task_command_needs_is_a_usage_error(warm: Room, words: tuple[str, ...]) -> None:
    """W5, O2, O3: exit 2 with the envelope of the group."""
    answer = warm.ask("task", *words, exits=2)
    assert answer.envelope["command"] == "task"
    assert answer.error["hint"]
    assert warm.head() == 0


ADD = "--run --id --intent --owns --read-only --depends-on --priority --validation --output"
FLAGS: list[tuple[str, str]] = [
    ("workstream packet", "--run --task --out --tool-prefix"),
    ("workstream start", "--run --tool"),
    ("workstream status", "--run"),
    ("workstream verify", "--run --step"),
    ("task add", ADD),
    ("task list", "--run"),
    ("task done", "--run --id --uri --evidence"),
    ("task drop", "--run --id"),
    ("task take", "--run --tool"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "names"), FLAGS, ids=[one for one, _ in FLAGS])
def test_the_flags_of_plans_and_tasks(warm: Room, command: str, names: str) -> None:
    """W3, W4, W5, W6, O6: exactly these names are in the help."""
    shown = warm.run(*command.split(), "--help")
    assert shown.code == 0
    found = set(re.findall(r"^  (--[a-z-]+)", shown.out, re.MULTILINE))
    assert set(names.split()) <= found


# --- verify


def test_verify_runs_what_landed_again_and_records_it(warm: Room) -> None:
    """W6, O2, O3: outcomes are evidence; 0 all holds, 3 not all has landed, 4 no longer holds."""
    add(warm, "a", "--owns", "a", "--validation", "echo run >> ran; test -e a")
    add(warm, "b", "--owns", "b", "--validation", "echo seen; exit 0")
    (warm.root / "a").touch()
    verify = ("workstream", "verify", "--run", "r")
    assert warm.data(*verify, exits=VERDICT_REMAINS)["action"] == "verify"
    assert not (warm.root / "ran").exists()  # what has not landed is not run
    for name in ("a", "b"):
        warm.say("artifact", "x", subject="x", run="r", step=name)
    before = warm.head()
    held = warm.data(*verify)
    assert {one["step"]: one["exit_code"] for one in held["steps"]} == {"a": 0, "b": 0}
    recorded = {fact["step"]: fact for fact in warm.facts() if fact["seq"] > before}
    assert set(recorded) == {"a", "b"}
    assert all(fact["run"] == "r" and fact["evidence"] for fact in recorded.values())
    assert "exit 0" in recorded["a"]["evidence"][0]
    assert "seen" in recorded["b"]["evidence"]
    (warm.root / "a").unlink()
    broken = warm.data(*verify, exits=VERDICT_BROKEN)
    assert [one["step"] for one in broken["steps"] if one["exit_code"]] == ["a"]
    last = [fact for fact in warm.facts() if fact.get("step") == "a"][-1]
    assert "exit 1" in last["evidence"][0]
    text = warm.run(*verify)
    assert text.code == VERDICT_BROKEN
    assert re.search(r"^ *a +failed", text.out, re.MULTILINE), text.out


def test_verify_of_one_step_runs_that_one(room: Room) -> None:
    """W6: `--step S`; the others are not run, and do not change the verdict."""
    for name, validation in (("a", "true"), ("b", "touch b-ran; false")):
        add(room.by_daemon, name, "--read-only", "--validation", validation)
        room.by_daemon.say("artifact", "x", subject="x", run="r", step=name)
    one = room.data("workstream", "verify", "--run", "r", "--step", "a")
    assert [step["step"] for step in one["steps"]] == ["a"]
    assert not (room.root / "b-ran").exists()
    room.data("workstream", "verify", "--run", "r", "--step", "b", exits=VERDICT_BROKEN)
    room.refused(2, "unknown-task", "workstream", "verify", "--run", "r", "--step", "q")
