"""workstream verify: does what landed still hold? (contract W6)"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from runner_room import Room

from rally.client.connection import Answer
from rally.execution.child import TOLD_BYTES_MAX
from rally.execution.verify import Wish, verdict_of, verify
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.errors import Failure
from rally.model.fact import seal

VERIFY = ("workstream", "verify", "--run", "r")


def add(room: Room, task_id: str, validation: str | None, *, landed: bool = True) -> None:
    """A registered task, landed or not."""
    words = ["--validation", validation] if validation is not None else []
    room.ask("task", "add", "--tool", "lead", "--run", "r", "--id", task_id, "--intent", "x",
             "--owns", task_id, *words)  # fmt: skip
    if landed:
        room.say("artifact", "--run", "r", "--step", task_id, "--subject", "s")


def verified(room: Room, *words: str, **how: Any) -> tuple[int, Any]:
    """Exit code and main result."""
    done = room.run(*VERIFY, *words, "--json", **how)
    assert done.stderr == b"", done
    return done.returncode, json.loads(done.stdout)["data"]["workstream"]


def notes(room: Room) -> list[dict[str, Any]]:
    """The outcomes that were recorded, oldest first."""
    found: list[dict[str, Any]] = room.ask("log", "--kind", "note", "--limit", "0")["facts"]
    return found


def git(room: Room, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=room.root,
        env=room.env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["passed", "passed"], "complete"),
        ([], "incomplete"),
        (["passed", "not_landed"], "incomplete"),
        (["passed", "unverified"], "unverified"),
        (["unverified", "not_landed"], "incomplete"),
        (["not_landed", "failed", "unverified"], "broken"),
    ],
)
def test_the_worst_that_is_true_is_the_verdict(statuses: list[str], verdict: str) -> None:
    """Broken before incomplete before unverified before complete."""
    steps = [{"step": f"s{n}", "status": status} for n, status in enumerate(statuses)]
    assert verdict_of(steps)[0] == verdict


def test_what_holds_is_recorded_and_complete(room: Room) -> None:
    """Each validation runs in the room's root, each outcome is a note of its step."""
    add(room, "a", 'test "$RALLY_ROOM" = "$PWD" && echo "$RALLY_RUN/$RALLY_STEP"')
    add(room, "b", "echo out; echo err >&2")
    code, data = verified(room)
    assert (code, data["verdict"]) == (0, "complete")
    assert [(one["step"], one["status"], one["exit_code"]) for one in data["steps"]] == [
        ("a", "passed", 0), ("b", "passed", 0),
    ]  # fmt: skip
    by_step = {note["step"]: note for note in notes(room)}
    for step, output in (("a", "r/a"), ("b", "out\nerr")):
        ending, printed = by_step[step]["evidence"]
        assert (ending[:7], printed) == ("exit 0 ", output)
    assert (by_step["a"]["tool"], by_step["a"]["run"], by_step["a"]["status"]) == (
        "verify", "r", "passed",
    )  # fmt: skip
    assert by_step["a"]["data"]["exit_code"] == 0
    assert {one["event_id"] for one in data["steps"]} == {note["event_id"] for note in notes(room)}


def test_what_no_longer_holds_is_named(room: Room) -> None:
    """W6: exit 4, the step, its exit code and the end of its output; the others run all the same."""
    add(room, "a", "echo before; echo why >&2; exit 7")
    add(room, "b", "true")
    code, data = verified(room, "--tool", "ci:1")
    assert (code, data["verdict"], data["why"]) == (4, "broken", "no longer valid: a")
    failed, passed = data["steps"]
    assert (failed["status"], failed["exit_code"], failed["output"]) == ("failed", 7, "before\nwhy")
    assert passed["status"] == "passed"
    assert {note["status"] for note in notes(room)} == {"failed", "passed"}
    assert {note["tool"] for note in notes(room)} == {"ci:1"}
    text = room.run(*VERIFY).stdout.decode()
    assert "a failed:" in text
    assert text.endswith("broken: no longer valid: a\n")
    (node, _) = room.ask("dag", "--run", "r")["nodes"]
    assert node["status"] == "landed"


def test_work_that_remains_and_work_that_nothing_shows_are_exit_3(room: Room) -> None:
    """An open task is not verified, and one without a validation proves nothing."""
    add(room, "a", "true")
    add(room, "b", None)
    code, data = verified(room)
    assert (code, data["verdict"]) == (3, "unverified")
    assert data["steps"][1]["why"] == "it has no validation"
    add(room, "c", "touch ran", landed=False)
    code, data = verified(room)
    assert (code, data["verdict"], data["why"]) == (3, "incomplete", "not landed: c")
    assert not (room.root / "ran").exists()


def test_one_step_can_be_verified_alone(room: Room) -> None:
    """--step: the verdict is about it."""
    add(room, "a", "true")
    add(room, "b", "false")
    assert verified(room, "--step", "a")[0] == 0
    code, data = verified(room, "--step", "b")
    assert (code, [one["step"] for one in data["steps"]]) == (4, ["b"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--step", "zz"), "unknown-task"),
        (("--jobs", "0"), "bad-value"),
        (("--jobs", "65"), "bad-value"),
        (("--timeout", "soon"), "bad-duration"),
        (("--timeout", "0s"), "bad-duration"),
        (("--tool", "all"), "bad-tool"),
        (("--at", "HEAD"), "not-a-repository"),
    ],
)
def test_wrong_words_run_nothing(room: Room, words: tuple[str, ...], code: str) -> None:
    """Exit 2, nothing ran, nothing was written."""
    add(room, "a", "touch ran")
    assert room.error(*VERIFY, *words) == (2, room.error(*VERIFY, *words)[1])
    assert room.error(*VERIFY, *words)[1]["code"] == code
    assert not (room.root / "ran").exists()
    assert notes(room) == []


def described(room: Room, **validations: str) -> str:
    """A descriptor's file with a task for each validation."""
    tasks = [
        {"id": name, "intent": "x", "owns": [name], "validation": validation, "output": "x"}
        for name, validation in validations.items()
    ]
    file = room.root / "plan.json"
    file.write_text(json.dumps({"workstream": "w", "description": "d", "tasks": tasks}))
    return file.name


def test_with_a_file_the_verdict_is_about_all_that_was_planned(room: Room) -> None:
    """W6: descriptor, graph and evidence together; tasks that nobody registered are among them."""
    file = described(room, a="true", b="true", c="exit 3")
    add(room, "a", "true")
    room.say("artifact", "--run", "r", "--step", "b", "--subject", "s")
    code, found = verified(room, file)
    assert (code, found["verdict"], found["why"]) == (3, "incomplete", "not landed: c")
    assert [one["status"] for one in found["steps"]] == ["passed", "passed", "not_landed"]
    landing = room.say("artifact", "--run", "r", "--step", "c", "--subject", "s")
    code, found = verified(room, file, "--step", "c")
    assert (code, found["verdict"]) == (4, "broken")
    assert found["steps"][0]["landed_by"] == [landing["event_id"]]
    text = room.run(*VERIFY, file).stdout.decode()
    assert f"rally say retract --ref {landing['event_id']} --reason WHY --tool TOOL" in text
    (dry,) = verified(room, file, "--step", "c", "--dry-run")[1]["would_run"]
    assert dry == {"step": "c", "command": "exit 3"}


def test_what_was_registered_is_what_is_run(room: Room) -> None:
    """A file that was changed since cannot make a run look better, and the difference is told."""
    add(room, "a", "exit 5")
    done = room.run(*VERIFY, described(room, a="true"), "--json")
    assert done.returncode == 4
    (warned,) = json.loads(done.stdout)["warnings"]
    assert warned["code"] == "validation-differs"
    assert warned["message"].startswith("a: ")


def test_a_file_that_does_not_lint_clean_runs_nothing(room: Room) -> None:
    """W3's rule holds here too."""
    add(room, "a", "touch ran")
    code, error = room.error(*VERIFY, described(room, a="date"))
    assert (code, error["code"]) == (2, "not-clean")
    assert not (room.root / "ran").exists()


def test_an_unknown_run_is_not_complete(room: Room) -> None:
    """Nothing landed is not everything landed."""
    code, data = verified(room)
    assert (code, data["verdict"], data["steps"]) == (3, "incomplete", [])


def test_a_dry_run_tells_and_does_nothing(room: Room) -> None:
    """What would run, and where."""
    add(room, "a", "touch ran")
    add(room, "b", "true", landed=False)
    code, data = verified(room, "--dry-run")
    assert (code, data["would_run"]) == (0, [{"step": "a", "command": "touch ran"}])
    assert not (room.root / "ran").exists()
    assert notes(room) == []


def test_a_validation_that_takes_too_long_is_ended_and_failed(room: Room) -> None:
    """Its time is over for it and its children; the others are not kept waiting."""
    add(room, "a", "echo begun; sleep 1000 & sleep 1000")
    add(room, "b", "true")
    code, data = verified(room, "--timeout", "1s")
    late, fine = data["steps"]
    assert (code, late["status"], late["timed_out"], late["output"]) == (4, "failed", True, "begun")
    assert fine["status"] == "passed"
    assert 1_000 <= late["duration_ms"] < 5_000


def test_a_flood_of_output_is_cut_to_its_end(room: Room) -> None:
    """Both pipes at once, more than any pipe holds, not all of it text."""
    add(room, "a", "head -c 500000 /dev/zero; yes é | head -c 500001 >&2; printf 'the \\377end'")
    code, data = verified(room)
    assert code == 0
    (note,) = notes(room)
    _, evidence = note["evidence"]
    assert len(evidence.encode()) <= TOLD_BYTES_MAX
    assert data["steps"][0]["output"] == evidence


def test_no_more_run_at_one_time_than_asked(room: Room) -> None:
    """--jobs 1: whoever makes the folder finds it gone."""
    for number in range(4):
        add(room, f"t{number}", "mkdir one-at-a-time && rmdir one-at-a-time")
    assert verified(room, "--jobs", "1")[0] == 0


def test_several_run_at_one_time(room: Room) -> None:
    """Two that wait for each other come to an end."""
    os.mkfifo(room.root / "ab")
    os.mkfifo(room.root / "ba")
    add(room, "a", "echo x > ab; read y < ba")
    add(room, "b", "read y < ab; echo x > ba")
    assert verified(room, "--jobs", "2", "--timeout", "30s")[0] == 0


def commit_all(room: Room) -> str:
    git(room, "init", "-q", ".")
    git(room, "add", "--", "tracked")
    git(room, "commit", "-q", "-m", "x")
    return git(room, "rev-parse", "HEAD").strip()


def test_a_commit_is_verified_in_a_clean_tree_of_its_own(room: Room) -> None:
    """--at: what is not in the commit does not count, and nothing is left behind."""
    (room.root / "tracked").write_text("old")
    commit = commit_all(room)
    hook = room.root / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {room.root}/hooked\n")
    hook.chmod(0o755)
    (room.root / "tracked").write_text("new")
    (room.root / "untracked").write_text("")
    add(room, "a", f'test "$(cat tracked)" = old && test ! -e untracked && git diff --quiet && '
        f'test "$(git rev-parse HEAD)" = {commit} && test "$RALLY_ROOM" = {room.root}')  # fmt: skip
    before = set(Path("/tmp").glob("rally-verify-*"))
    env = {"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere"}
    code, data = verified(room, "--at", "HEAD", env=env)
    assert (code, data["at"]) == (0, commit), data
    (note,) = notes(room)
    assert note["data"]["commit"] == commit
    assert git(room, "worktree", "list").count("\n") == 1
    assert set(Path("/tmp").glob("rally-verify-*")) <= before
    assert not (room.root / "hooked").exists()
    assert verified(room)[0] == 4


def test_a_commit_that_there_is_not_is_named(room: Room) -> None:
    """Exit 2; a name that looks like an option is a name."""
    (room.root / "tracked").write_text("")
    commit_all(room)
    for name in ("nothing", "--all", "HEAD:tracked", ""):
        code, error = room.error(*VERIFY, f"--at={name}")
        assert (code, error["code"]) == (2, "bad-value"), name
        assert ascii(name) in error["message"]


async def test_another_machines_validation_is_never_run(room: Room) -> None:
    """T3: its text is shown, and nothing of it starts."""
    add(room, "a", "true")
    ledger = await SqliteLedger.open(str(room.root / ".rally" / "ledger.db"), create=False)
    (own,) = [fact for fact in await ledger.tail(0, 100) if fact.kind == "task"]
    kept = {name: own.doc[name] for name in own.doc if name not in ("seq", "prev", "hash")}
    foreign = {
        **kept, "event_id": "task-far", "step": "b", "data": {"validation": "touch ran"},
        "origin": "far", "trust": "untrusted",
    }  # fmt: skip
    head = await ledger.head()
    await ledger.append([seal(foreign, seq=head.seq + 1, prev=head.hash)])
    await ledger.close()
    room.say("artifact", "--run", "r", "--step", "b", "--subject", "s")
    code, data = verified(room)
    assert (code, data["verdict"]) == (3, "unverified")
    assert "another machine" in data["steps"][1]["why"]
    assert not (room.root / "ran").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_leaves_neither_child_nor_tree_behind(room: Room, number: int) -> None:
    """The validation ends, the working tree goes, and nothing is recorded."""
    (room.root / "tracked").write_text("")
    commit_all(room)
    told, held = room.root / "told", room.root / "held"
    os.mkfifo(told)
    os.mkfifo(held)
    add(room, "a", f"exec 3<>{held}; pwd > {told}; sleep 1000")
    process = subprocess.Popen(
        [room.env["PATH"].partition(":")[0] + "/rally", *VERIFY, "--at", "HEAD", "--json"],
        cwd=room.root, env=room.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    folder = told.read_text().strip()
    descriptor = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")
    # The end of file comes when nobody is left who holds the pipe.
    assert select.select([descriptor], [], [], 20)[0]
    assert os.read(descriptor, 1) == b""
    os.close(descriptor)
    assert not Path(folder).exists()
    assert git(room, "worktree", "list").count("\n") == 1
    assert notes(room) == []


def test_a_dry_run_names_the_tree_that_it_would_run_in(room: Room) -> None:
    """--at: no folder before there is one, and a commit that there is not is told now."""
    (room.root / "tracked").write_text("")
    commit = commit_all(room)
    add(room, "a", "touch ran")
    code, data = verified(room, "--dry-run", "--at", "HEAD")
    assert (code, data["at"], data["folder"]) == (0, commit, None)
    told = room.run(*VERIFY, "--dry-run", "--at", "HEAD").stdout.decode()
    assert told.startswith(f"would run in a clean working tree of {commit}:\n")
    assert room.error(*VERIFY, "--dry-run", "--at", "nothing")[0] == 2


def test_submodules_that_are_not_there_are_told(room: Room) -> None:
    """What fails for want of them is not broken by anybody's work."""
    (room.root / "tracked").write_text("")
    (room.root / ".gitmodules").write_text("")
    commit_all(room)
    add(room, "a", "true")
    words = (*VERIFY, "--at", "HEAD", "--json")
    assert json.loads(room.run(*words).stdout)["warnings"] == []
    git(room, "add", ".gitmodules")
    git(room, "commit", "-q", "-m", "y")
    (warned,) = json.loads(room.run(*words).stdout)["warnings"]
    assert warned["code"] == "no-submodules"


def test_an_outcome_is_recorded_however_large_the_task_is(room: Room) -> None:
    """Bytes that are no text take six times the room; how it ended stands in the ledger all the same."""
    add(room, "a", f"# {'x' * 40_000}\nhead -c 9000 /dev/zero | tr '\\0' '\\1'; exit 3")
    done = json.loads(room.run(*VERIFY, "--json").stdout)
    assert done["warnings"] == []
    (note,) = notes(room)
    assert (note["data"]["exit_code"], note["evidence"][0][:6]) == (3, "exit 3")
    assert note["event_id"] == done["data"]["workstream"]["steps"][0]["event_id"]


def test_of_a_flood_only_the_end_is_shown(room: Room) -> None:
    """Text is for people; the note of the step keeps more."""
    add(room, "a", "seq 500; exit 1")
    lines = room.run(*VERIFY).stdout.decode().splitlines()
    assert "  500" in lines
    assert len(lines) < 60


class Forgetful:
    """A client whose room answers and cannot be written: no real ledger fails at writes alone."""

    async def call(self, op: str, /, **params: Any) -> Answer:
        if op == "say":
            raise Failure("disk-full", "the disk is full", hint="make room")
        rows = [
            {"id": one, "status": "landed", "validation": "true", "detail": "", "landed_by": [],
             "registered": True}
            for one in ("a", "b")
        ]  # fmt: skip
        return Answer({"tasks": rows, "next": None})

    async def close(self) -> None:
        """Nothing is open."""

    def subscribe(self, **params: Any) -> Any:
        """Nobody follows here."""
        raise NotImplementedError


async def test_given_up_while_git_checks_out_it_leaves_no_tree_behind(room: Room) -> None:
    """Ctrl-C at the wrong moment: the tree is there a second later, and nobody waits for it."""
    told, go = room.root / "told", room.root / "go"
    os.mkfifo(told)
    os.mkfifo(go)
    (room.root / "tracked").write_text("")
    commit_all(room)
    (room.root / ".gitattributes").write_text("tracked filter=slow\n")
    git(room, "add", ".gitattributes")
    git(room, "commit", "-q", "-m", "y")
    git(room, "config", "filter.slow.smudge", f"echo > {told}; read x < {go}; cat")
    before = set(Path("/tmp").glob("rally-verify-*"))
    wish = Wish(run="r", root=str(room.root), at="HEAD")
    work = asyncio.create_task(verify(Forgetful(), wish, room.env))
    await asyncio.to_thread(told.read_text)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.to_thread(go.write_text, "on\n")
    await asyncio.get_running_loop().shutdown_default_executor()
    assert git(room, "worktree", "list").count("\n") == 1
    assert set(Path("/tmp").glob("rally-verify-*")) <= before


async def test_outcomes_that_cannot_be_recorded_are_told(tmp_path: Path) -> None:
    """One failure takes nothing from the others, and nothing is claimed that is not so."""
    wish = Wish(run="r", root=str(tmp_path))
    data, warnings = await verify(Forgetful(), wish, {"PATH": os.environ["PATH"]})
    assert data["verdict"] == "complete"
    assert [one["event_id"] for one in data["steps"]] == [None, None]
    assert [one["code"] for one in warnings] == ["not-recorded", "not-recorded"]
