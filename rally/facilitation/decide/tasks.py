"""Tasks of a run: registering, taking, finishing and giving back (contract W5)."""

from __future__ import annotations

from shlex import quote
from typing import Any

from rally.facilitation.decide import claims
from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.intake import TTL_MS_DEFAULT, Asked
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim, Run, Task
from rally.facilitation.state.room import RoomState
from rally.model.clock import to_rfc3339
from rally.model.errors import Refused, UsageError


def add(context: Context, asked: Asked) -> Decision:
    """Register one task: `run`, `step` (its id), `subject`, `paths` (what it owns), `data`.

    Raises:
        Refused: `task-exists`, when the run has a task of this id already.
    """
    content = context.begin(asked)
    run = context.state.runs.get(content["run"])
    if run is not None and content["step"] in run.tasks:
        known = run.tasks[content["step"]].fact
        raise Refused(
            "task-exists", f"run {content['run']} has task {content['step']} already",
            hint=f"rally task list --run {quote(content['run'])}", details={"fact_id": known.event_id},
        )  # fmt: skip
    return Decision([content])


def unmet(run: Run, task: Task) -> list[str]:
    """The dependencies of a task that have not landed."""
    return [step for step in task.depends_on if step not in run.landed]


def open_tasks(run: Run) -> list[Task]:
    """Tasks that have not landed, lower priority number first, oldest first among equals."""
    waiting = [task for task in run.tasks.values() if task.task_id not in run.landed]
    waiting.sort(key=lambda task: (task.priority, task.fact.seq))
    return waiting


def holder(state: RoomState, run_id: str, task_id: str, now_ms: int) -> str | None:
    """The tool whose live claim takes the step, if any."""
    for holding in leases.overlaps(state, step=(run_id, task_id)):
        if leases.binds(holding.claim, now_ms):
            return holding.claim.tool
    return None


def ready_tasks(state: RoomState, run: Run, now_ms: int) -> list[Task]:
    """Tasks that could be taken now: dependencies landed, nobody holds them."""
    return [
        task
        for task in open_tasks(run)
        if not unmet(run, task) and holder(state, run.run_id, task.task_id, now_ms) is None
    ]


def wish(asked: Asked, task: Task) -> Asked:
    """The claim that takes a task: its step, and the paths it owns."""
    content: dict[str, Any] = {
        "subject": task.fact.get("subject", task.task_id),
        "run": task.fact.run,
        "step": task.task_id,
        "ref": task.fact.event_id,
    }
    if task.fact.paths and not task.read_only:
        content["paths"] = list(task.fact.paths)
    if task.depends_on:
        content["parent_steps"] = list(task.depends_on)
    if "key" in asked.content:
        content["key"] = asked.content["key"]
    return Asked("claim", asked.tool, asked.session_id, content, dict(asked.options))


def take(context: Context, asked: Asked) -> Decision:
    """Grant the next ready task of `asked.content["run"]` whose paths are free.

    Raises:
        Refused: `nothing-ready`, saying what every open task waits for.
    """
    run_id = asked.content["run"]
    run = context.state.runs.get(run_id)
    waits: list[dict[str, Any]] = []
    for task in open_tasks(run) if run is not None else ():
        assert run is not None
        missing = unmet(run, task)
        held_by = holder(context.state, run_id, task.task_id, context.now_ms)
        if missing or held_by is not None:
            waits.append({"task": task.task_id, "waits_for": missing, "held_by": held_by})
            continue
        claim = wish(asked, task)
        wanted = claims.wanted_claim(context, claim)
        blocking = leases.conflicts(context.state, wanted, live=True, now_ms=context.now_ms)
        if blocking:
            entries = [claims.describe(one) for one in blocking]
            waits.append({"task": task.task_id, "waits_for": [], "conflicts": entries})
            continue
        content = {**context.begin(claim), "mode": "exclusive"}
        ttl_ms = asked.options.get("ttl_ms", TTL_MS_DEFAULT)
        return claims.grant(context, content, ttl_ms, position=0)
    raise _nothing_ready(run_id, waits, known=run is not None)


def _nothing_ready(run_id: str, waits: list[dict[str, Any]], *, known: bool) -> Refused:
    reasons = []
    for entry in waits[:5]:
        if entry.get("held_by"):
            reasons.append(f"{entry['task']} is held by {entry['held_by']}")
        elif entry["waits_for"]:
            reasons.append(f"{entry['task']} waits for {', '.join(entry['waits_for'])}")
        else:
            first = entry["conflicts"][0]
            reasons.append(f"{entry['task']} needs what {first['owner']} holds")
    why = "; ".join(reasons) or ("every task has landed" if known else "it has no open task")
    return Refused(
        "nothing-ready", f"no task of run {run_id} can be taken now: {why}",
        hint=f"rally dag --run {quote(run_id)}", details={"waiting": waits},
    )  # fmt: skip


def done(context: Context, asked: Asked) -> Decision:
    """The holder lands a task: artifact and release in one.

    Raises:
        Refused: `not-owner`, when the caller does not hold the task.
        UsageError: `unknown-task`.
    """
    run_id, task_id = asked.content["run"], asked.content["step"]
    held = _own_hold(context, asked)
    content = {**context.base("artifact", asked.tool, asked.session_id), **asked.content}
    content.setdefault("subject", held.fact.get("subject", task_id))
    decision = Decision([content])
    decision.contents.append(_ending(context, asked, held.claim_id, run_id, task_id))
    return decision


def drop(context: Context, asked: Asked) -> Decision:
    """The holder gives a task back: its claim ends, the task is ready again.

    Raises:
        Refused: `not-owner`.
        UsageError: `unknown-task`.
    """
    held = _own_hold(context, asked)
    ending = _ending(context, asked, held.claim_id, asked.content["run"], asked.content["step"])
    if "reason" in asked.content:
        ending["reason"] = asked.content["reason"]
    return Decision([ending])


def _ending(context: Context, asked: Asked, claim_id: str, run: str, step: str) -> dict[str, Any]:
    ending = context.base("release", asked.tool, asked.session_id)
    return {**ending, "ref": claim_id, "run": run, "step": step}


def _own_hold(context: Context, asked: Asked) -> Claim:
    run_id, task_id = asked.content["run"], asked.content["step"]
    own = leases.own_step_claims(context.state, asked.tool, asked.session_id, (run_id, task_id))
    if own:
        return own[-1]
    run = context.state.runs.get(run_id)
    if run is None or task_id not in run.tasks:
        raise UsageError(
            "unknown-task", f"run {run_id} has no open task {task_id}",
            hint=f"rally task list --run {quote(run_id)}",
        )  # fmt: skip
    held_by = [h.claim for h in leases.overlaps(context.state, step=(run_id, task_id))]
    owner = held_by[0].tool if held_by else None
    until = f" until {to_rfc3339(held_by[0].expires_ms)}" if held_by else ""
    raise Refused(
        "not-owner", f"{asked.tool} does not hold {task_id}; {owner or 'nobody'} does{until}",
        hint=f"rally task take --run {quote(run_id)} --tool {asked.tool}", details={"owner": owner},
    )  # fmt: skip
