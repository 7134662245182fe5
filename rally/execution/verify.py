"""`workstream verify` (contract W6): does what landed still hold?

A runner. It asks the room which tasks have landed, runs the validation of each again, records every
outcome as a note of the step, and sums up. It decides nothing: whoever reads the notes does. A
validation that another machine sent (`trust: untrusted`) is never run (contract T3).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from rally.client.direct import Client
from rally.client.tasks import all_tasks
from rally.execution.process import start_child
from rally.execution.signals import heeded
from rally.execution.worktree import Making, commit_id
from rally.model import shell
from rally.model.errors import RallyError, UsageError

TOOL_DEFAULT = "verify"
JOBS_DEFAULT = 4
JOBS_MAX = 64
TIMEOUT_MS_DEFAULT = 10 * 60_000
GRACE_S = 5.0

Row = Mapping[str, Any]
Rows = tuple[Row, ...]
T = TypeVar("T")
Warnings = list[dict[str, str]]
Tell = Callable[[int, int, str], None]


@dataclass(slots=True, frozen=True, kw_only=True)
class Wish:
    """What is to be verified, and how.

    Attributes:
        step: only this step; None: all of the run.
        at: a commit, verified in a clean working tree of its own; None: the room's root as it is.
        jobs: validations that run at one time, 1 to `JOBS_MAX`.
        timeout_ms: time for each.
        tool: who records the outcomes.
        described: the tasks of a descriptor, each with `id`, `depends_on` and `validation`; they are
            judged although nobody registered them. What was registered is what is run.
    """

    run: str
    root: str
    step: str | None = None
    at: str | None = None
    jobs: int = JOBS_DEFAULT
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    dry_run: bool = False
    tool: str = TOOL_DEFAULT
    session_id: str | None = None
    described: Rows = ()


async def verify(
    client: Client, wish: Wish, env: Mapping[str, str], *, tell: Tell | None = None
) -> tuple[dict[str, Any], Warnings]:
    """Run the validations of landed tasks again; what came of it with the verdict, and warnings.

    Given up (cancelled), it kills what runs, removes the working tree that it made and records nothing
    more.

    Args:
        client: of the room that `wish.root` is the root of.
        env: the environment that validations get, less git's own.
        tell: told how far it is: how many are done, of how many, and which was the last.

    Raises:
        UsageError: `unknown-task`; `not-a-repository` or `bad-value` for `at`.
        Failure: the room cannot be asked, or the working tree not be made.
    """
    rows, noted = await _rows(client, wish)
    todo = [row for row in rows if _is_due(row)]
    result: dict[str, Any] = {
        "action": "verify",
        "run": wish.run,
        "at": None,
        "dry_run": wish.dry_run,
    }
    if wish.dry_run:
        planned = [{"step": row["id"], "command": row["validation"]} for row in todo]
        if wish.at is not None:
            result["at"] = await asyncio.to_thread(commit_id, wish.root, wish.at, env)
        folder = wish.root if wish.at is None else None
        return {**result, "would_run": planned, "folder": folder}, noted
    async with _working_tree(wish, env, noted) as (folder, commit):
        runs = _Validations(client, wish, {**env}, folder=folder, commit=commit)
        runs.tell = tell or runs.tell
        outcomes = await runs.all(todo)
    by_step = {one["step"]: one for one in outcomes}
    steps = [
        {**(by_step.get(row["id"]) or _not_run(row)), "landed_by": row["landed_by"]} for row in rows
    ]
    verdict, why = verdict_of(steps)
    data = {**result, "at": commit, "verdict": verdict, "why": why, "steps": steps}
    return data, [*noted, *runs.warnings]


async def until_told(work: Coroutine[Any, Any, T]) -> T:
    """Carry something out; SIGTERM or a terminal that is closed gives it up, so that it cleans up
    behind itself.

    Raises:
        KeyboardInterrupt: a signal came, and the work has been given up.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    numbers = heeded(signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if own is not None and own.cancelling():
            raise
        raise KeyboardInterrupt from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def verdict_of(steps: Sequence[Row]) -> tuple[str, str]:
    """`complete`, `incomplete`, `unverified` or `broken`, the worst that is true, and why."""

    def named(*statuses: str) -> list[str]:
        return [str(one["step"]) for one in steps if one["status"] in statuses]

    if broken := named("failed"):
        return "broken", f"no longer valid: {_listed(broken)}"
    if missing := named("not_landed"):
        return "incomplete", f"not landed: {_listed(missing)}"
    if open_ := named("unverified"):
        return "unverified", f"landed, and nothing shows that it holds: {_listed(open_)}"
    if not steps:
        return "incomplete", "the run has no tasks"
    return "complete", f"all {len(steps)} landed and hold"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


async def _rows(client: Client, wish: Wish) -> tuple[list[Row], Warnings]:
    """The tasks to be judged, registered or described, and where the two tell different things."""
    described = {one["id"]: one for one in wish.described}
    steps = [{"id": one["id"], "depends_on": one["depends_on"]} for one in wish.described]
    rows: list[Row] = []
    noted: Warnings = []
    for row in await all_tasks(client, wish.run, steps=steps):
        validation = described.get(row["id"], row).get("validation")
        if row["registered"] and validation != row.get("validation"):
            message = (
                f"{row['id']}: the file's validation differs from the registered one, which counts"
            )
            noted.append({"code": "validation-differs", "message": message})
        rows.append(row if row["registered"] else {**row, "validation": validation})
    if wish.step is None:
        return rows, noted
    rows = [row for row in rows if row["id"] == wish.step]
    if not rows:
        raise UsageError(
            "unknown-task", f"run {wish.run} has no task {wish.step!a}",
            hint=f"rally task list --run {shell.word(wish.run)}",
        )  # fmt: skip
    return rows, noted


def _is_due(row: Row) -> bool:
    return bool(row["status"] == "landed" and row.get("validation") and not _is_foreign(row))


def _is_foreign(row: Row) -> bool:
    return row.get("trust") == "untrusted"


def _not_run(row: Row) -> dict[str, Any]:
    if row["status"] != "landed":
        return {"step": row["id"], "status": "not_landed", "why": row["detail"] or row["status"]}
    why = "another machine's command is not run" if _is_foreign(row) else "it has no validation"
    return {"step": row["id"], "status": "unverified", "why": why}


@asynccontextmanager
async def _working_tree(
    wish: Wish, env: Mapping[str, str], noted: Warnings
) -> AsyncIterator[tuple[str, str | None]]:
    """The folder to validate in, and the commit where it is not the room's root."""
    if wish.at is None:
        yield wish.root, None
        return
    making = Making(wish.root, wish.at, env)
    try:
        tree = await asyncio.to_thread(making.make)
        if tree.lacks_submodules:
            message = f"submodules are empty in a clean working tree of {wish.at}"
            noted.append({"code": "no-submodules", "message": message})
        yield tree.folder, tree.commit
    finally:
        # Not awaited: it must happen also when we are being cancelled.
        making.end()


class _Validations:
    """The validations of one call."""

    def __init__(
        self, client: Client, wish: Wish, env: dict[str, str], *, folder: str, commit: str | None
    ) -> None:
        self._client = client
        self._wish = wish
        self._folder = folder
        self._commit = commit
        self._free = asyncio.Semaphore(wish.jobs)
        own = {name: value for name, value in env.items() if not name.startswith("GIT_")}
        self._env = {**own, "RALLY_ROOM": wish.root, "RALLY_RUN": wish.run}
        self.warnings: Warnings = []
        self.tell: Tell = lambda done, total, step: None
        self._done = self._total = 0

    async def all(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Run them, some at a time; outcomes in the order of the rows."""
        self._total = len(rows)
        self.tell(0, self._total, "")
        return await asyncio.gather(*(self._one(row) for row in rows))

    async def _one(self, row: Row) -> dict[str, Any]:
        async with self._free:
            outcome = await self._run(row)
        outcome["event_id"] = await self._record(outcome)
        self._done += 1
        self.tell(self._done, self._total, f"{row['id']} {outcome['status']}")
        return outcome

    async def _run(self, row: Row) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        outcome = {"step": row["id"], "command": row["validation"]}
        try:
            child = start_child(
                ["/bin/sh", "-c", row["validation"]], cwd=self._folder,
                env={**self._env, "RALLY_STEP": row["id"]},
            )  # fmt: skip
        except OSError as error:
            return {**outcome, "status": "failed", "exit_code": 126, "timed_out": False,
                    "duration_ms": 0, "output": f"it cannot be started: {error}"}  # fmt: skip
        ended = await child.ended(timeout_s=self._wish.timeout_ms / 1_000, grace_s=GRACE_S)
        return {
            **outcome,
            "status": "passed" if ended.succeeded else "failed",
            "exit_code": ended.exit_code,
            "timed_out": ended.timed_out,
            "duration_ms": round((loop.time() - began_s) * 1_000),
            "output": ended.told,
        }

    async def _record(self, outcome: Row) -> str | None:
        """Write the outcome down; one that cannot be is a warning, not the end of the others."""
        names = ("exit_code", "timed_out", "duration_ms")
        data = {"validation": outcome["command"], **{name: outcome[name] for name in names}}
        if self._commit:
            data["commit"] = self._commit
        evidence = [_ending(outcome), *([outcome["output"]] if outcome["output"] else [])]
        try:
            try:
                said = await self._say(outcome, data, evidence)
            except RallyError as error:
                if error.code != "too-long":
                    raise
                # The task may fill a fact by itself, and bytes that are no text take six times the
                # room. How it ended is what matters.
                del data["validation"]
                said = await self._say(outcome, data, evidence[:1])
        except RallyError as error:
            message = f"the outcome of {outcome['step']} is not recorded: {error.message}"
            self.warnings.append({"code": "not-recorded", "message": message})
            return None
        return str(said["fact"]["event_id"])

    async def _say(
        self, outcome: Row, data: Mapping[str, Any], evidence: Sequence[str]
    ) -> Mapping[str, Any]:
        session = {"session_id": self._wish.session_id} if self._wish.session_id else {}
        return await self._client.call(
            "say", kind="note", tool=self._wish.tool, **session,
            subject=f"validation {outcome['status']}: {outcome['step']}", run=self._wish.run,
            step=outcome["step"], status=outcome["status"], data=dict(data), evidence=list(evidence),
        )  # fmt: skip


def _ending(outcome: Row) -> str:
    """How a validation ended, for those who read the evidence alone."""
    if outcome["timed_out"]:
        return "timed out"
    return f"exit {outcome['exit_code']} after {outcome['duration_ms']} ms"
