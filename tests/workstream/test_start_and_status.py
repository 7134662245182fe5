"""workstream lint, start and status as commands (contract W2, W4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from plan_desk import Desk, Doc, plan, task

from rally.daemon.params import check_params
from rally.model.errors import UsageError

PLAN = plan(
    task("a", priority=5), task("b", owns=["docs/b.md"], commands=["make b"], tier="cross-host"),
    task("check", owns="read-only", depends_on=["a", "b"], validation="true"), thread="t-1",
)  # fmt: skip
START = ("workstream", "start", "plan.json", "--run", "r", "--tool", "lead:1")
STATUS = ("workstream", "status", "--run", "r")


async def test_lint_answers_with_its_verdict_and_its_exit_code(desk: Desk) -> None:
    """W2: 0 clean, 1 violations with `ok` true, 2 unreadable; text says the same."""
    desk.write(PLAN)
    clean = await desk("workstream", "lint", "plan.json", "--json")
    assert (clean.code, clean.data["action"], clean.data["clean"]) == (0, "lint", True)
    assert clean.data["violations"] == []
    desk.write(plan(task("a", owns=["../x"]), task("b", tier="far", intnt="x")))
    found = await desk("workstream", "lint", "plan.json", "--json")
    assert (found.code, found.data["clean"]) == (1, False)
    first = found.data["violations"][0]
    assert set(first) == {"code", "task", "field", "message", "hint", "line"}
    assert [(one["code"], one["task"]) for one in found.data["violations"]] == [
        ("bad-owns", "a"), ("bad-tier", "b"),
    ]  # fmt: skip
    assert "unknown-field" in [one["code"] for one in found.envelope["warnings"]]
    text = await desk("workstream", "lint", "plan.json")
    assert text.code == 1
    assert f"plan.json:{first['line']}: a owns[0]: bad-owns: " in text.out
    assert text.out.endswith("plan.json: 2 violations, 2 warnings\n")


@pytest.mark.parametrize("content", ["{", '{"a": 1, "a": 2}', "\udc80"])
async def test_what_cannot_be_read_is_exit_2(desk: Desk, content: str) -> None:
    """W2, O2: an error, not a verdict."""
    (desk.cwd / "plan.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    for words in (("lint", "plan.json"), ("packet", "plan.json", "--run", "r"), START[1:]):
        result = await desk("workstream", *words, "--json")
        assert (result.code, result.error["code"]) == (2, "unreadable"), result.out
    assert not (desk.cwd / ".rally").exists()


@pytest.mark.parametrize("name", ["nothing.json", ".", "a\udc80b", "x" * 300])
async def test_a_file_that_is_none_is_exit_2(desk: Desk, name: str) -> None:
    """A missing file, a folder, a name that no file can have."""
    result = await desk("workstream", "lint", name, "--json")
    assert (result.code, result.error["code"]) == (2, "unreadable")


async def test_a_descriptor_may_come_on_standard_input(desk: Desk) -> None:
    """`-` is a file like any other."""
    raw = json.dumps(PLAN).encode()
    assert (await desk("workstream", "lint", "-", stdin=raw)).code == 0


async def test_links_that_lead_out_or_to_another_task_are_seen(desk: Desk) -> None:
    """C1: lint knows paths as claims do, links included."""
    (desk.cwd / "src").mkdir()
    (desk.cwd / "same").symlink_to("src")
    (desk.cwd / "out").symlink_to("/etc")
    desk.write(
        plan(task("a", owns=["src/"]), task("b", owns=["same/x.py"]), task("c", owns=["out/y"]))
    )
    found = (await desk("workstream", "lint", "plan.json", "--json")).data["violations"]
    assert [(one["code"], one["task"]) for one in found] == [
        ("boundary-conflict", "b"), ("bad-owns", "c"),
    ]  # fmt: skip


async def test_lint_as_sarif_is_one_log(desk: Desk) -> None:
    """SARIF 2.1.0: rule, level, message, file and line of each finding."""
    desk.write(plan(task("a", tier="far", x=1), task("b")))
    result = await desk("workstream", "lint", "plan.json", "--format", "sarif")
    log = json.loads(result.out)
    assert (result.code, log["version"]) == (1, "2.1.0")
    (one_run,) = log["runs"]
    rules = {rule["id"] for rule in one_run["tool"]["driver"]["rules"]}
    assert rules == {"bad-tier", "unknown-field", "missing-path"}
    levels = {found["ruleId"]: found["level"] for found in one_run["results"]}
    assert levels == {"bad-tier": "error", "unknown-field": "warning", "missing-path": "warning"}
    region = one_run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region["startLine"] > 1


async def test_start_registers_the_run_and_every_task_as_task_add_would(desk: Desk) -> None:
    """W4: one `run` fact and the tasks, in one transaction; dag, list and take see them."""
    desk.write(PLAN)
    data = (await desk(*START, "--json")).data
    assert (data["registered"], data["already"], data["replayed"]) == (
        ["a", "b", "check"],
        [],
        False,
    )
    facts = await desk.facts()
    assert [fact["kind"] for fact in facts] == ["run", "task", "task", "task"]
    run = facts[0]
    assert (run["subject"], run["summary"], run["thread"]) == ("ws", "what it is for", "t-1")
    assert len({fact["created_at"] for fact in facts}) == 1
    await desk.json(
        "task", "add", "--run", "r2", "--id", "a", "--intent", "do a", "--owns", "src/a/", "--priority",
        "5", "--validation", "test -d src/a", "--output", "src/a", "--tool", "lead:1",
    )  # fmt: skip
    (_, _, _, by_hand) = await desk.facts("task")
    moment = {"event_id", "seq", "created_at", "prev", "hash", "run", "thread"}
    started = {name: value for name, value in facts[1].items() if name not in moment}
    added = {name: value for name, value in by_hand.items() if name not in moment}
    assert started == added
    listed = (await desk.json("task", "list", "--run", "r"))["tasks"]
    assert [(one["id"], one["ready"], one["status"]) for one in listed] == [
        ("a", True, "planned"), ("b", True, "planned"), ("check", False, "planned"),
    ]  # fmt: skip
    assert listed[1]["commands"] == ["make b"]
    assert listed[2]["owns"] == "read-only"
    assert (await desk.facts("task"))[2]["data"]["read_only"] is True
    graph = await desk.json("dag", "--run", "r")
    assert {"from_step": "a", "to_step": "check", "kind": "parent_step"} in graph["edges"]


async def test_starting_again_registers_nothing_twice(desk: Desk) -> None:
    """W4: the same descriptor, laid out anew, is the same; whatever happened meanwhile."""
    desk.write(PLAN)
    first = (await desk(*START, "--json")).data
    desk.write(json.dumps(PLAN))
    await desk.json("task", "take", "--run", "r", "--tool", "x:1")
    await desk.json("task", "done", "--run", "r", "--id", "a", "--tool", "x:1")
    before = await desk.facts()
    again = (await desk(*START, "--json")).data
    assert (again["registered"], again["replayed"]) == ([], True)
    assert again["fact"] == first["fact"]
    for step in ("b", "check"):
        await desk.json(
            "say", "artifact", "--tool", "x:1", "--run", "r", "--step", step, "--subject", "s"
        )
    done = await desk.facts()
    assert (await desk(*START, "--json")).data["replayed"]
    assert await desk.facts() == done
    assert before == done[: len(before)]


async def test_a_changed_descriptor_is_refused(desk: Desk) -> None:
    """W4: exit 3, nothing is written, and the way forward is named."""
    desk.write(PLAN)
    assert (await desk(*START)).code == 0
    before = await desk.facts()
    desk.write({**PLAN, "tasks": [*PLAN["tasks"], task("new")]})
    result = await desk(*START, "--json")
    assert (result.code, result.error["code"]) == (3, "run-exists")
    assert "rally task add" in result.error["hint"]
    assert await desk.facts() == before


async def test_a_task_that_was_added_by_hand_is_kept_or_in_the_way(desk: Desk) -> None:
    """The same task is passed over; another one under its id refuses the whole start."""
    add = ("task", "add", "--run", "r", "--tool", "x:1", "--intent", "do a", "--owns", "src/a")
    same = ("--id", "a", "--validation", "test -d src/a", "--output", "src/a")
    await desk.json(*add, *same)
    desk.write(plan(task("a"), task("b")))
    data = (await desk(*START, "--json")).data
    assert (data["registered"], data["already"]) == (["b"], ["a"])
    await desk.json(*add[:2], "--run", "r2", *add[4:], "--id", "b")
    result = await desk(
        "workstream", "start", "plan.json", "--run", "r2", "--tool", "x:1", "--json"
    )
    assert (result.code, result.error["code"]) == (3, "task-exists")
    assert [fact["kind"] for fact in await desk.facts("run")] == ["run"]


async def test_a_withdrawn_task_stays_withdrawn(desk: Desk) -> None:
    """Starting again undoes no decision."""
    desk.write(PLAN)
    await desk(*START)
    (task_fact, *_) = await desk.facts("task")
    await desk.json(
        "say", "retract", "--tool", "x:1", "--ref", task_fact["event_id"], "--reason", "no"
    )
    assert (await desk(*START, "--json")).data["registered"] == []
    ids = [one["id"] for one in (await desk.json("task", "list", "--run", "r"))["tasks"]]
    assert ids == ["b", "check"]


async def test_a_withdrawn_run_can_be_started_anew(desk: Desk) -> None:
    """Whoever withdrew the run fact wants another plan under the same name."""
    desk.write(PLAN)
    run = (await desk(*START, "--json")).data["fact"]
    for fact in [run, *(await desk.facts("task"))]:
        await desk.json(
            "say", "retract", "--tool", "x:1", "--ref", fact["event_id"], "--reason", "no"
        )
    desk.write(plan(task("a", intent="otherwise")))
    data = (await desk(*START, "--json")).data
    assert (data["registered"], data["replayed"]) == (["a"], False)
    assert (await desk(*START, "--json")).data["replayed"]


async def test_a_key_that_somebody_else_used_is_in_nobodys_way(desk: Desk) -> None:
    """The run's own key gives way."""
    await desk.say("x:1", "note", "--subject", "mine", "--key", "run:r")
    desk.write(PLAN)
    assert len((await desk(*START, "--json")).data["registered"]) == 3
    assert (await desk(*START, "--json")).data["replayed"]


async def test_two_starts_at_once_register_the_run_once(desk: Desk) -> None:
    """W4: whoever is second finds it done."""
    desk.write(PLAN)
    calls = [desk.call() for _ in range(8)]
    params = await start_params(desk)

    async def start() -> Doc:
        data, _ = await desk.rooms.call("task", params, cwd=str(desk.cwd), env=desk.env)
        return data

    answers = await asyncio.gather(*(start() for _ in calls))
    assert sorted(len(one["registered"]) for one in answers) == [0] * 7 + [3]
    assert len(await desk.facts()) == 4
    assert len({one["fact"]["event_id"] for one in answers}) == 1


async def start_params(desk: Desk) -> Doc:
    """What `workstream start` asks of the room."""
    from rally.facilitation.places import find_place
    from rally.workstream.files import clean_file, start_params

    report = clean_file("plan.json", find_place(str(desk.cwd)), cwd=str(desk.cwd), stdin=None)
    return {**start_params(report, "r"), "tool": "lead:1"}


async def test_programs_start_runs_through_the_socket(desk: Desk) -> None:
    """The daemon accepts what the command asks, and names the field that is wrong."""
    desk.write(PLAN)
    params = await start_params(desk)
    assert check_params("task", params) == params
    for wrong, field in (
        ({"tasks": [{"id": "a"}]}, "tasks.0.intent"),
        ({"tasks": [{"id": "a", "intent": "x", "owns": "x"}]}, "tasks.0.owns"),
        ({"tasks": [{"id": "a", "intent": "x", "owner": "x"}]}, "tasks.0.owner"),
        ({"tasks": {}}, "tasks"),
    ):
        with pytest.raises(UsageError) as caught:
            check_params("task", {**params, **wrong})
        assert caught.value.details["field"] == field
    for tasks, code in (
        ([], "missing-field"),
        ([*params["tasks"], params["tasks"][0]], "bad-value"),
    ):
        with pytest.raises(UsageError) as caught:
            await desk.rooms.call(
                "task", {**params, "tasks": tasks}, cwd=str(desk.cwd), env=desk.env
            )
        assert caught.value.code == code
    assert not (desk.cwd / ".rally").exists()


async def test_start_without_a_caller_or_with_bad_values_leaves_no_room(desk: Desk) -> None:
    """T4: a clear error, and nothing was made."""
    desk.write(PLAN)
    for words, code in (
        (("--run", "r"), "missing-tool"),
        (("--tool", "lead:1"), "missing-field"),
        (("--run", "r", "--tool", "all"), "bad-tool"),
        (("--run", "r\n", "--tool", "lead:1"), "bad-value"),
        (("--run", "x" * 257, "--tool", "lead:1"), "too-long"),
    ):
        result = await desk("workstream", "start", "plan.json", *words, "--json")
        assert (result.code, result.error["code"]) == (2, code)
    assert not (desk.cwd / ".rally").exists()


async def test_status_sorts_every_task_into_its_list(desk: Desk) -> None:
    """W4: done, claimed, pending and, of these, what an agent can be sent to; exit 3, then 0."""
    desk.write(PLAN)
    await desk(*START)

    async def lists(*words: str) -> tuple[int, Any]:
        result = await desk(*STATUS, *words, "--json")
        names = ("done", "claimed", "pending", "to_dispatch")
        return result.code, [result.data[name] for name in names]

    assert await lists() == (3, [[], [], ["a", "b", "check"], ["a", "b"]])
    await desk.json("task", "take", "--run", "r", "--tool", "x:1")
    assert await lists() == (3, [[], ["a"], ["b", "check"], ["b"]])
    await desk.say("y:1", "standby", "--run", "r", "--step", "b", "--until", "step:a")
    assert await lists() == (3, [[], ["a"], ["b", "check"], []])
    await desk.json("task", "done", "--run", "r", "--id", "a", "--tool", "x:1")
    await desk.say("y:1", "artifact", "--run", "r", "--step", "b", "--subject", "s")
    assert await lists() == (3, [["a", "b"], [], ["check"], ["check"]])
    await desk.json("task", "take", "--run", "r", "--tool", "x:1")
    await desk.json("task", "done", "--run", "r", "--id", "check", "--tool", "x:1")
    code, found = await lists()
    assert (code, found) == (0, [["a", "b", "check"], [], [], []])
    text = await desk(*STATUS)
    assert "3 of 3 landed, complete" in text.out


async def test_status_with_a_file_needs_no_registration(desk: Desk) -> None:
    """W4: packets can be handed out by hand; what lands is seen all the same."""
    desk.write(PLAN)
    await desk.say("x:1", "claim", "--run", "r", "--step", "b", "--path", "docs/b.md")
    await desk.say("x:1", "artifact", "--run", "r", "--step", "a", "--subject", "s")
    result = await desk("workstream", "status", "plan.json", "--run", "r", "--json")
    assert result.code == 3
    assert result.data["done"] == ["a"]
    assert result.data["claimed"] == ["b"]
    assert result.data["pending"] == ["check"]
    assert result.data["to_dispatch"] == []


async def test_status_is_about_one_run(desk: Desk) -> None:
    """W4: another run's tasks of the same name count for nothing; an unknown run is not complete."""
    desk.write(PLAN)
    await desk(*START)
    for step in ("a", "b", "check"):
        await desk.say("x:1", "artifact", "--run", "other", "--step", step, "--subject", "s")
    assert (await desk(*STATUS, "--json")).data["done"] == []
    empty = await desk("workstream", "status", "--run", "nothing", "--json")
    assert (empty.code, empty.data["complete"]) == (3, False)
    assert [one["code"] for one in empty.envelope["warnings"]] == ["empty-run"]


async def test_the_schema_describes_what_lint_accepts(desk: Desk) -> None:
    """W1: fields, which of them are required, and the two forms of `owns`."""
    described = json.loads((await desk("workstream", "schema")).out)
    spec = described["$defs"]["TaskSpec"]
    assert sorted(spec["required"]) == ["id", "intent", "output", "owns", "validation"]
    assert sorted(described["required"]) == ["description", "tasks", "workstream"]
    assert spec["properties"]["owns"]["oneOf"][0] == {"const": "read-only"}
    assert spec["properties"]["id"]["pattern"] == "^[A-Za-z0-9._-]+$"
    assert spec["properties"]["intent"]["minLength"] == 1
    assert spec["properties"]["priority"]["maximum"] == 2**53 - 1
    assert (described["properties"]["tasks"]["minItems"], described["type"]) == (1, "object")
    assert (await desk("workstream", "schema", "--json")).data["schema"] == described
