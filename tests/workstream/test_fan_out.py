"""Many takers at one run: each task to one of them, and never before what it builds on (contract W5)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rally.facilitation.rooms import Rooms
from rally.model.errors import Refused

TAKERS, TASKS, PROCESSES = 16, 200, 2
COMMAND = Path(__file__).parents[2] / "bin" / "rally"
TAKER = Path(__file__).with_name("taker_process.py")
Doc = dict[str, Any]


def tasks_of(seed: int) -> list[Doc]:
    """Two hundred tasks: files of their own, some that share a folder, some that only read."""
    rng = random.Random(seed)
    made: list[Doc] = []
    for number in range(TASKS):
        earlier = [one["id"] for one in made[-25:]]
        kind = rng.random()
        owns = (
            [f"src/f{number}"] if kind < 0.6 else [f"shared/{number % 7}/"] if kind < 0.85 else []
        )
        made.append(
            {
                "id": f"t{number}", "intent": f"do {number}", "owns": owns, "read_only": not owns,
                "depends_on": rng.sample(earlier, min(len(earlier), rng.randrange(3))),
                "priority": rng.choice([1, 100, 100]),
            }
        )  # fmt: skip
    return made


class Changes:
    """How often a task was ended, for those who found nothing to take."""

    def __init__(self) -> None:
        self.number = 0
        self._event = asyncio.Event()

    def tell(self) -> None:
        self.number += 1
        self._event.set()
        self._event = asyncio.Event()

    async def after(self, seen: int) -> None:
        """Wait for one more than were seen before the question was asked."""
        if self.number == seen:
            await self._event.wait()


class Taker:
    """An agent that takes what there is until all of it has landed."""

    def __init__(self, number: int, rooms: Rooms, cwd: Path, env: dict[str, str]) -> None:
        self.tool = f"taker:{number}"
        self._ask = rooms
        self._cwd, self._env = str(cwd), env
        self._rng = random.Random(number)
        self.refusals: list[Refused] = []

    async def call(self, **params: Any) -> Doc:
        given = {"run": "r", "tool": self.tool, **params}
        return (await self._ask.call("task", given, cwd=self._cwd, env=self._env)).data

    async def work(self, changes: Changes) -> None:
        while True:
            seen = changes.number
            try:
                taken = await self.call(action="take")
            except Refused as refusal:
                assert refusal.code == "nothing-ready"
                self.refusals.append(refusal)
                if not refusal.details["waiting"]:
                    return
                await changes.after(seen)
                continue
            for _ in range(self._rng.randrange(3)):  # meanwhile the others go on
                await self.call(action="list")
            end = "drop" if self._rng.random() < 0.1 else "done"
            await self.call(action=end, id=taken["task"]["id"])
            changes.tell()


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_task_is_done_once_by_one_and_in_order(tmp_path: Path, seed: int) -> None:
    """C3: 16 takers in two processes' worth of rooms, 200 tasks; the ledger itself is the witness."""
    env = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    repo = tmp_path / "repo"
    repo.mkdir()
    doors = [Rooms() for _ in range(PROCESSES)]
    tasks = tasks_of(seed)
    params = {"action": "start", "run": "r", "tool": "lead:1", "workstream": "w", "tasks": tasks}
    await doors[0].call("task", params, cwd=str(repo), env=env)
    takers = [Taker(n, doors[n % PROCESSES], repo, env) for n in range(TAKERS)]
    changes = Changes()
    await asyncio.wait_for(asyncio.gather(*(one.work(changes) for one in takers)), 120)
    log = {"limit": 0}
    facts = (await doors[1].call("log", log, cwd=str(repo), env=env)).data["facts"]
    for rooms in doors:
        await rooms.close()
    witness(tasks, facts)
    assert len({one["tool"] for one in facts if one["kind"] == "artifact"}) > 4
    assert sum(len(one.refusals) for one in takers) >= TAKERS


@pytest.mark.slow
def test_sixteen_processes_share_a_run(tmp_path: Path) -> None:
    """C3, W5: the same with a process for each taker, half of them through a daemon, half without."""
    tasks = tasks_of(3)
    (tmp_path / "repo").mkdir()
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"), "RALLY_RUNTIME_DIR": str(tmp_path / "run"),
    }  # fmt: skip

    def rally(*words: str) -> Doc:
        command = [sys.executable, str(COMMAND), *words, "--json"]
        done = subprocess.run(
            command, cwd=tmp_path / "repo", env=env, capture_output=True, check=True
        )
        found: Doc = json.loads(done.stdout)["data"][words[0]]
        return found

    asyncio.run(begin(tasks, tmp_path / "repo", env))
    rally("daemon", "start")
    try:
        takers = [
            subprocess.Popen(
                [sys.executable, str(TAKER), f"taker:{number}", str(number)],
                cwd=tmp_path / "repo", stdout=subprocess.PIPE, text=True,
                env=env if number % 2 else {**env, "RALLY_DAEMON": "off"},
            )
            for number in range(TAKERS)
        ]  # fmt: skip
        said = [taker.communicate(timeout=120)[0] for taker in takers]
        facts = rally("log", "--limit", "0")["facts"]
        graph = rally("dag", "--run", "r")
    finally:
        rally("daemon", "stop")
    assert [taker.returncode for taker in takers] == [0] * TAKERS
    assert all("nothing" in one for one in said)
    witness(tasks, facts)
    assert len({one["tool"] for one in facts if one["kind"] == "artifact"}) > 8
    steps = {node["status"] for node in graph["nodes"] if node["step_id"] != "root"}
    assert (steps, graph["counts"]["landed"]) == ({"landed"}, TASKS)


async def begin(tasks: list[Doc], repo: Path, env: dict[str, str]) -> None:
    """Start the run."""
    rooms = Rooms()
    params = {"action": "start", "run": "r", "tool": "lead:1", "workstream": "w", "tasks": tasks}
    await rooms.call("task", params, cwd=str(repo), env=env)
    await rooms.close()


def is_takeable(task: Doc, held: dict[str, Doc], landed: list[str]) -> bool:
    """Whether a task could be given to somebody who holds nothing."""
    if task["id"] in held or task["id"] in landed or not set(task["depends_on"]) <= set(landed):
        return False
    taken = {path for claim in held.values() for path in claim.get("paths", [])}
    return taken.isdisjoint(one.rstrip("/") for one in task["owns"])


def witness(tasks: list[Doc], facts: list[Doc]) -> None:
    """What the ledger must show, read from its facts alone and in their order."""
    by_id = {one["id"]: one for one in tasks}
    rank = {one["id"]: (one["priority"], number) for number, one in enumerate(tasks)}
    held: dict[str, Doc] = {}  # step to the claim that holds it
    landed: list[str] = []
    for fact in facts:
        step = fact.get("step", "")
        if fact["kind"] == "claim":
            task = by_id[step]
            assert step not in held, f"{step} was given to two"
            assert step not in landed, f"{step} was given after it had landed"
            assert set(task["depends_on"]) <= set(landed), f"{step} was given too early"
            assert fact.get("paths", []) == [one.rstrip("/") for one in task["owns"]]
            others = [path for claim in held.values() for path in claim.get("paths", [])]
            assert not set(others) & set(fact.get("paths", [])), (
                f"{step} writes what another one holds"
            )
            better = [
                one["id"]
                for one in tasks
                if rank[one["id"]] < rank[step] and is_takeable(one, held, landed)
            ]
            assert not better, f"{step} was given before {better}"
            held[step] = fact
        elif fact["kind"] == "artifact":
            assert held[step]["tool"] == fact["tool"], f"{step} was landed by a stranger"
            landed.append(step)
        elif fact["kind"] == "release":
            assert held.pop(step)["event_id"] == fact["ref"]
    assert sorted(landed) == sorted(by_id)
    assert held == {}
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1))
