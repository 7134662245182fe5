"""A task that has failed blocks what depends on it, and everybody is told why (contract W4, W5)."""

from __future__ import annotations

from typing import Any

import pytest
from plan_desk import Desk, Doc, plan, task

from rally.client.connection import Answer
from rally.client.tasks import all_tasks
from rally.facilitation.decide.tasks import blocked_steps
from rally.facilitation.state.entities import Blocker
from rally.facilitation.state.room import RoomState
from rally.model.fact import GENESIS, seal

RUN = ("--run", "r")
CHAIN = plan(
    task("a"), task("b", depends_on=["a"]), task("c", depends_on=["b"]), task("free", priority=500)
)


@pytest.fixture
async def blocked(desk: Desk) -> Doc:
    """A run whose first task was taken, found impossible, and given back; the blocker."""
    desk.write(CHAIN)
    await desk.json("workstream", "start", "plan.json", *RUN, "--tool", "lead:1")
    await desk.json("task", "take", *RUN, "--tool", "x:1")
    said: Doc = await desk.say("x:1", "blocker", *RUN, "--step", "a", "--subject", "no rates")
    await desk.json("task", "drop", *RUN, "--id", "a", "--tool", "x:1", "--reason", "no way on")
    return said


async def rows(desk: Desk) -> dict[str, Any]:
    """The tasks by id."""
    found: list[Doc] = (await desk.json("task", "list", *RUN))["tasks"]
    return {one["id"]: one for one in found}


async def test_what_hangs_on_a_failed_task_is_blocked_with_the_reason(
    desk: Desk, blocked: Doc
) -> None:
    """All the way down the chain; a task of its own goes on."""
    shown = {"step": "a", "fact_id": blocked["event_id"], "tool": "x:1", "subject": "no rates"}
    found = await rows(desk)
    assert {name: row["blocked_by"] for name, row in found.items()} == {
        "a": shown, "b": shown, "c": shown, "free": None,
    }  # fmt: skip
    assert [name for name, row in found.items() if row["ready"]] == ["free"]
    text = (await desk("task", "list", *RUN)).out
    assert [line.split()[:2] for line in text.splitlines()[2:6]] == [
        ["a", "blocked"], ["b", "blocked"], ["c", "blocked"], ["free", "ready"],
    ]  # fmt: skip
    assert "a is blocked by x:1: no rates; when that is settled: rally say resolve --ref " in text


async def test_status_names_what_is_blocked_and_dispatches_none_of_it(
    desk: Desk, blocked: Doc
) -> None:
    """W4: nobody is sent to where nobody can go on."""
    result = await desk("workstream", "status", *RUN, "--json")
    assert result.code == 3
    assert result.data["pending"] == ["a", "b", "c", "free"]
    assert result.data["blocked"] == ["a", "b", "c"]
    assert result.data["to_dispatch"] == ["free"]
    text = (await desk("workstream", "status", *RUN)).out
    assert "  blocked    a b c\n" in text
    assert "no rates" in text


async def test_take_and_next_pass_over_what_is_blocked(desk: Desk, blocked: Doc) -> None:
    """W5, P3: a failed task is not handed to the next one who fails at it."""
    now = await desk.json("next", "--tool", "y:1", *RUN)
    assert (now["action"], now["fact"]["step"]) == ("take_task", "free")
    assert (await desk.json("task", "take", *RUN, "--tool", "y:1"))["task"]["id"] == "free"
    refused = await desk("task", "take", *RUN, "--tool", "z:1", "--json")
    assert (refused.code, refused.error["code"]) == (3, "nothing-ready")
    for why in (
        f"a is blocked by {blocked['event_id']}: no rates",
        f"c is blocked by {blocked['event_id']} through a: no rates", "free is held by y:1",
    ):  # fmt: skip
        assert why in refused.error["message"]
    waiting = {one["task"]: one for one in refused.error["details"]["waiting"]}
    assert waiting["c"]["blocked_by"]["step"] == "a"
    assert waiting["c"]["waits_for"] == ["b"]


async def test_the_graph_tells_what_a_step_waits_for_in_vain(desk: Desk, blocked: Doc) -> None:
    """P5: the failed step is stalled, those behind it are planned, and their details say why."""
    graph = await desk.json("dag", *RUN)
    nodes = {node["step_id"]: node for node in graph["nodes"]}
    assert nodes["a"]["status"] == "stalled"
    assert nodes["a"]["detail"].endswith("claim released without an artifact: no way on")
    for step in "bc":
        assert nodes[step]["status"] == "planned"
        assert nodes[step]["detail"] == f"waits for a, blocked by {blocked['event_id']}"


async def test_resolving_the_blocker_opens_all_of_it_again(desk: Desk, blocked: Doc) -> None:
    """Whoever settles the matter needs no other command."""
    await desk.say("lead:1", "resolve", "--ref", blocked["event_id"])
    found = await rows(desk)
    assert not [name for name, row in found.items() if row["blocked_by"]]
    assert (await desk.json("task", "take", *RUN, "--tool", "y:1"))["task"]["id"] == "a"


async def test_what_has_landed_blocks_nobody(desk: Desk, blocked: Doc) -> None:
    """An old blocker is no reason to hold back what builds on a step that has landed after all."""
    await desk.say("x:1", "artifact", *RUN, "--step", "a", "--subject", "found a way")
    assert [name for name, row in (await rows(desk)).items() if row["ready"]] == ["b", "free"]
    landed = (await rows(desk))["a"]["landed_by"]
    await desk.say("x:1", "retract", "--ref", landed[0], "--reason", "it was none")
    assert (await rows(desk))["b"]["blocked_by"]["step"] == "a"


async def test_tasks_that_nobody_registered_are_blocked_just_the_same(desk: Desk) -> None:
    """W4: with a file, the graph is the file's."""
    desk.write(CHAIN)
    await desk.say("x:1", "blocker", *RUN, "--step", "b", "--subject", "stuck")
    result = await desk("workstream", "status", "plan.json", *RUN, "--json")
    assert result.data["blocked"] == ["b", "c"]
    assert result.data["to_dispatch"] == ["a", "free"]


async def test_a_blocker_of_another_run_or_of_a_path_blocks_no_task(desk: Desk) -> None:
    """What a blocker names is what it is about."""
    desk.write(CHAIN)
    await desk.json("workstream", "start", "plan.json", *RUN, "--tool", "lead:1")
    await desk.say("x:1", "blocker", "--run", "other", "--step", "a", "--subject", "s")
    await desk.say("x:1", "blocker", *RUN, "--subject", "s")
    assert (await desk.json("task", "take", *RUN, "--tool", "y:1"))["task"]["id"] == "a"


async def test_a_dependency_that_there_is_not_is_called_so(desk: Desk) -> None:
    """A typing error in `--depends-on` would be waited for for ever."""
    words = ("--id", "b", "--intent", "x", "--owns", "p", "--depends-on", "aa")
    await desk.json("task", "add", "--tool", "lead:1", *RUN, *words)
    refused = (await desk("task", "take", *RUN, "--tool", "x:1", "--json")).error
    assert "b waits for aa (no task of the run)" in refused["message"]
    assert refused["details"]["waiting"][0]["unknown"] == ["aa"]


async def test_of_many_reasons_a_few_are_told_and_all_are_listed(desk: Desk) -> None:
    """A message stays a message."""
    tasks = [task(f"t{n}", depends_on=["first"]) for n in range(9)]
    desk.write(plan(task("first", priority=1), *tasks))
    await desk.json("workstream", "start", "plan.json", *RUN, "--tool", "lead:1")
    await desk.json("task", "take", *RUN, "--tool", "x:1")
    refused = (await desk("task", "take", *RUN, "--tool", "y:1", "--json")).error
    assert refused["message"].endswith("t3 waits for first; and 5 more")
    assert len(refused["details"]["waiting"]) == 10


def test_a_ring_of_steps_is_walked_once() -> None:
    """Facts may name parents in a circle; nobody waits for an answer for ever."""
    state = RoomState()
    content = {"event_id": "b1", "kind": "blocker", "tool": "x", "run": "r", "step": "a"}
    state.add_blocker(Blocker(seal(content, seq=1, prev=GENESIS), freeze=False))
    ring = {"a": ["b"], "b": ["a"]}
    assert set(blocked_steps(state, "r", (), lambda step: ring[step])) == {"a", "b"}


class Paged:
    """A client that answers like the desk's rooms; no daemon is needed to see pages."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.pages = 0

    async def call(self, op: str, /, **params: Any) -> Answer:
        self.pages += 1
        reply = await self.desk.rooms.call(op, params, cwd=str(self.desk.cwd), env=self.desk.env)
        return Answer(reply.data)

    async def close(self) -> None:
        """The desk closes its rooms."""

    def subscribe(self, **params: Any) -> Any:
        """Nobody follows here."""
        raise NotImplementedError


async def test_a_run_of_any_size_is_listed_page_by_page(desk: Desk) -> None:
    """A frame of the socket holds 4 MiB; two thousand tasks with long intents are more."""
    tasks = [task(f"t{n}", intent=f"{n} {'x' * 16_000}") for n in range(150)]
    desk.write(plan(*tasks))
    await desk.json("workstream", "start", "plan.json", *RUN, "--tool", "lead:1")
    client = Paged(desk)
    found = await all_tasks(client, "r")
    assert [row["id"] for row in found] == [one["id"] for one in tasks]
    assert client.pages == 3
