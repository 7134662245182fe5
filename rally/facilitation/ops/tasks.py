"""task add, list, take, done, drop (contract W5): the atomic core of a fan-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from rally.facilitation.decide import tasks as deciding
from rally.facilitation.decide.context import Context
from rally.facilitation.intake import TTL_MS_MAX, TTL_MS_MIN, Asked, admit
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops import registration
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.ops.dag import dag_of_run
from rally.facilitation.ops.registration import run_of
from rally.facilitation.packets import Hold, packet
from rally.facilitation.state.past import Wants
from rally.facilitation.state.runs import Run
from rally.facilitation.task_facts import (
    already_landed,
    assignment_of,
    check_task_id,
    goal_of,
    show_task,
)
from rally.model.durations import parse_duration_ms
from rally.model.errors import RallyError, Refused, UsageError
from rally.model.fact import Fact

Rows = list[dict[str, Any]]
# A row is a fact and little more, so a page of so much and one row fit into a frame.
_PAGE_BYTES = 1024 * 1024


async def task(ask: Ask) -> Reply:
    """The actions on tasks.

    Raises:
        UsageError: a wrong or missing value.
        Refused: `task-exists`, `run-exists`, `nothing-ready`, `not-owner`, `already-closed`.
    """
    action = str(ask.params.get("action", ""))
    if action not in _ACTIONS:
        raise UsageError(
            "usage", f"task has no action {action!a}; it has: {', '.join(_ACTIONS)}",
            hint="rally task --help",
        )  # fmt: skip
    return await _ACTIONS[action](ask)


def _step(ask: Ask) -> str:
    step = ask.params.get("id")
    if not step:
        raise UsageError("missing-field", "--id is missing", hint="--id TASK")
    return check_task_id(str(step))


# -- list ---------------------------------------------------------------------------------------------


async def _list(ask: Ask) -> Reply:
    """The tasks of a run and how they stand; `steps` adds ones that nobody registered.

    A row is the task in the descriptor's words, and `status` and `detail` (contract P5), `tool`
    (who worked on it last), `landed_by` (the ids of its artifacts), `held_by` and `standby` (who
    holds it, who sleeps over it), `ready` (it can be taken now), `blocked_by` (the open blocker that
    stops it, or something that it depends on), `registered`. With `offset` it is a page of them from
    there on, and `next` is where the one behind it begins.
    """
    run, service = run_of(ask.params), ask.service
    graph, warnings = await dag_of_run(service, run)
    nodes = {node["step_id"]: node for node in graph["nodes"]}
    query = FactQuery(kinds=frozenset({"task"}), run=run, hide_retracted=True)
    tasks: dict[str, dict[str, Any]] = {}
    for fact in await service.ledger.select(query):
        # What another machine said is shown, and never in the place of what was said here (T3).
        if fact.has_effect or fact.step not in tasks:
            tasks[fact.step or ""] = {**show_task(fact), "registered": True, **_trust(fact)}
    for one in ask.params.get("steps") or ():
        unknown = {"run": run, "depends_on": [], **one, "registered": False}
        tasks.setdefault(str(one["id"]), unknown)
    landed = {step for step, node in nodes.items() if node["status"] == "landed"}
    landings = await service.ledger.landings([(run, step) for step in tasks if step in landed])
    rows = await service.read(lambda context: _rows(context, run, tasks, landed))
    for row in rows:
        node = nodes.get(row["id"], {})
        row["status"] = node.get("status", "planned")
        row["detail"] = node.get("detail", "")
        row["tool"] = node.get("tool") if row["status"] != "planned" else None
        row["landed_by"] = landings.get((run, row["id"]), [])
    data = {"action": "list", "run": run, "tasks": rows, "total": len(rows)}
    if (offset := ask.params.get("offset")) is not None:
        data["tasks"], data["next"] = _page(rows, max(0, offset))
    return Reply(data, warnings)


def _page(rows: Rows, offset: int) -> tuple[Rows, int | None]:
    """As many rows from there on as fit into one frame for sure, and where to go on; None at the end."""
    size, end = 0, offset
    while end < len(rows) and size < _PAGE_BYTES:
        size += len(orjson.dumps(rows[end]))
        end += 1
    return rows[offset:end], end if end < len(rows) else None


def _trust(fact: Fact) -> dict[str, str]:
    return {"trust": fact.doc["trust"]} if fact.get("trust") else {}


def _rows(
    context: Context, run_id: str, tasks: dict[str, dict[str, Any]], landed: set[str]
) -> Rows:
    state, now_ms = context.state, context.now_ms
    run = state.runs.get(run_id) or Run(run_id)
    anybody = ("", None)
    takeable = {one.task_id for one in deciding.takeable(state, run, anybody, now_ms)}
    dependents: dict[str, list[str]] = {}
    for step, task in tasks.items():
        for parent in task["depends_on"]:
            dependents.setdefault(parent, []).append(step)
    blocked = deciding.blocked_steps(state, run_id, landed, lambda step: dependents.get(step, ()))
    asleep = {one.fact.step: one.fact.tool for one in state.standbys.values()
              if one.fact.run == run_id}  # fmt: skip
    rows = []
    for step, task in tasks.items():
        held_by = deciding.holder(state, run_id, step, now_ms)
        blocker = blocked.get(step)
        task["blocked_by"] = deciding.show_blocker(blocker) if blocker is not None else None
        if task["registered"]:
            ready = step in takeable
        else:
            missing = [one for one in task["depends_on"] if one not in landed]
            ready = held_by is None and step not in landed and not (missing or blocker)
        rows.append({**task, "held_by": held_by, "standby": asleep.get(step), "ready": ready})
    return rows


# -- take ---------------------------------------------------------------------------------------------


async def _take(ask: Ask) -> Reply:
    tool, session_id = ask.caller()
    run, service = run_of(ask.params), ask.service
    asked = Asked("claim", tool, session_id, {"run": run})
    # An id that is empty is one that got lost on the way, and no leave to take just any task.
    step = _step(ask) if ask.params.get("id") is not None else None
    if step is not None:
        asked.content["step"] = step
    if ttl := ask.params.get("ttl"):
        asked.options["ttl_ms"] = parse_duration_ms(
            ttl, min_ms=TTL_MS_MIN, max_ms=TTL_MS_MAX, name="--ttl"
        )
    try:
        said = await ask.say(asked, deciding.take)
    except Refused as refusal:
        if refusal.code == "nothing-ready" and not refusal.details["waiting"]:
            raise await _nothing_left(ask, run) from None
        raise
    except UsageError as error:
        if error.code == "unknown-task" and step is not None:
            await _refuse_landed(ask, run, step)
        raise
    task_id = said.fact.ref or ""
    registered = await service.read(
        lambda context: context.past.fact(task_id), wants=Wants(ids={task_id})
    )
    assert registered is not None
    goal = goal_of(await registration.run_in_force(service, run))
    assignment = assignment_of(registered, goal)
    hold = Hold(said.fact.event_id, said.fence or said.fact.seq)
    data = {
        "action": "take", "task": show_task(registered), "fact": said.fact.doc, "fence": said.fence,
        "goal": goal, "packet": packet(assignment, tool, session_id=session_id, hold=hold),
    }  # fmt: skip
    return Reply(data, said.warnings)


async def _nothing_left(ask: Ask, run: str) -> Refused:
    """The refusal where no task is open: there never was one, or all have landed."""
    query = FactQuery(kinds=frozenset({"task"}), run=run, hide_retracted=True)
    known = await ask.service.ledger.count(query)
    why = f"all {known} have landed" if known else "it has no tasks"
    return deciding.nothing_ready(run, [], why)


# -- done, drop ---------------------------------------------------------------------------------------


async def _finish(ask: Ask) -> Reply:
    action = str(ask.params["action"])
    tool, session_id = ask.caller()
    given: dict[str, Any] = {"run": run_of(ask.params), "step": _step(ask)}
    for name in ("uri", "evidence", "summary", "subject", "reason"):
        if ask.params.get(name):
            given[name] = ask.params[name]
    asked = admit("note", (tool, session_id), {"subject": "task", **given}, ask.path)
    if "subject" not in given:
        asked.content.pop("subject", None)
    decider = deciding.done if action == "done" else deciding.drop
    asked.kind = "artifact" if action == "done" else "release"
    try:
        said = await ask.say(asked, decider)
    except RallyError as error:
        if error.code in ("unknown-task", "not-owner"):
            await _refuse_landed(ask, given["run"], given["step"])
        raise
    task_id = {"id": given["step"], "run": given["run"]}
    return Reply({"action": action, "task": task_id, "fact": said.fact.doc}, said.warnings)


async def _refuse_landed(ask: Ask, run: str, step: str) -> None:
    landed = await ask.service.ledger.landings([(run, step)])
    if ids := landed[run, step]:
        raise already_landed(run, step, ids[-1])


_ACTIONS: dict[str, Callable[[Ask], Awaitable[Reply]]] = {
    "add": registration.add,
    "list": _list,
    "take": _take,
    "done": _finish,
    "drop": _finish,
    "start": registration.start,
}
