"""Views: enter, room, next, inbox, dag, wake-due, log, wait, lead, mission."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from contract_room import Doc, Room, World, ids

from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.fact import seal


def nxt(room: Room, tool: str, *words: str) -> Doc:
    return room.data("next", "--tool", tool, *words)


def add_task(room: Room, task: str, *words: str, run: str = "r") -> Doc:
    owns = () if "--owns" in words or "--read-only" in words else ("--owns", f"work/{task}")
    return room.data("task", "add", "--tool", "planner", "--run", run, "--id", task,
                     "--intent", f"do {task}", *owns, *words)  # fmt: skip


# --- P1: enter ------------------------------------------------------------------------------------


def test_enter_tells_what_concerns_the_watched_paths(room: Room) -> None:
    """P1: do_not: claims of others there; know: binding decisions; respond_to: handoffs to me."""
    given = room.by_daemon
    near = given.say("claim", "z", path="src/x", subject="near")
    given.say("claim", "z", path="docs")
    binding = given.say("decision", "z", subject="tabs", path="src")
    everywhere = given.say("decision", "z", subject="be kind")
    given.say("decision", "z", subject="maybe", path="src", status="advisory")
    given.say("decision", "z", subject="elsewhere", path="docs")
    asked = given.say("handoff", "z", subject="please", target="a")
    given.data("lead", "take", "--tool", "z")
    given.data("mission", "--tool", "z", "--set", "win")
    entered = room.data("enter", "--tool", "a", "--session-id", "s1", "--path", "src")
    assert {"tool", "session_id", "room", "cursor", "do", "do_not", "know", "respond_to",
            "attention", "lead", "mission"} <= set(entered)  # fmt: skip
    assert (entered["tool"], entered["session_id"]) == ("a", "s1")
    assert entered["room"] == str(room.root)
    assert ids(entered["do_not"]) == [near["event_id"]]
    assert ids(entered["know"]) == [binding["event_id"], everywhere["event_id"]]
    assert ids(entered["respond_to"]) == [asked["event_id"]]
    assert entered["lead"]["tool"] == "z"
    assert "win" in json.dumps(entered["mission"])


def test_enter_shows_what_is_new_since_the_last_enter(warm: Room) -> None:
    """P1: `attention` and the cursor."""
    given = warm.by_daemon
    given.say("note", "z", subject="old")
    first = given.data("enter", "--tool", "a")
    assert first["cursor"]["after"] == 2
    own = given.say("note", "a", subject="mine")
    news = [given.say("blocker", "z", subject="new"), given.say("risk", "z", subject="newer")]
    again = warm.data("enter", "--tool", "a")
    assert again["cursor"] == {"before": 2, "after": 6}
    shown = ids(again["attention"])
    assert shown == [fact["event_id"] for fact in news]
    assert own["event_id"] not in shown
    assert warm.data("enter", "--tool", "a")["attention"] == []


def test_all_that_is_new_is_told_or_said_to_be_more(warm: Room) -> None:
    """P1: everything new since the last enter, whatever paths are watched; what is cut off is said."""
    warm.happened(3, "enter", tool="a", paths=["src"])
    for n in range(52):
        warm.happened(2, "say", kind="note", tool="z", subject=str(n), paths=["docs"])
    answer = warm.ask("enter", "--tool", "a", "--path", "src")
    assert [one["subject"] for one in answer.data["attention"]] == [str(n) for n in range(2, 52)]
    assert answer.warned == ["more-news"]
    assert "--since 1 " in answer.envelope["warnings"][0]["message"]
    warm.say("note", "z", subject="elsewhere", path="docs")
    answer = warm.ask("enter", "--tool", "a", "--path", "src")
    assert [one["subject"] for one in answer.data["attention"]] == ["elsewhere"]
    assert answer.warned == []


def test_enter_says_what_to_go_on_with(warm: Room) -> None:
    """P1: own live claims are under `do`."""
    claim = warm.by_daemon.say("claim", "a", path="src")
    assert ids(warm.data("enter", "--tool", "a")["do"]) == [claim["event_id"]]


# --- P2: room -------------------------------------------------------------------------------------

LISTS = (
    "active_claims lapsed_claims active_blockers open_handoffs current_decisions open_risks standbys "
    "recent_artifacts tools waiting"
).split()


def test_the_room_has_every_list_and_totals_for_each(room: Room) -> None:
    """P2, O1: the keys, also in an empty room."""
    for _ in range(2):
        whole = room.data("room")
        assert {"head", "lead", "mission", "totals", *LISTS} <= set(whole)
        assert set(whole["totals"]) == set(LISTS)
        assert all(len(whole[name]) == whole["totals"][name] for name in LISTS)
        room.by_daemon.say("note", "a", subject="x")


def test_lists_are_capped_and_totals_exact(warm: Room) -> None:
    """P2: `--limit`, default 50 each, 0 = all."""

    def many() -> None:
        for n in range(53):
            warm.happened(1, "say", kind="risk", tool="a", subject=str(n))

    many()
    whole = warm.data("room")
    assert (len(whole["open_risks"]), whole["totals"]["open_risks"]) == (50, 53)
    assert len(warm.data("room", "--limit", "0")["open_risks"]) == 53
    few = warm.data("room", "--limit", "2")
    assert (len(few["open_risks"]), few["totals"]["open_risks"]) == (2, 53)
    text = warm.run("room", "--limit", "2").out
    assert "2 of 53" in text


def test_the_room_can_be_narrowed(warm: Room) -> None:
    """P2: `--tool --path* --run --since SEQ`; the totals are those of what was asked for."""
    one = warm.say("claim", "a", path="src/x", run="r1", step="s")
    two = warm.say("claim", "b", path="docs")
    for words, expected in (
        (["--tool", "a"], [one]),
        (["--path", "src"], [one]),
        (["--path", "docs/y", "--path", "src/x"], [one, two]),
        (["--path", "lib"], []),
        (["--run", "r1"], [one]),
        (["--since", str(one["seq"])], [two]),
        (["--since", "99"], []),
    ):
        whole = warm.data("room", *words)
        assert ids(whole["active_claims"]) == ids(expected), words
        assert whole["totals"]["active_claims"] == len(expected)


def test_tools_are_active_idle_standby_or_gone(warm: Room) -> None:
    """P2: `tools[]`: tool, role, tier, status, last_seen, claims."""
    warm.happened(45, "enter", tool="idle", role="x", tier="fast")
    warm.happened(44, "enter", tool="gone")
    warm.happened(43, "leave", tool="gone")
    given = warm.by_daemon
    for tool in ("active", "standby"):
        given.data("enter", "--tool", tool)
    given.say("standby", "standby")
    given.say("claim", "active", path=["a", "b"])
    given.say("claim", "active", path="c")
    rows = {row["tool"]: row for row in warm.data("room")["tools"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        name: name for name in ("active", "idle", "standby", "gone")
    }
    assert rows["active"]["claims"] == 2
    assert (rows["idle"]["role"], rows["idle"]["tier"]) == ("x", "fast")
    assert all(row["last_seen"] for row in rows.values())


# --- P3: next -------------------------------------------------------------------------------------


def test_next_is_one_action_with_its_contract(room: Room) -> None:
    """P3: the keys, for work and for nothing to do."""
    wanted = {"action", "score", "reason", "actionable", "requires_human", "stop_reason",
              "suggested_claims", "suggested_commands", "completion", "alternatives"}  # fmt: skip
    idle = nxt(room, "a")
    assert wanted <= set(idle)
    assert (idle["action"], idle["actionable"]) == ("wait", False)
    assert "fact" not in idle
    assert {"kind", "requires_evidence", "release"} <= set(idle["completion"])
    claim = room.by_daemon.say("claim", "a", path="src")
    busy = nxt(room, "a")
    assert wanted | {"fact"} <= set(busy)
    assert (busy["action"], busy["actionable"]) == ("continue_claim", True)
    assert busy["fact"]["event_id"] == claim["event_id"]


def all_at_once(room: Room) -> dict[str, Doc]:
    """Something of every rank for tool `a`, the lowest rank first."""
    facts = {"review_artifact": room.say("artifact", "z", subject="see", target="a")}
    facts["take_task"] = add_task(room, "t1")["fact"]
    facts["continue_claim"] = room.say("claim", "a", path="mine")
    facts["resume_standby"] = room.say("standby", "a", until="free:nowhere")
    facts["respond_handoff"] = room.say("handoff", "z", subject="do", target="a")
    return facts


def test_actions_come_in_the_order_of_their_rank(warm: Room) -> None:
    """P3: respond_handoff > resume > continue_claim > take_task > review_artifact > wait."""
    warm.data("enter", "--tool", "a")
    facts = all_at_once(warm)
    answers: dict[str, Callable[[Doc], Doc]] = {
        "respond_handoff": lambda f: warm.say("receipt", "a", ref=f["event_id"], state="done"),
        "resume_standby": lambda f: warm.say("wake", "a", ref_standby=f["event_id"]),
        "continue_claim": lambda f: warm.say("release", "a", ref=f["event_id"]),
        "take_task": lambda _: warm.data("task", "take", "--tool", "other", "--run", "r"),
        "review_artifact": lambda f: warm.say("receipt", "a", ref=f["event_id"], state="done"),
    }
    order = []
    scores = []
    while (now := nxt(warm, "a"))["action"] != "wait":
        order.append(now["action"])
        scores.append(now["score"])
        assert now["fact"]["event_id"] == facts[now["action"]]["event_id"]
        rest = [one["action"] for one in now["alternatives"]]
        assert now["action"] not in rest
        answers[now["action"]](now["fact"])
    assert order == list(answers)
    assert scores == sorted(scores, reverse=True)


def test_the_oldest_comes_first_and_a_wish_for_an_answer_before_it(warm: Room) -> None:
    """P3: those with `--ack-within` and no receipt first; oldest first among equals."""
    first = warm.say("handoff", "z", subject="1", target="a")
    warm.say("handoff", "z", subject="2", target="a")
    urgent = warm.say("handoff", "z", subject="3", target="a", ack_within="10m")
    warm.say("handoff", "z", subject="4", target="a", ack_within="1m")
    assert nxt(warm, "a")["fact"]["event_id"] == urgent["event_id"]
    for ref in ("3", "4"):
        warm.say("receipt", "a", ref=ref, state="acked")
    assert nxt(warm, "a")["fact"]["event_id"] == first["event_id"]


def test_a_resolved_blocker_of_mine_is_to_be_resumed_until_i_speak(warm: Room) -> None:
    """P3 `resume_blocker`: my own blocker was resolved and I have said nothing since."""
    given = warm.by_daemon
    blocker = given.say("blocker", "a", subject="stuck")
    assert nxt(warm, "a")["action"] == "wait"
    given.say("resolve", "z", ref=blocker["event_id"])
    now = nxt(warm, "a")
    assert now["action"] == "resume_blocker"
    assert blocker["event_id"] in json.dumps(now)
    assert nxt(given, "z")["action"] == "wait"
    given.say("note", "a", subject="going on")
    assert nxt(warm, "a")["action"] == "wait"


def test_tasks_are_ready_when_what_they_need_has_landed_and_nobody_holds_them(warm: Room) -> None:
    """P3 `take_task`: lower `--priority` first, then the oldest; only of the run that is named."""
    add_task(warm, "base")
    add_task(warm, "late", "--depends-on", "base", "--priority", "1")
    add_task(warm, "plain")
    add_task(warm, "urgent", "--priority", "5")
    add_task(warm, "other", "--priority", "1", run="r2")

    def step(*words: str) -> str | None:
        now = nxt(warm, "a", *words)
        return now["fact"]["step"] if now["action"] == "take_task" else None

    assert step("--run", "r") == "urgent"
    assert step() == "other"
    taken = warm.data("task", "take", "--tool", "b", "--run", "r")["fact"]
    assert taken["step"] == "urgent"
    assert step("--run", "r") == "base"
    warm.say("artifact", "c", subject="made", run="r", step="base")
    assert step("--run", "r") == "late"
    assert step("--run", "nix") is None


def test_the_suggested_command_of_a_task_takes_it(room: Room) -> None:
    """P3, O5: a run with blanks and quotes in its name."""
    add_task(room.by_daemon, "t", run="it's a run; $(id)")
    now = nxt(room, "a")
    assert now["action"] == "take_task"
    done = room.sh(f"{now['suggested_commands'][0]} --json")
    assert done.code == 0, done
    assert done.data["fact"]["step"] == "t"
    assert [one["run"] for one in room.data("room")["active_claims"]] == ["it's a run; $(id)"]


HUMAN: list[tuple[str, str, Doc, bool]] = [
    ("mine and critical", "a", {"severity": "critical", "path": "far"}, True),
    ("mine and for a person", "a", {"target": "human", "path": "far"}, True),
    ("mine and plain", "a", {"severity": "high", "path": "far"}, False),
    ("on my claim", "z", {"severity": "critical", "path": "src"}, True),
    ("of my step", "z", {"target": "human", "run": "r", "step": "s"}, True),
    ("of another step", "z", {"target": "human", "run": "r", "step": "t"}, False),
    ("elsewhere", "z", {"severity": "critical", "path": "far"}, False),
    ("unscoped", "z", {"severity": "critical"}, True),
    ("unscoped and plain", "z", {"severity": "high"}, False),
]


@pytest.mark.parametrize(
    ("who", "fields", "human"), [h[1:] for h in HUMAN], ids=[h[0] for h in HUMAN]
)
def test_a_person_is_needed_when_such_a_blocker_concerns_the_tool(
    warm: Room, who: str, fields: Doc, human: bool
) -> None:
    """P3: `requires_human` true and `actionable` false; over when the blocker is resolved."""
    warm.say("claim", "a", path="src/x", run="r", step="s")
    blocker = warm.say("blocker", who, subject="decide!", **fields)
    now = nxt(warm, "a")
    assert (now["requires_human"], now["actionable"]) == (human, not human)
    assert (now["stop_reason"] is not None) is human
    warm.say("resolve", "human", ref=blocker["event_id"])
    assert nxt(warm, "a")["requires_human"] is False


# --- P4: inbox ------------------------------------------------------------------------------------


def test_the_inbox_has_open_handoffs_oldest_first(room: Room) -> None:
    """P4: each a fact plus receipt, age_s, overdue; only what closes a handoff removes one."""
    old = room.happened(45, "say", kind="handoff", tool="z", target="a", subject="old",
                        ack_within="10m")["fact"]  # fmt: skip
    given = room.by_daemon
    new = given.say("handoff", "z", target="a", subject="new", ack_within="10m")
    for_all = given.say("handoff", "z", target="all", subject="all")
    given.say("handoff", "z", target="b", subject="not mine")
    inbox = room.data("inbox", "--tool", "a")
    assert (inbox["tool"], inbox["total"]) == ("a", 3)
    assert ids(inbox["items"]) == [old["event_id"], new["event_id"], for_all["event_id"]]
    told = [(one["overdue"], one["receipt"]) for one in inbox["items"]]
    assert told == [(True, None), (False, None), (False, None)]
    assert inbox["items"][0]["age_s"] == pytest.approx(45 * 60, abs=30)
    given.say("receipt", "a", ref=old["event_id"], state="acked")
    first = room.data("inbox", "--tool", "a")["items"][0]
    assert (first["overdue"], first["receipt"]) == (False, "acked")


def test_an_overdue_handoff_comes_back_to_its_sender(warm: Room) -> None:
    """P4: overdue ones appear in the sender's `next`."""
    fact = warm.happened(45, "say", kind="handoff", tool="z", target="a", subject="x",
                         ack_within="10m")["fact"]  # fmt: skip
    assert fact["event_id"] in json.dumps(nxt(warm, "z"))
    assert "a" in nxt(warm, "z")["reason"]
    warm.by_daemon.say("receipt", "a", ref=fact["event_id"], state="acked")
    assert fact["event_id"] not in json.dumps(nxt(warm, "z"))


def test_sent_lists_who_answered_and_when_the_target_was_last_seen(room: Room) -> None:
    """P4: `--sent`."""
    given = room.by_daemon
    given.data("enter", "--tool", "a")
    done = given.say("handoff", "z", target="a", subject="done")
    waits = given.say("handoff", "z", target="a", subject="waits")
    unseen = given.say("handoff", "z", target="nobody", subject="unseen")
    given.say("receipt", "a", ref=done["event_id"], state="done", reason="ok")
    sent = room.data("inbox", "--tool", "z", "--sent")
    assert ids(sent["items"]) == [done["event_id"], waits["event_id"], unseen["event_id"]]
    first, second, third = sent["items"]
    assert (first["open"], first["receipt"], first["answered_by"]) == (False, "done", ["a"])
    assert (second["open"], second["receipt"], second["answered_by"]) == (True, None, [])
    assert first["target_last_seen"] == second["target_last_seen"]
    assert third["target_last_seen"] is None
    text = room.run("inbox", "--tool", "z", "--sent").out
    for told in ("done", "waits", "unseen", "nobody"):
        assert told in text


def test_inbox_lists_are_capped_on_demand_with_exact_totals(warm: Room) -> None:
    """P4: `--limit` shortens the items and not the total."""
    for n in range(4):
        warm.say("handoff", "z", target="a", subject=str(n))
    for words in (["--tool", "a"], ["--tool", "z", "--sent"]):
        inbox = warm.data("inbox", *words, "--limit", "2")
        assert (len(inbox["items"]), inbox["total"]) == (2, 4), words
        assert len(warm.data("inbox", *words, "--limit", "0")["items"]) == 4


# --- P5: dag --------------------------------------------------------------------------------------


def dag(room: Room, run: str = "r") -> dict[str, Doc]:
    return {node["step_id"]: node for node in room.data("dag", "--run", run)["nodes"]}


def test_a_run_is_drawn_with_its_steps_their_status_and_their_edges(room: Room) -> None:
    """P5: the keys, planned > in_flight > landed, edges from parent to step."""
    given = room.by_daemon
    add_task(given, "b", "--depends-on", "a")
    claim = given.say("claim", "t", run="r", step="a", path="src", subject="one")
    made = given.say(
        "artifact", "t", run="r", step="c", subject="made", evidence="e", parent_step="a"
    )
    whole = room.data("dag", "--run", "r")
    assert {"run_id", "nodes", "edges", "counts", "facts_scanned"} <= set(whole)
    assert whole["run_id"] == "r"
    nodes = {node["step_id"]: node for node in whole["nodes"]}
    for node in nodes.values():
        assert {"step_id", "status", "detail", "tool", "event_ids", "subjects", "parents",
                "started_at", "landed_at", "evidence"} <= set(node)  # fmt: skip
    assert {step: node["status"] for step, node in nodes.items()} == {
        "a": "in_flight", "b": "planned", "c": "landed",
    }  # fmt: skip
    assert whole["counts"] == {"planned": 1, "in_flight": 1, "stalled": 0, "landed": 1}
    edges = {(edge["from_step"], edge["to_step"], edge["kind"]) for edge in whole["edges"]}
    assert edges == {("a", "b", "parent_step"), ("a", "c", "parent_step")}
    assert (nodes["a"]["tool"], nodes["a"]["event_ids"]) == ("t", [claim["event_id"]])
    assert (nodes["c"]["evidence"], nodes["c"]["landed_at"]) == (["e"], made["created_at"])
    assert nodes["b"]["parents"] == ["a"]


def test_refs_between_steps_are_edges_and_unknown_parents_are_planned(warm: Room) -> None:
    """P5: no edge dangles; facts without a step gather in `root`."""
    one = warm.say("artifact", "t", run="r", step="one", subject="x", parent_step="nowhere")
    warm.say("note", "t", run="r", step="two", subject="see", ref=one["event_id"])
    warm.say("note", "t", run="r", subject="about the run")
    whole = warm.data("dag", "--run", "r")
    nodes = {node["step_id"]: node for node in whole["nodes"]}
    assert nodes["nowhere"]["status"] == "planned"
    assert "root" in nodes
    edges = {(edge["from_step"], edge["to_step"], edge["kind"]) for edge in whole["edges"]}
    assert edges == {("nowhere", "one", "parent_step"), ("one", "two", "ref")}
    assert {end for edge in edges for end in edge[:2]} <= set(nodes)


def test_an_artifact_that_was_retracted_lands_nothing(warm: Room) -> None:
    """P5: `landed` means: has an artifact that was not retracted."""
    made = warm.by_daemon.say("artifact", "t", run="r", step="s", subject="x")
    assert dag(warm)["s"]["status"] == "landed"
    warm.by_daemon.say("retract", "t", ref=made["event_id"], reason="wrong")
    assert dag(warm).get("s", {"status": "none"})["status"] != "landed"


STALLED = ["standby", "blocker of the step", "blocker on its path", "lapsed", "released"]


@pytest.mark.parametrize("how", STALLED)
def test_a_step_is_stalled_for_a_reason_and_goes_on_when_that_is_over(warm: Room, how: str) -> None:
    """P5: its latest standby is due and unanswered, an open blocker names it or its claim's path,
    its claim lapsed or was released without an artifact; `detail` says which."""
    if how == "lapsed":
        warm.happened(45, "say", kind="claim", tool="t", run="r", step="s", paths=["src"])
        cure = ("claim", "u", {"run": "r", "step": "s", "path": "src"})
    elif how == "released":
        warm.say("claim", "t", run="r", step="s", path="src")
        warm.say("release", "t", path="src")
        cure = ("artifact", "t", {"run": "r", "step": "s", "subject": "x"})
    else:
        warm.data("enter", "--tool", "t")
        warm.say("claim", "t", run="r", step="s", path="src")
        assert dag(warm)["s"]["status"] == "in_flight"
        if how == "standby":
            fact = warm.say("standby", "t", run="r", step="s", until="free:nowhere")
            cure = ("wake", "t", {"ref_standby": fact["event_id"]})
        else:
            where = {"run": "r", "step": "s"} if "step" in how else {"path": "src/x"}
            fact = warm.say("blocker", "z", subject="stuck", **where)
            cure = ("resolve", "z", {"ref": fact["event_id"]})
    node = dag(warm)["s"]
    assert node["status"] == "stalled", node
    word = "blocker" if "blocker" in how else how
    assert word[:5] in node["detail"].replace("blocked", "blocker"), node
    assert "stalled" in warm.run("dag", "--run", "r").out
    kind, tool, fields = cure
    warm.say(kind, tool, **fields)
    assert dag(warm)["s"]["status"] in ("in_flight", "landed")


@pytest.mark.parametrize("paths", [{"path": "src"}, {"resource": "port:1"}])
def test_a_lapsed_claim_that_was_taken_over_stalls_its_step_as_lapsed(
    warm: Room, paths: dict[str, str]
) -> None:
    """P5: `detail` says which; nobody released anything."""
    step = {"run": "r", "step": "s"}
    held = {f"{name}s": [value] for name, value in paths.items()}
    warm.happened(45, "say", kind="claim", tool="t", **step, **held)
    warm.say("claim", "u", **paths)
    node = dag(warm)["s"]
    assert (node["status"], node["detail"]) == ("stalled", "claim lapsed and was taken over")


def test_one_old_wake_does_not_hide_a_later_stall(warm: Room) -> None:
    """P5: the latest standby counts."""
    warm.data("enter", "--tool", "t")
    warm.say("claim", "t", run="r", step="s", path="src")
    old = warm.say("standby", "t", run="r", step="s", until="free:x")
    warm.say("wake", "t", ref_standby=old["event_id"])
    assert dag(warm)["s"]["status"] == "in_flight"
    warm.say("standby", "t", run="r", step="s", until="free:x")
    assert dag(warm)["s"]["status"] == "stalled"


def test_a_cycle_is_reported_and_drawn_all_the_same(warm: Room) -> None:
    """P5: in `warnings`."""
    warm.say("note", "t", run="r", step="a", subject="x", parent_step="b")
    warm.say("note", "t", run="r", step="b", subject="x", parent_step="a")
    answer = warm.ask("dag", "--run", "r")
    assert any(
        "a" in one["message"] and "b" in one["message"] for one in answer.envelope["warnings"]
    )
    assert any("cycle" in one["code"] for one in answer.envelope["warnings"])
    for form in ("text", "mermaid", "dot", "svg"):
        assert warm.run("dag", "--run", "r", "--format", form).code == 0


def test_an_unknown_run_is_an_empty_graph(warm: Room) -> None:
    """P5: exit 0, in every format."""
    assert warm.data("dag", "--run", "nix")["nodes"] == []
    for form in ("text", "json", "mermaid", "dot", "svg"):
        assert warm.by_daemon.run("dag", "--run", "nix", "--format", form).code == 0


def test_the_formats_are_what_they_say(warm: Room) -> None:
    """P5: `--format json|text|mermaid|dot|svg`; names are data in each of them."""
    evil = 'x"]; a --> b <script>'
    warm.by_daemon.say("artifact", "t", run="r", step=evil, subject=evil, parent_step="base")

    def draw(form: str) -> str:
        answer = warm.run("dag", "--run", "r", "--format", form)
        assert answer.code == 0
        return answer.out

    drawn = json.loads(draw("json"))
    assert [node["step_id"] for node in drawn.get("nodes", drawn.get("data", {}).get("dag", {}).get(
        "nodes", []))]  # fmt: skip
    svg = ElementTree.fromstring(draw("svg"))
    assert svg.tag.endswith("svg")
    assert not [one for one in svg.iter() if "script" in one.tag]
    assert re.match(r"(flowchart|graph) ", draw("mermaid"))
    assert "<script>" not in draw("mermaid")
    dot = draw("dot")
    assert dot.startswith("digraph")
    assert dot.count("{") == dot.count("}")
    text = draw("text")
    assert "base" in text
    assert "landed" in text


# --- P6: wake-due -----------------------------------------------------------------------------------


def test_a_standby_is_due_when_its_time_has_passed(room: Room) -> None:
    """P6: the entry's keys; the command is built from the tool id alone."""
    room.happened(45, "enter", tool="a:1")
    fact = room.happened(44, "say", kind="standby", tool="a:1", wake_after="+30m", run="r", step="s",
                         reason="rm -rf /; $(id)")["fact"]  # fmt: skip
    room.happened(44, "say", kind="standby", tool="a:1", wake_after="+2h", run="r", step="t")
    (due,) = room.data("wake-due")["due"]
    assert due == {
        "standby_event_id": fact["event_id"], "owner": "a:1", "run": "r", "step": "s",
        "reason": "rm -rf /; $(id)", "wake_after": fact["wake_after"], "cause": "time",
        "suggested_command": "rally next --tool a:1 --json",
    }  # fmt: skip
    done = room.sh(due["suggested_command"])
    assert done.data["action"] == "resume_standby"
    assert room.data("wake-due", "--tool", "b")["due"] == []
    assert len(room.data("wake-due", "--tool", "a:1")["due"]) == 1
    assert room.head() == 3


def test_only_tools_that_entered_and_have_not_left_are_woken(warm: Room) -> None:
    """P6: the trust gate: the standby itself makes nobody known."""
    given = warm.by_daemon
    given.say("standby", "a", until="free:nowhere")
    assert warm.data("wake-due")["due"] == []
    given.data("enter", "--tool", "a")
    assert [one["owner"] for one in warm.data("wake-due")["due"]] == ["a"]
    given.data("leave", "--tool", "a")
    assert warm.data("wake-due")["due"] == []


async def test_untrusted_facts_are_shown_and_block_wake_or_free_nothing(world: World) -> None:
    """P6, T3: facts marked `trust: untrusted`, as an import of another machine's writes them."""
    room = world.room()
    room.data("enter", "--tool", "a")
    untrusted: list[Doc] = [
        {"kind": "enter", "tool": "m"},
        {"kind": "standby", "tool": "m", "until": ["free:nowhere"]},
        {"kind": "standby", "tool": "a", "until": ["free:nowhere"]},
        {"kind": "claim", "tool": "m", "paths": ["src"], "mode": "exclusive", "ttl": "1d"},
        {"kind": "blocker", "tool": "m", "subject": "stop", "paths": ["src"]},
        {"kind": "blocker", "tool": "m", "subject": "person", "severity": "critical"},
        {"kind": "lead", "tool": "m", "status": "taken"},
    ]
    ledger = await SqliteLedger.open(str(room.root / ".rally" / "ledger.db"), create=False)
    stamp = (await ledger.tail(0, 1))[0].doc["created_at"]
    for n, content in enumerate(untrusted):
        head = await ledger.head()
        whole = {"event_id": f"{content['kind']}-imported{n:04}", "created_at": stamp,
                 "origin": "elsewhere", "trust": "untrusted", **content}  # fmt: skip
        await ledger.append([seal(whole, seq=head.seq + 1, prev=head.hash)])
    await ledger.close()
    for asked in (room.by_daemon, room.directly):
        assert asked.data("wake-due")["due"] == []
        check = asked.check("a", "src/x", strict=True)
        assert check["allow"] is True
        assert nxt(asked, "a")["requires_human"] is False
        assert asked.data("lead", "show")["lead"] is None
        assert asked.data("log", "--limit", "0")["head"] >= 8
    assert "elsewhere" in room.run("show", "claim-imported0003").out
    room.say("claim", "a", path="src")
    assert room.data("verify")["ok"] is True


# --- P7: log, show, whoami, status ------------------------------------------------------------------


def test_the_log_answers_the_newest_facts_in_their_order(warm: Room) -> None:
    """P7: `--limit`, default the newest ones, 0 = all."""
    for n in range(4):
        warm.by_daemon.say("note", "a", subject=str(n))
    assert [fact["seq"] for fact in warm.data("log", "--limit", "2")["facts"]] == [3, 4]
    assert [fact["seq"] for fact in warm.data("log", "--limit", "0")["facts"]] == [1, 2, 3, 4]


FILTERS = [
    (["--tool", "a"], [1, 3]),
    (["--kind", "claim"], [2]),
    (["--kind", "claim", "--kind", "blocker"], [2, 3]),
    (["--run", "r"], [3]),
    (["--path", "src/deep/x"], [2, 3]),
    (["--path", "docs"], [4]),
    (["--since", "2"], [3, 4]),
    (["--until", "2"], [1, 2]),
    (["--since", "1", "--until", "3"], [2, 3]),
    (["--grep", "NEEDLE"], [1, 4]),
    (["--grep", "needle", "--tool", "b"], [4]),
    (["--grep", "ÜBER"], [3]),
    (["--grep", "%"], []),
    (["--tool", "nobody"], []),
]


@pytest.fixture(scope="module")
def history(world: World) -> Room:
    room = world.room()
    room.say("note", "a", subject="a needle here")
    room.say("claim", "b", path="src/deep")
    room.say("blocker", "a", subject="über", run="r", path="src")
    room.say("lesson", "b", subject="x", summary="line\nand a Needle there", path="docs/*.md")
    return room


@pytest.mark.parametrize(("words", "expected"), FILTERS)
def test_the_log_can_be_narrowed(history: Room, words: list[str], expected: list[int]) -> None:
    """P7: `--tool --kind* --run --path --since SEQ --until --grep TEXT`; limit counts matches."""
    assert [fact["seq"] for fact in history.data("log", *words)["facts"]] == expected
    newest = history.data("log", *words, "--limit", "1")["facts"]
    assert [fact["seq"] for fact in newest] == expected[-1:]
    text = history.run("log", *words)
    assert text.code == 0
    assert [int(line.split()[0]) for line in text.out.splitlines() if line[:1] == " "] == expected


def test_one_fact_is_shown_by_id_or_seq_with_what_refers_to_it(room: Room) -> None:
    """P7: `show <event_id|seq>`."""
    blocker = room.by_daemon.say("blocker", "a", subject="stuck")
    resolve = room.by_daemon.say("resolve", "b", ref=blocker["event_id"])
    for name in (blocker["event_id"], "1"):
        shown = room.data("show", name)
        assert shown["fact"] == blocker
        assert resolve["event_id"] in json.dumps(shown)
    for wrong in ("0", "3", "-1", "99999999999999999999", "blocker", blocker["event_id"] + "x"):
        assert room.by_daemon.run("show", "--json", "--", wrong).code == 2


def test_whoami_tells_how_the_room_sees_the_caller(room: Room) -> None:
    """P7: from the flag, or from the environment."""
    room.by_daemon.data("enter", "--tool", "a", "--role", "r")
    room.by_daemon.say("claim", "a", path="src")
    told = room.data("whoami", env={"RALLY_TOOL": "a", "RALLY_SESSION_ID": "s"})
    assert (told["tool"], told["session_id"], told["entered"], told["role"]) == (
        "a",
        "s",
        True,
        "r",
    )
    assert len(told["claims"]) == 1
    assert room.data("whoami", "--tool", "b")["entered"] is False


def test_status_has_all_rooms_of_the_user(room: Room, world: World) -> None:
    """P7: `{rooms:[{room, head, claims, blockers, due}]}`."""
    given = room.by_daemon
    given.data("enter", "--tool", "a")
    given.say("claim", "a", path="src")
    given.say("blocker", "a", subject="x")
    given.say("standby", "a", until="free:nowhere")
    other = world.room()
    other.say("note", "a", subject="x")
    rows = {row["room"]: row for row in room.data("status")["rooms"]}
    mine = rows[str(room.root)]
    assert [mine[name] for name in ("head", "claims", "blockers", "due")] == [4, 1, 1, 1]
    assert rows[str(other.root)]["head"] == 1
    assert str(room.root) in room.run("status").out


# --- P8: wait ---------------------------------------------------------------------------------------


def test_a_condition_that_holds_is_answered_at_once(room: Room) -> None:
    """P8: exit 0; each condition of S4."""
    given = room.by_daemon
    given.say("artifact", "z", subject="x", run="r", step="s")
    blocker = given.say("blocker", "z", subject="x")
    given.say("resolve", "z", ref=blocker["event_id"])
    started = time.monotonic()
    told = room.data("wait", "--tool", "a", "--run", "r", "--until", "step:s", "--until",
                     f"fact:{blocker['event_id']}", "--until", "free:src")  # fmt: skip
    assert time.monotonic() - started < 5
    assert [one["holds"] for one in told["conditions"]] == [True] * 3


CONDITIONS = ["step", "fact: resolved", "fact: receipted", "fact: released", "free"]


@pytest.mark.parametrize("what", CONDITIONS)
def test_a_wait_returns_when_the_condition_comes_true(warm: Room, what: str) -> None:
    """P8, S4: it blocks on the daemon."""
    if what == "step":
        until, end = "step:s", ("artifact", "z", {"subject": "x", "run": "r", "step": "s"})
    elif what == "fact: resolved":
        fact = warm.say("blocker", "z", subject="x")
        until, end = f"fact:{fact['event_id']}", ("resolve", "z", {"ref": fact["event_id"]})
    elif what == "fact: receipted":
        fact = warm.say("handoff", "a", subject="x", target="z")
        answer = {"ref": fact["event_id"], "state": "acked"}
        until, end = f"fact:{fact['event_id']}", ("receipt", "z", answer)
    else:
        fact = warm.say("claim", "z", path="src")
        condition = "free:src/x" if what == "free" else f"fact:{fact['event_id']}"
        until, end = condition, ("release", "z", {"path": "src"})
    began = warm.start("wait", "--tool", "a", "--run", "r", "--until", until, "--json")
    kind, tool, fields = end
    warm.say(kind, tool, **fields)
    out, err = began.communicate(timeout=30)
    assert (began.returncode, err) == (0, b"")
    assert json.loads(out)["data"]["wait"]["conditions"] == [{"condition": until, "holds": True}]


def test_a_wait_in_direct_mode_returns_too(warm: Room) -> None:
    """P8, R4: without a daemon the same answer."""
    warm.say("claim", "z", path="src")
    began = warm.directly.start("wait", "--tool", "a", "--until", "free:src", "--json")
    warm.say("release", "z", path="src")
    out, _ = began.communicate(timeout=30)
    assert (began.returncode, json.loads(out)["ok"]) == (0, True)


def test_a_lease_that_lapses_makes_a_path_free(room: Room) -> None:
    """P8, C6: nobody has to say anything."""
    room.by_daemon.say("claim", "z", path="src", ttl="1s")
    assert room.data("wait", "--tool", "a", "--until", "free:src", "--timeout", "20s")


def test_all_conditions_must_hold_or_any(warm: Room) -> None:
    """P8: `--any`; at the end of the time exit 3 `timed-out`, saying what did not hold."""
    warm.say("claim", "z", path="src")
    words = ["--tool", "a", "--until", "free:src", "--until", "free:docs", "--timeout", "1s"]
    error = warm.refused(3, "timed-out", "wait", *words)
    assert "free:src" in error["message"]
    assert "free:docs" not in error["message"]
    assert warm.data("wait", *words, "--any")


def test_own_claims_do_not_make_a_path_unfree(warm: Room) -> None:
    """S4 `free:`: nobody *else* claims it."""
    warm.say("claim", "a", path="src")
    assert warm.data("wait", "--tool", "a", "--until", "free:src", "--timeout", "1s")


def test_an_interrupted_wait_ends_with_130(warm: Room) -> None:
    """P8, O2, O3: one object, as ever."""
    warm.say("claim", "z", path="src")
    began = warm.start("wait", "--tool", "a", "--until", "free:src", "--json")
    while warm.data("daemon", "status")["clients"] < 2:
        assert began.poll() is None
    began.send_signal(signal.SIGINT)
    out, _ = began.communicate(timeout=20)
    assert began.returncode == 130
    assert json.loads(out)["error"]["code"] == "interrupted"


@pytest.mark.parametrize(
    "until", ["", "x", "step:", "fact:", "free:", "moon:full", "free:../x", "fact:nix", "step:s"]
)
def test_a_condition_that_can_never_hold_is_a_usage_error(warm: Room, until: str) -> None:
    """S4, T4: exit 2 (a step needs its run), for wait and standby alike."""
    warm.say("note", "z", subject="x")
    for words in (["wait", "--tool", "a", "--timeout", "1s"], ["say", "standby", "--tool", "a"]):
        answer = warm.run(*words, f"--until={until}", "--json")
        assert answer.code == 2 or (words[0] == "say" and until == ""), (words, answer)


# --- P10: lead and mission ------------------------------------------------------------------------


def test_the_seat_is_taken_given_and_dropped(warm: Room) -> None:
    """P10: one seat; `take` only when it is free, else 3 `seat-taken`; give and drop by its holder."""
    given = warm.by_daemon
    assert warm.data("lead", "show")["lead"] is None
    assert warm.data("lead", "take", "--tool", "a")["lead"]["tool"] == "a"
    error = warm.refused(3, "seat-taken", "lead", "take", "--tool", "b")
    assert "a" in error["message"]
    warm.refused(3, "not-lead", "lead", "give", "--tool", "b", "--to", "b")
    given.refused(3, "not-lead", "lead", "drop", "--tool", "b")
    assert warm.data("lead", "give", "--tool", "a", "--to", "b")["lead"]["tool"] == "b"
    given.refused(3, "seat-taken", "lead", "take", "--tool", "a")
    assert given.data("room")["lead"]["tool"] == "b"
    assert warm.data("lead", "drop", "--tool", "b")["lead"] is None
    assert [fact["kind"] for fact in warm.facts()] == ["lead"] * 3


@pytest.mark.parametrize(("silent_min", "free"), [(115, False), (125, True)])
def test_a_silent_lead_loses_the_seat_after_two_hours(
    warm: Room, silent_min: int, free: bool
) -> None:
    """P10: silent for 2 h; saying anything keeps it."""
    warm.happened(300, "lead", action="take", tool="a")
    warm.happened(silent_min, "say", kind="note", tool="a", subject="still here")
    answer = warm.run("lead", "take", "--tool", "b", "--json")
    assert answer.code == (0 if free else 3)
    assert warm.data("lead", "show")["lead"]["tool"] == ("b" if free else "a")


def test_a_lead_that_left_makes_room(warm: Room) -> None:
    """P10: its holder has left."""
    warm.by_daemon.data("enter", "--tool", "a")
    warm.by_daemon.data("lead", "take", "--tool", "a")
    warm.by_daemon.data("leave", "--tool", "a")
    assert warm.data("lead", "take", "--tool", "b")["lead"]["tool"] == "b"


def test_of_many_who_take_the_seat_one_gets_it(warm: Room) -> None:
    """P10: one seat per room."""
    began = [
        (warm if n % 2 else warm.directly).start("lead", "take", "--tool", f"t{n}", "--json")
        for n in range(6)
    ]
    ended = sorted((one.communicate(timeout=30)[0] and one.returncode) for one in began)
    assert ended == [0] + [3] * 5


def test_the_mission_is_set_recorded_and_shown(room: Room) -> None:
    """P10: `mission [--set TEXT]`."""
    assert room.data("mission")["mission"] is None
    room.data("mission", "--tool", "a", "--set", "ship 'it'")
    room.by_daemon.data("mission", "--tool", "b", "--set", "ship it twice")
    assert "ship it twice" in json.dumps(room.data("mission")["mission"])
    assert "ship it twice" in json.dumps(room.by_daemon.data("room")["mission"])
    assert "ship it twice" in room.run("room").out
    assert [fact["kind"] for fact in room.facts()] == ["mission"] * 2


def test_nothing_else_depends_on_the_lead(warm: Room) -> None:
    """P10: the lead claims, releases and answers like everybody."""
    warm.data("lead", "take", "--tool", "boss")
    claim = warm.say("claim", "a", path="src")
    warm.no_say(3, "claim-conflict", "claim", "boss", path="src")
    warm.no_say(3, "not-owner", "release", "boss", ref=claim["event_id"])
    handoff = warm.say("handoff", "a", subject="x", target="b")
    warm.no_say(3, "not-target", "receipt", "boss", ref=handoff["event_id"], state="done")
    warm.no_say(3, "not-owner", "retract", "boss", ref=claim["event_id"], reason="x")
    warm.no_say(3, "not-target", "resolve", "boss", ref=handoff["event_id"])


def test_answers_do_not_grow_with_history(warm: Room) -> None:
    """P9: what is closed is gone from the live views, whatever came before."""
    for n in range(30):
        claim = warm.say("claim", "a", path=f"p{n}")
        warm.say("release", "a", ref=claim["event_id"])
    short = warm.ask("room").out
    assert warm.data("room")["totals"]["active_claims"] == 0
    assert len(short) < 2500
