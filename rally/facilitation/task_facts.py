"""A task in its two forms: the words of a descriptor (contract W1), and the fact that registers it.

`task add` and `workstream start` write the same facts because both come through here; `task list`,
`task take` and packets read them back through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rally.facilitation.intake import Asked, admit
from rally.facilitation.packets import Assignment
from rally.model.errors import Refused, UsageError
from rally.model.fact import Fact
from rally.model.kinds import (
    LIST_ENTRIES_MAX,
    PATHS_MAX,
    SUBJECT_CHARS_MAX,
    SUMMARY_BYTES_MAX,
)
from rally.model.text import NAME_ALPHABET, check_encodable, check_identity

READ_ONLY = "read-only"
PRIORITY_DEFAULT = 100
# Larger ones do not fit every JSON reader.
PRIORITY_MAX = 2**53 - 1
_TEXTS = ("validation", "output", "tier")

Entry = Mapping[str, Any]


def check_task_id(value: str, flag: str = "--id") -> str:
    """A task id: letters, digits, `.`, `_`, `-` (contract W1).

    Raises:
        UsageError: `bad-value`, `bad-text` or `too-long`.
    """
    check_identity(value, flag)
    if not NAME_ALPHABET.issuperset(value):
        raise UsageError(
            "bad-value", f"{flag} may hold only A-Z a-z 0-9 . _ -: {value!a}", hint=f"{flag} api-1"
        )
    return value


def wish_of(
    entry: Entry, run: str, caller: tuple[str, str | None], canonical: Callable[[str], str]
) -> Asked:
    """The checked wish to register one task.

    Args:
        entry: `id`, `intent`, `owns` (a list) or `read_only`, and whatever else contract W1 knows.
        run: the run, checked already.
        caller: tool and session id, checked already.
        canonical: brings one path to the one form (contract C1).

    Raises:
        UsageError: for the first value that is wrong.
    """
    step = entry.get("id")
    if not step:
        raise UsageError("missing-field", "--id is missing", hint="--id TASK")
    check_task_id(str(step))
    intent = _intent(entry)
    owns, read_only = _owns(entry)
    depends_on = _depends_on(entry, str(step))
    # The short text goes where lists show it, the whole text where prompts read it.
    given = {
        "subject": intent[:SUBJECT_CHARS_MAX], "summary": intent, "paths": owns, "run": run,
        "step": step, "parent_steps": depends_on, "thread": entry.get("thread"),
        "data": {"read_only": read_only, "priority": _priority(entry), **_texts(entry)},
    }  # fmt: skip
    asked = admit("note", caller, given, canonical)
    asked.kind = "task"
    asked.content["status"] = "added"
    return asked


def _intent(entry: Entry) -> str:
    intent = str(entry.get("intent") or "")
    if not intent.strip():
        raise UsageError(
            "missing-field", "--intent is missing", hint="--intent 'what is to be done'"
        )
    size = len(check_encodable(intent, "--intent"))
    if size > SUMMARY_BYTES_MAX:
        raise UsageError(
            "too-long", f"--intent has {size} bytes, at most {SUMMARY_BYTES_MAX} are allowed",
            hint="put the long text into a file of the repository and name that",
        )  # fmt: skip
    return intent


def _owns(entry: Entry) -> tuple[Sequence[str], bool]:
    owns, read_only = entry.get("owns") or (), bool(entry.get("read_only"))
    if read_only and owns:
        raise UsageError(
            "bad-value", "a task either owns paths or is read-only: give --owns or --read-only",
            hint="--owns src/api/",
        )  # fmt: skip
    _check_number("--owns", owns, PATHS_MAX)
    # Who owns no path may write none (contract C4, `read-only-step`): nothing is left unprotected.
    return owns, not owns


def _depends_on(entry: Entry, step: str) -> list[str]:
    depends_on = [check_task_id(one, "--depends-on") for one in entry.get("depends_on") or ()]
    _check_number("--depends-on", depends_on, LIST_ENTRIES_MAX)
    if step in depends_on:
        raise UsageError("bad-value", f"task {step} depends on itself", hint="--depends-on OTHER")
    return depends_on


def _check_number(flag: str, values: Sequence[str], most: int) -> None:
    if len(values) > most:
        raise UsageError(
            "too-long", f"{flag} was given {len(values)} times, at most {most} are allowed",
            hint="name a folder, or split the task",
        )  # fmt: skip


def _priority(entry: Entry) -> int:
    priority = entry.get("priority")
    if priority is None:
        return PRIORITY_DEFAULT
    if abs(priority) > PRIORITY_MAX:
        raise UsageError(
            "bad-value", f"--priority is {priority}; it must be within ±{PRIORITY_MAX}",
            hint="--priority 50",
        )  # fmt: skip
    return int(priority)


def _texts(entry: Entry) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name in _TEXTS:
        if entry.get(name) is not None:
            if not str(entry[name]).strip():
                # A variable without a value, and no task that is landed without a proof.
                raise UsageError("missing-field", f"--{name} is empty", hint=f"leave out --{name}")
            check_encodable(entry[name], f"--{name}")
            data[name] = entry[name]
    if entry.get("commands"):
        data["commands"] = [check_encodable(one, "commands").decode() for one in entry["commands"]]
    return data


def show_task(fact: Fact) -> dict[str, Any]:
    """A registered task in the descriptor's words."""
    data = fact.get("data") or {}
    shown: dict[str, Any] = {
        "id": fact.step,
        "run": fact.run,
        "intent": fact.get("summary") or fact.get("subject"),
        "owns": READ_ONLY if data.get("read_only") else fact.paths,
        "depends_on": list(fact.get("parent_steps", ())),
        "priority": data.get("priority", PRIORITY_DEFAULT),
    }
    for name in (*_TEXTS, "commands"):
        if name in data:
            shown[name] = data[name]
    if thread := fact.get("thread"):
        shown["thread"] = thread
    return shown


def assignment_of(fact: Fact, goal: str = "") -> Assignment:
    """A registered task as what its packet is built from.

    Args:
        goal: what the run is for.
    """
    return assignment_from(show_task(fact), goal)


def assignment_from(task: Entry, goal: str = "") -> Assignment:
    """A task as it is shown, as what its packet is built from."""
    return Assignment(
        run=str(task["run"]),
        task=str(task["id"]),
        intent=str(task["intent"] or ""),
        owns=() if task["owns"] == READ_ONLY else tuple(task["owns"]),
        depends_on=tuple(task["depends_on"]),
        validation=str(task.get("validation", "")),
        output=str(task.get("output", "")),
        commands=tuple(map(str, task.get("commands", ()))),
        tier=str(task.get("tier", "")),
        thread=str(task.get("thread", "")),
        goal=goal,
    )


def already_landed(run: str, step: str, artifact: str) -> Refused:
    """The refusal to do what has been done."""
    return Refused(
        "already-closed", f"task {step} of run {run} has landed already: {artifact}",
        hint=f"rally show {artifact}", details={"fact_id": artifact},
    )  # fmt: skip


def goal_of(run_fact: Fact | None) -> str:
    """What a run is for, as its `run` fact says it; empty without one."""
    if run_fact is None:
        return ""
    return goal(str(run_fact.get("subject", "")), str(run_fact.get("summary", "")))


def goal(name: str, description: str) -> str:
    """The goal of a workstream, as packets quote it."""
    return f"{name}: {description}" if description else name
