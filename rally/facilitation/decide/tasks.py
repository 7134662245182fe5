"""Tasks of a run: registering, taking, finishing and giving back (contract W5)."""

from __future__ import annotations

from collections.abc import Iterator
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

Caller = tuple[str, str | None]


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


def takeable(state: RoomState, run: Run, caller: Caller, now_ms: int) -> Iterator[Task]:
    """The tasks that `take` would give the caller, best first; next and list ask here too (law 3)."""
    for task in open_tasks(run):
        if hindrance(state, run, task, caller, now_ms=now_ms) is None:
            yield task


def hindrance(
    state: RoomState, run: Run, task: Task, caller: Caller, *, now_ms: int
) -> dict[str, Any] | None:
    """What keeps the caller from taking an open task now; None when nothing does."""
    missing = unmet(run, task)
    held_by = holder(state, run.run_id, task.task_id, now_ms)
    found = {"task": task.task_id, "waits_for": missing, "held_by": held_by, "conflicts": []}
    if missing or held_by is not None:
        return found
    blocking = leases.conflicts(state, _wanted(task, caller, now_ms), now_ms=now_ms)
    if not blocking:
        return None
    return {**found, "conflicts": [claims.describe(one) for one in blocking]}


def _wanted(task: Task, caller: Caller, now_ms: int) -> Claim:
    return Claim(
        claim_id="", seq=0, tool=caller[0], session_id=caller[1], paths=_paths(task), resources=(),
        shared=False, run=task.fact.run, step=task.task_id, since_ms=now_ms, ttl_ms=0,
        expires_ms=0, fact=task.fact,
    )  # fmt: skip


def _paths(task: Task) -> tuple[str, ...]:
    return () if task.read_only else tuple(task.fact.paths)


def take(context: Context, asked: Asked) -> Decision:
    """Grant the next ready task of `asked.content["run"]` whose paths are free.

    Raises:
        Refused: `nothing-ready`, saying what every open task waits for.
    """
    run_id = asked.content["run"]
    run = context.state.runs.get(run_id)
    caller, now_ms = (asked.tool, asked.session_id), context.now_ms
    waits: list[dict[str, Any]] = []
    for task in open_tasks(run) if run is not None else ():
        assert run is not None
        hindered = hindrance(context.state, run, task, caller, now_ms=now_ms)
        if hindered is not None:
            waits.append(hindered)
            continue
        content = {**context.base("claim", *caller), **_claim_of(task), "mode": "exclusive"}
        ttl_ms = asked.options.get("ttl_ms", TTL_MS_DEFAULT)
        return claims.grant(context, content, ttl_ms, position=0)
    raise nothing_ready(run_id, "; ".join(map(_why, waits[:5])), waits)


def _claim_of(task: Task) -> dict[str, Any]:
    """The content of the claim that takes a task: its step, and the paths it owns."""
    content: dict[str, Any] = {
        "subject": task.fact.get("subject", task.task_id),
        "run": task.fact.run,
        "step": task.task_id,
        "ref": task.fact.event_id,
    }
    if paths := _paths(task):
        content["paths"] = list(paths)
    if task.depends_on:
        content["parent_steps"] = list(task.depends_on)
    if thread := task.fact.get("thread"):
        content["thread"] = thread
    return content


def _why(hindered: dict[str, Any]) -> str:
    if hindered["held_by"]:
        return f"{hindered['task']} is held by {hindered['held_by']}"
    if hindered["waits_for"]:
        return f"{hindered['task']} waits for {', '.join(hindered['waits_for'][:5])}"
    first = hindered["conflicts"][0]
    return f"{hindered['task']} needs what {first['owner']} holds"


def nothing_ready(run_id: str, why: str, waits: list[dict[str, Any]]) -> Refused:
    """The refusal to give a task, with the reason for each open one in `details.waiting`."""
    return Refused(
        "nothing-ready", f"no task of run {run_id} can be taken now: {why}",
        hint=f"rally dag --run {quote(run_id)}", details={"waiting": waits},
    )  # fmt: skip


def done(context: Context, asked: Asked) -> Decision:
    """The holder lands a task: the artifact, and the end of every claim by which it holds the step.

    Raises:
        Refused: `not-owner`, when the caller does not hold the task.
        UsageError: `unknown-task`.
    """
    held = _own_holds(context, asked)
    content = {**context.base("artifact", asked.tool, asked.session_id), **asked.content}
    content.setdefault("subject", held[-1].fact.get("subject", asked.content["step"]))
    for name in ("parent_steps", "thread"):
        if name in held[-1].fact.doc:
            content.setdefault(name, held[-1].fact.doc[name])
    return Decision([content, *(_ending(context, asked, claim) for claim in held)])


def drop(context: Context, asked: Asked) -> Decision:
    """The holder gives a task back: its claims of the step end, the task is ready again.

    Raises:
        Refused: `not-owner`.
        UsageError: `unknown-task`.
    """
    endings = [_ending(context, asked, claim) for claim in _own_holds(context, asked)]
    if "reason" in asked.content:
        for ending in endings:
            ending["reason"] = asked.content["reason"]
    return Decision(endings)


def _ending(context: Context, asked: Asked, claim: Claim) -> dict[str, Any]:
    ending = context.base("release", asked.tool, asked.session_id)
    return {**ending, "ref": claim.claim_id, "run": claim.run, "step": claim.step}


def _own_holds(context: Context, asked: Asked) -> list[Claim]:
    run_id, task_id = asked.content["run"], asked.content["step"]
    own = leases.own_step_claims(context.state, asked.tool, asked.session_id, (run_id, task_id))
    if own:
        return own
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
