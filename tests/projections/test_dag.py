"""The graph of a run: nodes, edges, statuses and order (contract P5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.facilitation.projections.dag import LiveRun, dag
from rally.model.clock import from_rfc3339
from rally.model.fact import GENESIS, Fact, seal

NOW_MS = from_rfc3339("2026-01-01T12:00:00.000Z")


def ledger(*contents: dict[str, Any]) -> list[Fact]:
    """Facts `e1`, `e2`, … of the run `r`, one second apart."""
    facts: list[Fact] = []
    for number, content in enumerate(contents, 1):
        known = {
            "event_id": f"e{number}",
            "tool": "claude:1",
            "run": "r",
            "created_at": f"2026-01-01T10:{number // 60:02d}:{number % 60:02d}.000Z",
        }
        prev = facts[-1].hash if facts else GENESIS
        facts.append(seal({**known, **content}, seq=number, prev=prev))
    return facts


def task(step: str, *parents: str, **more: Any) -> dict[str, Any]:
    content = {"kind": "task", "step": step, "subject": f"do {step}", "tool": "planner", **more}
    return {**content, "parent_steps": list(parents)} if parents else content


def said(kind: str, step: str | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": kind, **({"step": step} if step else {}), **more}


def draw(
    *contents: dict[str, Any], retracted: Iterable[str] = (), **live: Any
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    return dag(
        "r", ledger(*contents), retracted=set(retracted), live=LiveRun(**live), now_ms=NOW_MS
    )


def node(graph: dict[str, Any], step: str) -> dict[str, Any]:
    (found,) = [node for node in graph["nodes"] if node["step_id"] == step]
    return found


def status(graph: dict[str, Any], step: str) -> tuple[str, str]:
    return node(graph, step)["status"], node(graph, step)["detail"]


def edges(graph: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    return [(e["from_step"], e["to_step"]) for e in graph["edges"] if e["kind"] == kind]


def test_unknown_run_is_an_empty_graph() -> None:
    """No facts: no nodes, no edges, counts of nothing, no warning."""
    graph, warnings = draw()
    assert graph == {
        "run_id": "r",
        "nodes": [],
        "edges": [],
        "counts": {"planned": 0, "in_flight": 0, "stalled": 0, "landed": 0},
        "facts_scanned": 0,
    }
    assert warnings == []


def test_a_node_tells_the_whole_story_of_its_step() -> None:
    """Every field of a node comes from the step's own facts, in ledger order."""
    graph, _ = draw(
        task("api", "plan"),
        said("claim", "api", tool="codex:1", subject="taking api"),
        said("note", "api", tool="gemini:1", subject="taking api"),
        said("artifact", "api", tool="codex:1", subject="done", evidence=["12 passed", "lint"]),
        said("artifact", "api", tool="codex:1", subject="more", evidence=["again"]),
    )
    assert node(graph, "api") == {
        "step_id": "api",
        "status": "landed",
        "detail": "",
        "tool": "codex:1",
        "event_ids": ["e1", "e2", "e3", "e4", "e5"],
        "subjects": ["do api", "taking api", "done", "more"],
        "parents": ["plan"],
        "started_at": "2026-01-01T10:00:02.000Z",
        "landed_at": "2026-01-01T10:00:04.000Z",
        "evidence": ["12 passed", "lint", "again"],
    }
    assert graph["facts_scanned"] == 5


def test_a_registered_step_that_nobody_touched_is_planned() -> None:
    """Registration is no work: no start, no landing, and the planner is its author."""
    graph, _ = draw(task("api"))
    assert status(graph, "api") == ("planned", "")
    assert node(graph, "api")["started_at"] is None
    assert node(graph, "api")["tool"] == "planner"


def test_any_fact_but_a_registration_puts_a_step_in_flight() -> None:
    """A kind that this version does not know counts as a touch as well."""
    graph, _ = draw(task("a"), said("note", "a", subject="x"), said("of-the-future", "b"))
    assert status(graph, "a") == ("in_flight", "")
    assert status(graph, "b") == ("in_flight", "")


def test_the_tool_is_the_last_claimant_then_whoever_worked_then_the_planner() -> None:
    """The planner does not stand for the agent that did the work."""
    graph, _ = draw(
        task("a"),
        task("b"),
        said("claim", "a", tool="one"),
        said("claim", "a", tool="two"),
        said("note", "a", tool="three", subject="x"),
        said("artifact", "b", tool="four", subject="y"),
        held_steps={"a"},
    )
    assert [node(graph, step)["tool"] for step in ("a", "b")] == ["two", "four"]


def test_a_due_standby_stalls_its_step() -> None:
    """The detail names the standby and why it is due."""
    graph, _ = draw(
        said("claim", "a"),
        said("standby", "a"),
        held_steps={"a"},
        live_standbys={"e2"},
        due_standbys={"e2": "free"},
    )
    assert status(graph, "a") == ("stalled", "standby e2 due (free)")


def test_a_standby_that_waits_leaves_its_step_in_flight() -> None:
    """Not due yet: the step is waiting, not stalled, and says so."""
    graph, _ = draw(
        said("standby", "a", wake_after="2026-01-01T12:00:00.001Z"), live_standbys={"e1"}
    )
    assert status(graph, "a") == ("in_flight", "standby e1 waits")


def test_a_standby_whose_time_has_passed_is_due_even_if_nobody_may_fire_it() -> None:
    """The trust gate of wake-due decides what is fired, not what is stalled."""
    graph, _ = draw(
        said("standby", "a", wake_after="2026-01-01T12:00:00.000Z"), live_standbys={"e1"}
    )
    assert status(graph, "a") == ("stalled", "standby e1 due (time)")


def test_only_the_latest_standby_counts() -> None:
    """An older one neither stalls a step whose latest one was answered, nor hides a new one."""
    old_due, _ = draw(
        said("standby", "a", tool="one"),
        said("standby", "a", tool="two"),
        said("wake", "a", tool="two", ref="e2"),
        live_standbys={"e1"},
        due_standbys={"e1": "time"},
    )
    new_due, _ = draw(
        said("standby", "a"),
        said("wake", "a", ref="e1"),
        said("standby", "a"),
        live_standbys={"e3"},
        due_standbys={"e3": "step"},
    )
    assert status(old_due, "a") == ("in_flight", "")
    assert status(new_due, "a") == ("stalled", "standby e3 due (step)")


def test_an_open_blocker_stalls_its_step() -> None:
    """The detail names the blocker."""
    graph, _ = draw(said("claim", "a"), held_steps={"a"}, blocked_steps={"a": "e9"})
    assert status(graph, "a") == ("stalled", "blocked by e9")


def test_a_lapsed_claim_stalls_its_step_unless_another_holds_it() -> None:
    """A step that was taken over is in good hands."""
    lapsed, _ = draw(said("claim", "a"), lapsed_steps={"a"})
    taken_over, _ = draw(said("claim", "a"), lapsed_steps={"a"}, held_steps={"a"})
    assert status(lapsed, "a") == ("stalled", "claim lapsed")
    assert status(taken_over, "a") == ("in_flight", "")


def test_a_claim_given_up_without_an_artifact_stalls_its_step() -> None:
    """Nobody holds it, nothing was produced."""
    graph, _ = draw(said("claim", "a"), said("release", ref="e1"))
    assert status(graph, "a") == ("stalled", "claim released without an artifact")


def test_all_reasons_of_a_stall_are_named() -> None:
    """Standby, blocker, claim: in this order."""
    graph, _ = draw(
        said("claim", "a"),
        said("standby", "a"),
        live_standbys={"e2"},
        due_standbys={"e2": "time"},
        blocked_steps={"a": "e7"},
        lapsed_steps={"a"},
    )
    assert status(graph, "a") == (
        "stalled",
        "standby e2 due (time); blocked by e7; claim lapsed",
    )


def test_landed_wins_over_every_stall() -> None:
    """What has landed has landed, whatever is still open about it."""
    graph, _ = draw(
        said("claim", "a"),
        said("artifact", "a", subject="x"),
        lapsed_steps={"a"},
        blocked_steps={"a": "e7"},
    )
    assert status(graph, "a") == ("landed", "")


def test_a_retracted_artifact_does_not_land_its_step() -> None:
    """Neither the artifact nor the retract fact leaves a trace in the node."""
    graph, _ = draw(
        said("claim", "a"),
        said("artifact", "a", subject="x", evidence=["lie"]),
        said("retract", "a", ref="e2", reason="wrong"),
        retracted=["e2"],
        held_steps={"a"},
    )
    assert status(graph, "a") == ("in_flight", "")
    assert node(graph, "a")["event_ids"] == ["e1"]
    assert node(graph, "a")["evidence"] == []
    assert node(graph, "a")["landed_at"] is None
    assert graph["facts_scanned"] == 3


def test_a_step_with_nothing_but_retracted_facts_is_gone() -> None:
    """A withdrawn fact is withdrawn from every projection."""
    graph, _ = draw(
        said("note", "a", subject="x", parent_steps=["b"]),
        said("retract", ref="e1", step="a", reason="r"),
        retracted=["e1"],
    )
    assert graph["nodes"] == graph["edges"] == []


def test_untrusted_facts_are_shown_and_have_no_effect() -> None:
    """An artifact from elsewhere does not land a step, nor does a claim or standby stall it."""
    graph, _ = draw(
        task("a"),
        said("claim", "a", tool="far:1", trust="untrusted"),
        said("standby", "a", tool="far:1", trust="untrusted"),
        said("artifact", "a", tool="far:1", trust="untrusted", subject="x", evidence=["y"]),
        live_standbys={"e3"},
        due_standbys={"e3": "time"},
    )
    assert status(graph, "a") == ("in_flight", "")
    assert node(graph, "a")["event_ids"] == ["e1", "e2", "e3", "e4"]
    assert node(graph, "a")["evidence"] == []


def test_facts_without_a_step_gather_in_root() -> None:
    """Registration of the run alone leaves it planned; without such facts there is no root."""
    planned, _ = draw(said("run"), said("run", subject="again"))
    moving, _ = draw(said("run"), said("note", subject="x"), said("note", "a", subject="y"))
    without, _ = draw(said("note", "a", subject="y"))
    assert status(planned, "root") == ("planned", "")
    assert status(moving, "root") == ("in_flight", "")
    assert node(moving, "root")["event_ids"] == ["e1", "e2"]
    assert [n["step_id"] for n in without["nodes"]] == ["a"]


def test_the_registration_of_a_run_is_no_node_beside_its_steps() -> None:
    """A run that was started and is done counts what landed, and nothing that never will."""
    begun, _ = draw(said("run"), task("a"))
    done, _ = draw(said("run"), task("a"), said("artifact", "a", subject="x", ref="e1"))
    named, _ = draw(said("run"), task("a", "root"))
    assert ([n["step_id"] for n in begun["nodes"]], begun["counts"]["planned"]) == (["a"], 1)
    assert [n["status"] for n in done["nodes"]] == ["landed"]
    assert done["edges"] == []
    assert node(named, "root")["event_ids"] == ["e1"]


def test_a_step_that_is_really_called_root_shares_the_node() -> None:
    """One node for both, in ledger order."""
    graph, _ = draw(said("note", subject="x"), said("artifact", "root", subject="y"))
    assert [n["step_id"] for n in graph["nodes"]] == ["root"]
    assert node(graph, "root")["event_ids"] == ["e1", "e2"]
    assert node(graph, "root")["status"] == "landed"


def test_parents_without_facts_are_planned_nodes() -> None:
    """No edge dangles."""
    graph, _ = draw(said("note", "b", subject="x", parent_steps=["a", "z"]))
    assert [n["step_id"] for n in graph["nodes"]] == ["a", "z", "b"]
    empty = node(graph, "a")
    assert (empty["status"], empty["tool"], empty["event_ids"]) == ("planned", None, [])
    assert edges(graph, "parent_step") == [("a", "b"), ("z", "b")]


def test_parent_edges_come_from_registrations_and_from_facts() -> None:
    """Each pair once, from the parent to the step, however often it was said."""
    graph, _ = draw(
        task("a"),
        task("b"),
        task("c", "a"),
        said("claim", "c", parent_steps=["a", "b"]),
        said("artifact", "c", subject="x", parent_steps=["b"]),
    )
    assert edges(graph, "parent_step") == [("a", "c"), ("b", "c")]
    assert node(graph, "c")["parents"] == ["a", "b"]


def test_a_fact_that_refers_to_another_step_draws_a_ref_edge() -> None:
    """From the step referred to, once, never within a step and never to withdrawn facts."""
    graph, _ = draw(
        said("artifact", "a", subject="x"),
        said("note", "a", subject="more", ref="e1"),
        said("receipt", "b", ref="e1", state="done"),
        said("note", "b", subject="again", ref="e1"),
        said("note", "c", subject="gone"),
        said("note", "d", subject="y", ref="e5"),
        said("note", "d", subject="of another run", ref="e99"),
        said("handoff", subject="for all", target="all"),
        said("receipt", "d", ref="e8", state="acked"),
        retracted=["e5"],
    )
    assert edges(graph, "ref") == [("a", "b"), ("root", "d")]


def test_parent_and_ref_between_the_same_steps_are_two_edges() -> None:
    """They say different things."""
    graph, _ = draw(
        said("note", "a", subject="x"), said("note", "b", subject="y", ref="e1", parent_steps=["a"])
    )
    assert graph["edges"] == [
        {"from_step": "a", "to_step": "b", "kind": "parent_step"},
        {"from_step": "a", "to_step": "b", "kind": "ref"},
    ]


def test_dropped_tasks_leave_the_graph() -> None:
    """With their dependencies; a step that depends on one still shows it."""
    graph, warnings = draw(
        task("a", "zero"),
        task("b", "zero"),
        task("c", "b"),
        said("task", "a", status="dropped"),
        said("task", "b", status="dropped"),
    )
    assert [n["step_id"] for n in graph["nodes"]] == ["b", "c"]
    assert status(graph, "b") == ("planned", "task dropped")
    assert edges(graph, "parent_step") == [("b", "c")]
    assert warnings == []


def test_a_dropped_task_with_work_keeps_its_node_and_one_added_again_is_planned() -> None:
    """What was done is history; what was registered last counts."""
    graph, _ = draw(
        task("a", "old"),
        said("note", "a", subject="x"),
        said("task", "a", status="dropped"),
        task("b", "old"),
        said("task", "b", status="dropped"),
        task("b", "new"),
    )
    assert {n["step_id"]: n["status"] for n in graph["nodes"]} == {
        "a": "in_flight",
        "new": "planned",
        "b": "planned",
    }
    assert edges(graph, "parent_step") == [("new", "b")]


def test_nodes_stand_parents_first_and_else_in_the_order_of_the_ledger() -> None:
    """References order steps too, where they do not contradict the parents."""
    graph, _ = draw(
        task("late", "mid"),
        task("mid", "early"),
        said("note", "z", subject="x"),
        said("note", "early", subject="y", ref="e3"),
        said("note", "a", subject="w"),
    )
    assert [n["step_id"] for n in graph["nodes"]] == ["z", "early", "mid", "late", "a"]


def test_references_to_and_fro_are_no_cycle() -> None:
    """A conversation between two steps is drawn and not warned of."""
    graph, warnings = draw(
        said("note", "b", subject="x", parent_steps=["a"]),
        said("note", "a", subject="y", ref="e1"),
        said("note", "b", subject="z", ref="e2"),
    )
    assert warnings == []
    assert [n["step_id"] for n in graph["nodes"]] == ["a", "b"]
    assert edges(graph, "ref") == [("a", "b"), ("b", "a")]


def test_a_cycle_is_warned_of_with_its_path() -> None:
    """Every ring once, shortest path; what hangs on it still comes after it."""
    graph, warnings = draw(
        task("end", "c"),
        task("a", "c", "start"),
        task("b", "a"),
        task("c", "b"),
        task("self", "self"),
        task("start"),
    )
    assert warnings == [
        {"code": "cycle", "message": "steps wait for each other: a → b → c → a"},
        {"code": "cycle", "message": "steps wait for each other: self → self"},
    ]
    assert [n["step_id"] for n in graph["nodes"]] == ["self", "start", "a", "b", "c", "end"]
    assert ("self", "self") not in edges(graph, "parent_step")
    assert node(graph, "self")["parents"] == []
    assert ("c", "a") in edges(graph, "parent_step")


def test_a_chain_longer_than_the_recursion_limit_is_ordered() -> None:
    """Depth costs no stack."""
    graph, warnings = draw(*(task(f"s{n}", f"s{n + 1}") for n in range(3_000)))
    assert [n["step_id"] for n in graph["nodes"]] == [f"s{n}" for n in range(3_000, -1, -1)]
    assert warnings == []


STEPS = st.sampled_from(["a", "b", "c", "d", "root", None])
CONTENTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["task", "run", "claim", "note", "artifact", "standby", "retract"])},
    optional={
        "step": STEPS.filter(bool),
        "parent_steps": st.lists(STEPS.filter(bool), min_size=1, max_size=3, unique=True),
        "ref": st.integers(1, 12).map(lambda number: f"e{number}"),
        "status": st.sampled_from(["added", "dropped"]),
        "subject": st.sampled_from(["x", "y"]),
    },
)


@given(
    contents=st.lists(CONTENTS, max_size=12),
    retracted=st.sets(st.integers(1, 12).map(lambda number: f"e{number}")),
    held=st.sets(STEPS.filter(bool)),
)
def test_every_graph_is_whole(
    contents: list[dict[str, Any]], retracted: set[str], held: set[str]
) -> None:
    """No dangling or doubled edge, exact counts, each fact in one node, parents before children."""
    graph, warnings = draw(*contents, retracted=retracted, held_steps=held)
    place = {n["step_id"]: number for number, n in enumerate(graph["nodes"])}
    pairs = [(e["from_step"], e["to_step"], e["kind"]) for e in graph["edges"]]
    assert len(place) == len(graph["nodes"]) == sum(graph["counts"].values())
    assert len(set(pairs)) == len(pairs)
    assert all(source in place and target in place for source, target, _ in pairs)
    assert all(source != target for source, target, _ in pairs)
    ids = [event_id for n in graph["nodes"] for event_id in n["event_ids"]]
    assert len(set(ids)) == len(ids)
    assert retracted.isdisjoint(ids)
    for n in graph["nodes"]:
        assert {s for s, t, kind in pairs if t == n["step_id"] and kind == "parent_step"} == set(
            n["parents"]
        )
    if not warnings:
        assert all(place[s] < place[t] for s, t, kind in pairs if kind == "parent_step")


@pytest.mark.parametrize("kind", ["task", "run"])
def test_registration_alone_never_starts_a_step(kind: str) -> None:
    """`started_at` is the first fact that is work."""
    graph, _ = draw(said(kind, "a"), said("note", "a", subject="x"))
    assert node(graph, "a")["started_at"] == "2026-01-01T10:00:02.000Z"
