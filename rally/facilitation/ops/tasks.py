"""task add, list, take, done, drop (contract W5): the atomic core of a fan-out."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide import tasks as deciding
from rally.facilitation.decide.context import Context
from rally.facilitation.intake import TTL_MS_MAX, TTL_MS_MIN, Asked, admit
from rally.facilitation.ops.common import Ask, Reply
from rally.facilitation.projections.dag_live import dag_of_run
from rally.facilitation.state.past import Wants
from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError
from rally.model.fact import Fact
from rally.model.kinds import SUBJECT_CHARS_MAX
from rally.model.text import check_identity

_STEP_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def check_task_id(value: str) -> str:
    """A task id: letters, digits, `.`, `_`, `-` (contract W1).

    Raises:
        UsageError: `bad-value`.
    """
    check_identity(value, "--id")
    if not _STEP_ALPHABET.issuperset(value):
        raise UsageError(
            "bad-value", f"--id may hold only A-Z a-z 0-9 . _ -: {value!a}", hint="--id api-1"
        )
    return value


def _run(ask: Ask) -> str:
    run = ask.params.get("run")
    if not run:
        raise UsageError("missing-field", "--run is missing", hint="--run RUN")
    return check_identity(str(run), "--run")


def _step(ask: Ask) -> str:
    step = ask.params.get("id")
    if not step:
        raise UsageError("missing-field", "--id is missing", hint="--id TASK")
    return check_task_id(str(step))


async def task(ask: Ask) -> Reply:
    """The five actions on tasks.

    Raises:
        UsageError: a wrong or missing value.
        Refused: `task-exists`, `nothing-ready`, `not-owner`.
    """
    action = str(ask.params.get("action", ""))
    return await _ACTIONS[action](ask)


async def _add(ask: Ask) -> Reply:
    params = ask.params
    run, step = _run(ask), _step(ask)
    intent = params.get("intent") or ""
    read_only, owns = bool(params.get("read_only")), params.get("owns") or ()
    if not intent.strip():
        raise UsageError(
            "missing-field", "--intent is missing", hint="--intent 'what is to be done'"
        )
    if read_only == bool(owns):
        raise UsageError(
            "bad-value", "a task either owns paths or is read-only: give --owns or --read-only",
            hint="--owns src/api/",
        )  # fmt: skip
    data: dict[str, Any] = {"read_only": read_only, "priority": params.get("priority", 100)}
    for name in ("validation", "output"):
        if params.get(name):
            data[name] = params[name]
    depends_on = [check_task_id(one) for one in params.get("depends_on") or ()]
    if step in depends_on:
        raise UsageError("bad-value", f"task {step} depends on itself", hint="--depends-on OTHER")
    # The short text goes where lists show it, the whole text where prompts read it.
    given = {
        "subject": intent[:SUBJECT_CHARS_MAX], "summary": intent, "paths": list(owns),
        "run": run, "step": step, "parent_steps": depends_on, "data": data,
    }  # fmt: skip
    asked = admit("note", ask.caller(), given, ask.path)
    asked.kind = "task"
    asked.content["status"] = "added"
    said = await ask.say(asked)
    return Reply(
        {"action": "add", "task": show_task(said.fact), "fact": said.fact.doc}, said.warnings
    )


def show_task(fact: Fact) -> dict[str, Any]:
    """A registered task in the descriptor's words (contract W1)."""
    data = fact.get("data") or {}
    shown: dict[str, Any] = {
        "id": fact.step,
        "run": fact.run,
        "intent": fact.get("summary") or fact.get("subject"),
        "owns": "read-only" if data.get("read_only") else fact.paths,
        "depends_on": list(fact.get("parent_steps", ())),
        "priority": data.get("priority", 100),
    }
    for name in ("validation", "output"):
        if name in data:
            shown[name] = data[name]
    return shown


async def _list(ask: Ask) -> Reply:
    run = _run(ask)
    facts = await ask.service.ledger.run_facts(run)
    gone = await ask.service.ledger.retracted([fact.event_id for fact in facts])
    tasks = {fact.step: fact for fact in facts if fact.kind == "task" and fact.event_id not in gone}
    graph, warnings = await dag_of_run(ask.service, run)
    nodes = {node["step_id"]: node for node in graph["nodes"]}

    def ready(context: Context) -> set[str]:
        live = context.state.runs.get(run)
        if live is None:
            return set()
        return {one.task_id for one in deciding.ready_tasks(context.state, live, context.now_ms)}

    takeable = await ask.service.read(ready)
    rows = []
    for step, fact in tasks.items():
        node = nodes.get(step or "", {})
        rows.append(
            {
                **show_task(fact),
                "status": node.get("status", "planned"),
                "detail": node.get("detail", ""),
                "tool": node.get("tool") if node.get("status") != "planned" else None,
                "ready": step in takeable,
            }
        )
    return Reply({"action": "list", "run": run, "tasks": rows, "total": len(rows)}, warnings)


async def _take(ask: Ask) -> Reply:
    tool, session_id = ask.caller()
    asked = Asked("claim", tool, session_id, {"run": _run(ask)})
    if ttl := ask.params.get("ttl"):
        asked.options["ttl_ms"] = parse_duration_ms(
            ttl, min_ms=TTL_MS_MIN, max_ms=TTL_MS_MAX, name="--ttl"
        )
    said = await ask.say(asked, deciding.take)
    registered = await ask.service.read(
        lambda context: context.past.fact(said.fact.ref or ""),
        wants=Wants(ids={said.fact.ref or ""}),
    )
    assert registered is not None
    data = {
        "action": "take", "task": show_task(registered), "fact": said.fact.doc, "fence": said.fence,
    }  # fmt: skip
    return Reply(data, said.warnings)


async def _finish(ask: Ask) -> Reply:
    action = str(ask.params["action"])
    tool, session_id = ask.caller()
    given: dict[str, Any] = {"run": _run(ask), "step": _step(ask)}
    for name in ("uri", "evidence", "summary", "subject", "reason"):
        if ask.params.get(name):
            given[name] = ask.params[name]
    asked = admit("note", (tool, session_id), {"subject": "task", **given}, ask.path)
    if "subject" not in given:
        asked.content.pop("subject", None)
    decider = deciding.done if action == "done" else deciding.drop
    asked.kind = "artifact" if action == "done" else "release"
    said = await ask.say(asked, decider)
    task_id = {"id": given["step"], "run": given["run"]}
    return Reply({"action": action, "task": task_id, "fact": said.fact.doc}, said.warnings)


_ACTIONS = {"add": _add, "list": _list, "take": _take, "done": _finish, "drop": _finish}
