"""Tasks of a run: registering, taking, finishing and giving back (contract W5)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from rally.facilitation.decide import claims
from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.intake import TTL_MS_DEFAULT, Asked
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim, Task
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.runs import Run
from rally.model.clock import to_rfc3339
from rally.model.errors import Refused, UsageError
from rally.model.fact import Fact
from rally.model.shell import word

Caller = tuple[str, str | None]
Dependents = Callable[[str], Iterable[str]]
# Of many tasks and steps so many are named in a message; the details have all.
_TOLD_MAX = 5


def unmet(run: Run, task: Task) -> list[str]:
    """The dependencies of a task that have not landed."""
    return [step for step in task.depends_on if step not in run.landed]


def holder(state: RoomState, run_id: str, task_id: str, now_ms: int) -> str | None:
    """The tool whose live claim takes the step, if any."""
    claim = _hold(state, (run_id, task_id), now_ms)
    return claim.tool if claim is not None else None


def _hold(state: RoomState, step: tuple[str, str], now_ms: int) -> Claim | None:
    """The live claim that takes a step, if any."""
    claims_of_step = (state.claims[one] for one in state.claims_by_step.get(step, ()))
    return next((one for one in claims_of_step if leases.binds(one, now_ms)), None)


def blocker_of(state: RoomState, run_id: str, step: str) -> Fact | None:
    """The oldest open blocker that names a step: until it is resolved, the step has failed."""
    first = next(iter(state.blockers_by_step.get((run_id, step), ())), None)
    return state.blockers[first].fact if first is not None else None


def blocked_steps(
    state: RoomState, run_id: str, landed: Container[str], dependents: Dependents
) -> dict[str, Fact]:
    """The steps that cannot be done before a blocker is resolved, each with that blocker.

    A blocked step blocks all that depends on it, however long the way: their turn cannot come. What
    has landed counts, whatever was said of it before; if it is no good, its artifact is withdrawn.

    Args:
        dependents: answers the steps that name a step as one to come first.
    """
    found: dict[str, Fact] = {}
    for of_run, blocked in state.blockers_by_step:
        fact = blocker_of(state, run_id, blocked) if of_run == run_id else None
        todo = [blocked] if fact is not None else []
        while todo:
            step = todo.pop()
            if step not in found and step not in landed:
                assert fact is not None
                found[step] = fact
                todo.extend(dependents(step))
    return found


def takeable(state: RoomState, run: Run, caller: Caller, now_ms: int) -> Iterator[Task]:
    """The tasks that `take` would give the caller, best first; next and list ask here too (law 3)."""
    for task in run.ready():
        if (
            holder(state, run.run_id, task.task_id, now_ms) is None
            and blocker_of(state, run.run_id, task.task_id) is None
            and not leases.conflicts(state, _wanted(task, caller, now_ms), now_ms=now_ms)
        ):
            yield task


def hindrances(
    state: RoomState, run: Run, caller: Caller, *, now_ms: int
) -> Iterator[dict[str, Any]]:
    """What keeps the caller from taking each open task, best task first, where nothing is takeable.

    `blocked_by` is the blocker that stops the task or something that it depends on, `unknown` are the
    dependencies that are no tasks of the run, `conflicts` is empty where the rest is reason enough.
    """
    blocked = blocked_steps(state, run.run_id, run.landed, run.dependents)
    for task in run.open_tasks():
        missing, held = unmet(run, task), _hold(state, (run.run_id, task.task_id), now_ms)
        fact, blocking = blocked.get(task.task_id), list[leases.Holding]()
        if not (missing or held or fact):
            blocking = leases.conflicts(state, _wanted(task, caller, now_ms), now_ms=now_ms)
        yield {
            "task": task.task_id,
            "waits_for": missing,
            "unknown": [step for step in missing if step not in run.tasks],
            "held_by": held.tool if held is not None else None,
            "held_until": to_rfc3339(held.expires_ms) if held is not None else None,
            "blocked_by": show_blocker(fact) if fact is not None else None,
            "conflicts": [claims.describe(one) for one in blocking],
        }


def show_blocker(fact: Fact) -> dict[str, Any]:
    """A blocker as lists of tasks name it."""
    return {
        "step": fact.step, "fact_id": fact.event_id, "tool": fact.tool,
        "subject": fact.get("subject", ""),
    }  # fmt: skip


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

    With a `step` it is that task or none.

    Raises:
        Refused: `nothing-ready`, saying what every open task waits for.
        UsageError: `unknown-task`, the step is no open task of the run.
    """
    run_id, step = asked.content["run"], asked.content.get("step")
    run = context.state.runs.get(run_id)
    caller, now_ms = (asked.tool, asked.session_id), context.now_ms
    if step is not None and (run is None or step not in run.tasks or step in run.landed):
        raise _no_open_task(run_id, step)
    if run is None:
        raise nothing_ready(run_id, [])
    fitting = takeable(context.state, run, caller, now_ms)
    task = next((one for one in fitting if step in (None, one.task_id)), None)
    if task is None:
        waits = hindrances(context.state, run, caller, now_ms=now_ms)
        raise nothing_ready(run_id, [one for one in waits if step in (None, one["task"])])
    content = {**context.base("claim", *caller), **_claim_of(task), "mode": "exclusive"}
    ttl_ms = asked.options.get("ttl_ms", TTL_MS_DEFAULT)
    return claims.grant(context, content, ttl_ms, position=0)


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
    task, blocker = hindered["task"], hindered["blocked_by"]
    if hindered["held_by"]:
        return f"{task} is held by {hindered['held_by']} until {hindered['held_until']}"
    if blocker is not None:
        return f"{task} is {blocked_why(task, blocker)}"
    if hindered["waits_for"]:
        return f"{task} waits for {_listed(hindered)}"
    first = hindered["conflicts"][0]
    return f"{task} needs what {first['owner']} holds until {first['lease_expires_at']}"


def _listed(hindered: dict[str, Any]) -> str:
    steps, unknown = hindered["waits_for"], hindered["unknown"]
    named = [f"{one} (no task of the run)" if one in unknown else one for one in steps[:_TOLD_MAX]]
    more = f" and {len(steps) - _TOLD_MAX} more" if len(steps) > _TOLD_MAX else ""
    return ", ".join(named) + more


def blocked_why(task_id: str, blocker: dict[str, Any]) -> str:
    """Why a task is blocked, in a few words: by which blocker, on which step."""
    by = f"blocked by {blocker['fact_id']}"
    through = "" if blocker["step"] == task_id else f" through {blocker['step']}"
    return f"{by}{through}: {blocker['subject']}"


def nothing_ready(run_id: str, waits: list[dict[str, Any]], why: str = "") -> Refused:
    """The refusal to give a task, with the reason for each open one in `details.waiting`.

    Args:
        why: the reason where no task is open.
    """
    more = f"; and {len(waits) - _TOLD_MAX} more" if len(waits) > _TOLD_MAX else ""
    why = why or "; ".join(map(_why, waits[:_TOLD_MAX])) + more
    return Refused(
        "nothing-ready", f"no task of run {run_id} can be taken now: {why}",
        hint=f"rally dag --run {word(run_id)}", details={"waiting": waits},
    )  # fmt: skip


def _no_open_task(run_id: str, task_id: str) -> UsageError:
    return UsageError(
        "unknown-task", f"run {run_id} has no open task {task_id}",
        hint=f"rally task list --run {word(run_id)}",
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
        raise _no_open_task(run_id, task_id)
    claim = _hold(context.state, (run_id, task_id), context.now_ms)
    take = f"rally task take --run {word(run_id)} --tool {asked.tool}"
    if claim is None:
        raise Refused(
            "not-owner", f"{asked.tool} does not hold {task_id}; nobody does",
            hint=f"{take} --id {word(task_id)}", details={"owner": None},
        )  # fmt: skip
    holder, caller = claim.tool, asked.tool
    if holder == caller:
        holder += f" in its session {claim.session_id}"
        caller += f" in its session {asked.session_id}"
    raise Refused(
        "not-owner",
        f"{caller} does not hold {task_id}; {holder} does until {to_rfc3339(claim.expires_ms)}",
        hint=take, details={"owner": claim.tool},
    )  # fmt: skip
