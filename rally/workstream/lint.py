"""lint (contract W2): everything that is wrong with a descriptor, at once.

Three looks: pydantic judges each value by itself (`descriptor`), this module what needs several of them
(ids, dependencies, boundaries) or the room (paths). A later look works with whatever the earlier ones
left whole, so one mistake never hides another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from rally.model.errors import UsageError
from rally.model.graph import cycles
from rally.model.kinds import FACT_BYTES_MAX
from rally.model.text import nearest
from rally.workstream.boundaries import Owned, conflicts
from rally.workstream.descriptor import (
    SCHEMA_FIELD,
    TASK_ID_CHARS_MAX,
    TASKS_MAX,
    TIERS,
    Descriptor,
    TaskSpec,
    shown,
)
from rally.workstream.determinism import nondeterminism
from rally.workstream.reading import Document, Place, field_name
from rally.workstream.survey import perhaps_meant

# What a fact holds beside its task: ids, hashes, times, the short form of the intent, and the longest
# tool, session, run and thread.
_FACT_OVERHEAD_BYTES = 6 * 1024
_CYCLE_STEPS_SHOWN = 20
_GUESSES_MAX, _NAMES_MAX = 50, 1_000

CODES: dict[str, str] = {
    "not-object": "the descriptor, or a task in it, is no JSON object",
    "missing-field": "a required field is absent or empty",
    "bad-type": "a value has the wrong JSON type",
    "empty-tasks": "there is no task",
    "bad-id": "a task's id holds other characters than A-Z a-z 0-9 . _ -",
    "duplicate-id": "two tasks have the same id",
    "bad-owns": "`owns` is neither read-only nor a list of paths in the room",
    "boundary-conflict": "two tasks that write own paths that overlap",
    "nondeterministic": "a command's outcome depends on time or chance",
    "unknown-dependency": "a task depends on one that there is not",
    "cycle": "tasks wait for each other",
    "bad-tier": "`tier` is neither host-native nor cross-host",
    "too-long": "a value, or a whole task, is longer than a fact may be",
    "control-characters": "a text holds characters that are not meant to be seen",
    "unknown-field": "a field that means nothing here",
    "missing-path": "a path in `owns` does not exist (yet)",
    "claimed-path": "a path in `owns` overlaps what somebody holds now",
    "reserved-id": "a task is called like the graph's node for facts without a step",
}
_HINTS = {
    "not-object": 'write {"workstream": …, "description": …, "tasks": […]}',
    "missing-field": "rally workstream schema",
    "bad-type": "rally workstream schema",
    "empty-tasks": "add a task",
    "bad-id": "api-1",
    "bad-owns": '"owns": ["src/api/"], relative to the room\'s root',
    "bad-tier": f'"tier": "{TIERS[0]}"',
    "too-long": "put the long text into a file of the repository and name that",
    "control-characters": "write it without; commands may hold line breaks and tabs",
    "nondeterministic": "compare with something that is written down",
}


class Violation(NamedTuple):
    """One thing that is wrong, or (as a warning) odd.

    Attributes:
        code: a key of `CODES`.
        task: the task's id, `#N` (its place, from 0) where it has none to show, empty for the whole.
        field: such as `owns[2]`; empty for the whole task.
        line: of the descriptor's file, 1..N.
    """

    code: str
    task: str
    field: str
    message: str
    hint: str
    line: int

    def as_json(self) -> dict[str, Any]:
        """The violation as the answer of `workstream lint` lists it."""
        return self._asdict()


@dataclass(slots=True)
class Report:
    """What lint found; both lists in the order of the file.

    Attributes:
        descriptor: what was read; None unless it is clean.
        paths: the canonical paths of each task, by id; complete only where it is clean.
    """

    violations: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)
    descriptor: Descriptor | None = None
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not self.violations


class Look(NamedTuple):
    """What lint may ask of the room.

    Attributes:
        canonical: brings one path to the one form (contract C1), or raises UsageError.
        exists: whether a canonical path, or the folder that a pattern begins in, is there.
        held: the live claims, as facts, that overlap a canonical path; None where there are none.
    """

    canonical: Callable[[str], str]
    exists: Callable[[str], bool]
    held: Callable[[str], Iterable[dict[str, Any]]] | None = None


def lint(document: Document, look: Look) -> Report:
    """Everything that is wrong with a descriptor.

    Args:
        document: the file's JSON.
        look: the room's answers.
    """
    return _Lint(document, look).report()


class _Lint:
    def __init__(self, document: Document, look: Look) -> None:
        self._document = document
        self._look = look
        self._found: list[tuple[Place, Violation]] = []
        self._odd: list[tuple[Place, Violation]] = []
        value = document.value
        tasks = value.get("tasks") if isinstance(value, dict) else None
        # Of too many, which pydantic has complained of, only the first are looked at.
        self._tasks: list[Any] = tasks[:TASKS_MAX] if isinstance(tasks, list) else []
        # Places of values that pydantic has complained of; they are not judged again.
        self._bad: set[Place] = set()
        self._report = Report()

    def report(self) -> Report:
        descriptor = self._shape()
        self._ids()
        self._paths()
        self._dependencies()
        self._commands()
        self._sizes()
        self._unknown_fields()
        report = self._report
        report.violations = [one for _, one in sorted(self._found, key=_place_key)]
        report.warnings = [one for _, one in sorted(self._odd, key=_place_key)]
        if report.clean:
            report.descriptor = descriptor
        return report

    # -- finding ----------------------------------------------------------------------------------

    def _add(self, code: str, place: Place, message: str, hint: str = "") -> None:
        self._found.append((place, self._violation(code, place, message, hint)))

    def _warn(self, code: str, place: Place, message: str, hint: str = "") -> None:
        self._odd.append((place, self._violation(code, place, message, hint)))

    def _violation(self, code: str, place: Place, message: str, hint: str) -> Violation:
        in_task = len(place) >= 2 and place[0] == "tasks" and isinstance(place[1], int)
        task = self._task_name(place[1]) if in_task else ""
        name = field_name(place[2:] if in_task else place)
        line = self._document.line(place)
        return Violation(code, task, name, message, hint or _HINTS.get(code, ""), line)

    def _task_name(self, number: str | int) -> str:
        assert isinstance(number, int)
        raw = self._tasks[number].get("id") if isinstance(self._tasks[number], dict) else None
        # Also one that is not allowed, if it can be shown: whoever wrote it finds the task by it.
        usable = isinstance(raw, str) and 0 < len(raw) <= TASK_ID_CHARS_MAX and raw.isprintable()
        return str(raw) if usable else f"#{number}"

    def _values(self, name: str) -> Iterator[tuple[int, Any]]:
        """The value of a field in each task where pydantic has nothing against it."""
        for number, task in enumerate(self._tasks):
            place: Place = ("tasks", number, name)
            if isinstance(task, dict) and name in task and place not in self._bad:
                yield number, task[name]

    # -- the looks --------------------------------------------------------------------------------

    def _shape(self) -> Descriptor | None:
        value = self._document.value
        if not isinstance(value, dict):
            self._add("not-object", (), f"the descriptor is {shown(value)}, not a JSON object")
            return None
        try:
            descriptor = Descriptor.model_validate(value)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            self._bad = {tuple(problem["loc"]) for problem in problems}
            for problem in problems:
                self._complain(problem)
            descriptor = None
        if isinstance(value.get("tasks"), list) and not value["tasks"]:
            self._add("empty-tasks", ("tasks",), "tasks is empty")
        return descriptor

    def _complain(self, problem: Any) -> None:
        place: Place = tuple(problem["loc"])
        kind, value = problem["type"], problem.get("input")
        name = field_name(place[2:] if place[:1] == ("tasks",) and len(place) > 1 else place)
        if kind == "missing":
            self._add("missing-field", place, f"{name} is missing")
        elif kind in CODES:
            self._add(kind, place, f"{name} {problem['msg']}")
        elif kind == "string_unicode":
            self._add("control-characters", place, f"{name} is not valid UTF-8: {shown(value)}")
        elif kind == "too_long":
            found, most = problem["ctx"]["actual_length"], problem["ctx"]["max_length"]
            hint = "split the workstream" if place == ("tasks",) else "split the task"
            what = f"{name} has {found} entries, at most {most} are allowed"
            self._add("too-long", place, what, hint)
        elif kind in ("model_type", "model_attributes_type") and len(place) == 2:
            hint = 'write {"id": …, "intent": …, "owns": …, "validation": …, "output": …}'
            self._add("not-object", place, f"a task is {shown(value)}, not a JSON object", hint)
        else:
            what = problem["msg"].removeprefix("Input ")
            self._add("bad-type", place, f"{name} is {shown(value)}; it {what}")

    def _ids(self) -> None:
        first: dict[str, int] = {}
        for number, task_id in self._values("id"):
            if task_id in first:
                self._add(
                    "duplicate-id", ("tasks", number, "id"),
                    f"tasks[{first[task_id]}] is called {task_id} already", f"{task_id}-2",
                )  # fmt: skip
            first.setdefault(task_id, number)
            if task_id == "root":
                self._warn(
                    "reserved-id", ("tasks", number, "id"),
                    "`rally dag` gathers facts without a step in a node that is called root", "root-1",
                )  # fmt: skip

    def _paths(self) -> None:
        owned: list[list[Owned]] = []
        for number, owns in self._values("owns"):
            if isinstance(owns, list):
                paths = self._canonical(number, owns)
                owned.append(paths)
                name = self._task_name(number)
                self._report.paths[name] = tuple(one.path for one in paths)
        for conflict in conflicts(owned):
            if conflict.mine is None:
                self._add("boundary-conflict", ("tasks",), conflict.message(self._task_name))
                continue
            place: Place = ("tasks", conflict.mine.task, "owns", conflict.mine.entry)
            message = conflict.message(self._task_name)
            self._add("boundary-conflict", place, message, "give each path to one task")

    def _canonical(self, number: int, owns: list[Any]) -> list[Owned]:
        paths: list[Owned] = []
        for entry, raw in enumerate(owns):
            place: Place = ("tasks", number, "owns", entry)
            if place in self._bad:
                continue
            try:
                path = self._look.canonical(raw)
            except UsageError as error:
                code = "too-long" if error.code == "too-long" else "bad-owns"
                self._add(code, place, error.message, error.hint)
                continue
            paths.append(Owned(number, entry, path))
        self._look_at(number, paths)
        return paths

    def _look_at(self, number: int, paths: list[Owned]) -> None:
        """Warn of what is not there, and of what somebody else is at."""
        missing = [one for one in paths if not self._look.exists(one.path)]
        if missing:
            more = len(missing) - 1
            verb = f"and {more} more do not exist" if more else "does not exist"
            meant = next(filter(None, (perhaps_meant(one.path) for one in missing)), "")
            self._warn(
                "missing-path", ("tasks", number, "owns", missing[0].entry),
                f"{shown(missing[0].path)} {verb}" + (f"; {meant}" if meant else ""),
                meant or "fine if the task is to create what it owns",
            )  # fmt: skip
        if self._look.held is not None:
            self._look_who(number, paths, self._look.held)

    def _look_who(
        self, number: int, paths: list[Owned], held: Callable[[str], Iterable[dict[str, Any]]]
    ) -> None:
        found = {claim["event_id"]: (one, claim) for one in paths for claim in held(one.path)}
        if found:
            one, claim = next(iter(found.values()))
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            self._warn(
                "claimed-path", ("tasks", number, "owns", one.entry),
                f"{shown(one.path)} overlaps what {claim['tool']} holds until "
                f"{claim['lease_expires_at']}{more}",
                "nobody else can take the task before that claim ends",
            )  # fmt: skip

    def _dependencies(self) -> None:
        ids = dict(self._values("id"))
        known, strangers = set(ids.values()), 0
        names = sorted(known)[:_NAMES_MAX]
        graph: dict[str, list[str]] = {task_id: [] for task_id in ids.values()}
        place_of: dict[str, int] = {}
        for number, task_id in ids.items():
            place_of.setdefault(task_id, number)
        for number, depends_on in self._values("depends_on"):
            for entry, one in enumerate(depends_on if isinstance(depends_on, list) else ()):
                place: Place = ("tasks", number, "depends_on", entry)
                if not isinstance(one, str) or place in self._bad:
                    continue
                if one not in known:
                    strangers += 1  # guessing takes its time, and a few guesses tell as much as all
                    near = nearest(one, names) if strangers < _GUESSES_MAX else None
                    self._add(
                        "unknown-dependency", place, f"there is no task {shown(one)}",
                        near or f"there are {', '.join(names[:5]) or 'none'}",
                    )  # fmt: skip
                elif number in ids:
                    graph[ids[number]].append(one)
        for path in cycles(graph):
            steps = path if len(path) <= _CYCLE_STEPS_SHOWN else [*path[:_CYCLE_STEPS_SHOWN], "…"]
            self._add(
                "cycle", ("tasks", place_of[path[0]], "depends_on"),
                f"tasks wait for each other: {' → '.join(steps)}",
                f"let {path[0]} depend on something else",
            )  # fmt: skip

    def _commands(self) -> None:
        for number, command in self._values("validation"):
            if isinstance(command, str):
                self._judge(("tasks", number, "validation"), command)
        for number, commands in self._values("commands"):
            for entry, command in enumerate(commands if isinstance(commands, list) else ()):
                place: Place = ("tasks", number, "commands", entry)
                if isinstance(command, str) and place not in self._bad:
                    self._judge(place, command)

    def _judge(self, place: Place, command: str) -> None:
        for what in nondeterminism(command):
            self._add(
                "nondeterministic", place,
                f"{field_name(place[2:])} uses {what}, which answers something else each time",
            )  # fmt: skip

    def _sizes(self) -> None:
        for number, task in enumerate(self._tasks):
            try:
                size = len(orjson.dumps(task)) + _FACT_OVERHEAD_BYTES
            except TypeError:
                continue  # lone surrogates, which have been found already
            if isinstance(task, dict) and size > FACT_BYTES_MAX:
                most = FACT_BYTES_MAX - _FACT_OVERHEAD_BYTES
                self._add(
                    "too-long", ("tasks", number),
                    f"the whole task has {size - _FACT_OVERHEAD_BYTES} bytes, at most {most} are "
                    "allowed",
                )  # fmt: skip

    def _unknown_fields(self) -> None:
        value = self._document.value
        if not isinstance(value, dict):
            return
        self._strange((), value, [*Descriptor.model_fields, SCHEMA_FIELD])
        for number, task in enumerate(self._tasks):
            if isinstance(task, dict):
                self._strange(("tasks", number), task, list(TaskSpec.model_fields))

    def _strange(self, place: Place, value: dict[str, Any], known: list[str]) -> None:
        for name in value.keys() - known:
            near = nearest(name, known)
            self._warn(
                "unknown-field", (*place, name), f"{shown(name)} means nothing here",
                f"did you mean {near}?" if near else f"known are {', '.join(known)}",
            )  # fmt: skip


def _place_key(found: tuple[Place, Violation]) -> tuple[Any, ...]:
    place, violation = found
    numbered = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in place)
    return violation.line, numbered, violation.code, violation.message
