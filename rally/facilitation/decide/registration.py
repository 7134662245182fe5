"""Registering the tasks of a run, one or all of them, so that nothing is registered twice.

A task is known by run and id: what is open is in the state, what landed long ago in the past. The same
task again, word for word, answers the first fact; another one under the same id is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rally.facilitation.decide.context import Context
from rally.facilitation.intake import Asked
from rally.model.errors import Refused, UsageError
from rally.model.fact import Fact
from rally.model.shell import word

# What two registrations of the same task share.
_SAME = ("subject", "summary", "paths", "parent_steps", "thread", "data")
# Those that a descriptor calls otherwise.
_WORDS = {"subject": "intent", "summary": "intent", "paths": "owns", "parent_steps": "depends_on"}


class LookAgainError(Exception):
    """Somebody else started the run since its history was looked at. Nothing was decided."""


@dataclass(slots=True)
class History:
    """What the ledger said of a run's registrations when it was asked.

    Attributes:
        seen_to: everything up to this seq was looked at; later facts may have been.
        run: the `run` fact in force, if there is one.
        tasks: the task fact in force of each id.
        withdrawn: ids whose registration was withdrawn and not repeated.
    """

    seen_to: int = 0
    run: Fact | None = None
    tasks: dict[str, Fact] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Registration:
    """What is to be written, and what was known before.

    Attributes:
        contents: the facts to append, in order.
        known: the facts of tasks that were registered already, by id.
    """

    contents: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, Fact] = field(default_factory=dict)


def register(
    context: Context, wishes: Sequence[Asked], known: dict[str, Fact] | None = None
) -> Registration:
    """Register tasks of one run; one that is known with the same content is passed over.

    Args:
        wishes: of `task_facts.wish_of`, each with another id.
        known: task facts of the run that are known already.

    Raises:
        Refused: `task-exists`, a task is known with other content.
        UsageError: `bad-value`, tasks would wait for each other in a circle.
    """
    registration = Registration()
    for asked in wishes:
        step = asked.content["step"]
        fact = (known or {}).get(step) or _known(context, asked.content["run"], step)
        if fact is None:
            _check_no_circle(context, asked)
            registration.contents.append(context.begin(asked))
            continue
        if differs := _differing(fact.doc, asked.content):
            raise _task_exists(fact, asked, differs)
        registration.known[step] = fact
    return registration


def start(context: Context, run: Asked, wishes: Sequence[Asked], history: History) -> Registration:
    """Register a run and its tasks; the first content, if any, is the run's.

    Doing it again with the same descriptor registers nothing: what was withdrawn since stays so.

    Args:
        run: the wish to write the `run` fact, with the key under which it is found again.

    Raises:
        Refused: `run-exists`, the run was started from another descriptor; `task-exists`.
        LookAgainError: see there.
    """
    first, started = context.past.by_key(run.content["key"]), history.run
    if first is not None and (started is None or started.event_id != first.event_id):
        raise LookAgainError
    if started is None:
        registration = register(context, wishes, history.tasks)
        registration.contents.insert(0, context.begin(run))
        return registration
    if (started.get("data") or {}).get("digest") != run.content["data"]["digest"]:
        raise _run_exists(started, run)
    wanted = [one for one in wishes if one.content["step"] not in history.withdrawn]
    return register(context, wanted, history.tasks)


def _known(context: Context, run_id: str, step: str) -> Fact | None:
    run = context.state.runs.get(run_id)
    if run is not None and step in run.tasks:
        return run.tasks[step].fact
    return context.past.registered.get((run_id, step))


def _check_no_circle(context: Context, asked: Asked) -> None:
    """Registered one by one, tasks could come to wait for each other; none would ever be ready."""
    step, run = asked.content["step"], context.state.runs.get(asked.content["run"])
    trails = [[step, parent] for parent in asked.content.get("parent_steps", ())]
    seen: set[str] = set()
    while trails and run is not None:
        trail = trails.pop()
        if trail[-1] == step:
            raise UsageError(
                "bad-value", f"tasks would wait for each other: {' → '.join(trail)}",
                hint=f"rally task list --run {word(run.run_id)}", details={"cycle": trail},
            )  # fmt: skip
        task = run.tasks.get(trail[-1])
        # What has landed waits for nothing, and may or may not be forgotten.
        if task is not None and trail[-1] not in seen | run.landed:
            seen.add(trail[-1])
            trails += [[*trail, parent] for parent in task.depends_on]


def _differing(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """In what two registrations differ, in the words of a descriptor."""
    differs = [_WORDS.get(name, name) for name in _SAME if known.get(name) != wanted.get(name)]
    if "data" in differs:
        mine, theirs = known.get("data") or {}, wanted.get("data") or {}
        inner = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        differs.remove("data")
        differs += ["owns" if name == "read_only" else name for name in inner]
    return list(dict.fromkeys(differs))


def _task_exists(known: Fact, asked: Asked, differs: list[str]) -> Refused:
    run, step = asked.content["run"], asked.content["step"]
    return Refused(
        "task-exists", f"run {run} has task {step} already, with other {' and '.join(differs)}",
        hint=f"rally task list --run {word(run)}",
        details={"fact_id": known.event_id, "seq": known.seq, "differs": differs},
    )  # fmt: skip


def _run_exists(started: Fact, run: Asked) -> Refused:
    run_id = run.content["run"]
    return Refused(
        "run-exists",
        f"run {run_id} was started by {started.tool} from another descriptor, "
        f"{started.get('subject', '')!a}, or from an older state of this one",
        hint="start it as a new run, or add what is new with rally task add",
        details={"fact_id": started.event_id, "seq": started.seq},
    )
