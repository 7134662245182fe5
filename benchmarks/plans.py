"""The figures of a large plan: what a task costs to take, and a descriptor to lint."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.rooms import Bench
from benchmarks.table import Row, ratio
from benchmarks.timing import medians
from rally.client.connection import Connection
from rally.facilitation.places import find_place
from rally.workstream.boundaries import Owned, conflicts
from rally.workstream.descriptor import Descriptor
from rally.workstream.files import lint_file

MANY, FEW = 2_000, 20
ROUNDS = 300
LINT_ROUNDS = 15
PATHS_EACH = 5
RUN = "r"

Doc = dict[str, Any]


def _plan(tasks: int) -> Doc:
    """A sound descriptor: five files each, in folders of a size that people have."""
    described = [
        {
            "id": f"t{n}", "intent": f"port part {n} to the new interface",
            "owns": [f"src/part{n % 50}/unit{n}/file{k}.py" for k in range(PATHS_EACH)],
            "validation": f"python3 -m pytest -q tests/part{n % 50}/test_unit{n}.py",
            "output": f"src/part{n % 50}/unit{n}", "depends_on": [f"t{n - 1}"] if n % 5 else [],
        }
        for n in range(tasks)
    ]  # fmt: skip
    return {"workstream": "bench", "description": "a large plan", "tasks": described}


async def _take_us(sides: list[Connection]) -> list[float]:
    """Median microseconds of taking a task, the sides in turn; each is given back again."""
    taken: list[list[float]] = [[] for _ in sides]
    for turn in range(-20, ROUNDS):
        for side, kept in zip(sides, taken, strict=True):
            began = time.perf_counter()
            answer = await side.call("task", action="take", run=RUN, tool="live:0")
            took = (time.perf_counter() - began) * 1e6
            await side.call("task", action="drop", run=RUN, id=answer["task"]["id"], tool="live:0")
            if turn >= 0:
                kept.append(took)
    return [statistics.median(kept) for kept in taken]


async def _takes(bench: Bench, roots: list[Path]) -> list[float]:
    sides = [await Connection.open(env=bench.env, cwd=str(root)) for root in roots]
    for side, number in zip(sides, (MANY, FEW), strict=True):
        tasks = [
            {name: task[name] for name in ("id", "intent", "owns", "depends_on")}
            for task in _plan(number)["tasks"]
        ]
        await side.call(
            "task", action="start", run=RUN, tool="live:0", workstream="bench", tasks=tasks
        )
    found = await _take_us(sides)
    for side in sides:
        await side.close()
    return found


def take(bench: Bench) -> list[Row]:
    """Taking a task of a run of two thousand, against a run of twenty."""
    roots = [bench.room(name, facts=100) for name in ("many-tasks", "few-tasks")]
    many, few = asyncio.run(_takes(bench, roots))
    return [ratio("task take in a run of 2,000 tasks, against 20", many, few, "µs", bar=2)]


def lint(bench: Bench) -> list[Row]:
    """Linting 2,000 tasks with 10,000 files, against what pydantic takes to parse them."""
    root = bench.room("lint", facts=100)
    plan = _plan(MANY)
    raw = json.dumps(plan, indent=1).encode()
    (root / "plan.json").write_bytes(raw)
    owned = []
    for number, task in enumerate(plan["tasks"]):
        owned.append([Owned(number, entry, path) for entry, path in enumerate(task["owns"])])
        (root / task["owns"][0]).parent.mkdir(parents=True)
        for path in task["owns"]:
            (root / path).touch()
    place = find_place(str(root))

    def parse() -> None:
        Descriptor.model_validate_json(raw)

    def compare() -> None:
        if list(conflicts(owned)):
            raise RuntimeError("the plan is not sound")

    def whole() -> None:
        report = lint_file("plan.json", place, cwd=str(root), stdin=None)
        if report.violations or report.warnings:
            raise RuntimeError("the plan does not lint clean")

    sides = [lambda _, do=do: _took_ms(do) for do in (parse, compare, whole)]
    parsing, comparing, linting = medians(sides, rounds=LINT_ROUNDS)
    return [
        ratio("overlaps of 10,000 paths, against parsing them", comparing, parsing, "ms", bar=2),
        ratio("lint of 2,000 tasks, 10,000 files, against the same", linting, parsing, "ms", bar=10),
    ]  # fmt: skip


def _took_ms(do: Any) -> float:
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1e3
