"""The order of it all: assess, plan, execute, judge; one more attempt with what was found; land or give
back.

The task lands only through `task done`, which the room refuses to whoever does not hold it. Whatever
else happens (an interrupt, an agent that fails, an error of rally's) the task is given back; what the
agent wrote stays in the working tree, for rally never undoes anybody's work.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from rally.execution.link import Link
from rally.execution.loop import outcome, prompt
from rally.execution.loop.agents import Agent, find_agent
from rally.execution.loop.evidence import Evidence
from rally.execution.loop.holding import Desk, Taken
from rally.execution.loop.outcome import Attempt, Call, Outcome
from rally.execution.loop.programs import Programs, StoppedError, base_env
from rally.execution.loop.report import SCHEMA, find_report
from rally.execution.loop.snapshot import Snapshots
from rally.execution.loop.tree import Tree, working_tree
from rally.execution.signals import heeded
from rally.facilitation.places import ROOM_FOLDER, Place
from rally.facilitation.task_facts import already_landed
from rally.hosts.oneshot import shape
from rally.model import shell
from rally.model.errors import Failure, RallyError, Refused, UsageError

TIMEOUT_MS_DEFAULT = 30 * 60_000
ATTEMPTS_MAX = 2
# A room that does not answer must not keep anybody who wants to leave.
PATIENCE_S = 5.0
FOLDER = f"{ROOM_FOLDER}/loops"
INTERRUPTED, LOST = "interrupted", "lost"
_SCHEMA_FILE = "report.schema.json"

Warnings = list[dict[str, str]]
Tell = Callable[[str], None]


@dataclass(slots=True, frozen=True, kw_only=True)
class Wish:
    """What is to be done, and by whom.

    Attributes:
        cwd: the folder that it was asked in; its working tree is the agent's.
        task: its id; None: the next one that is ready.
        agent: a known agent's name; None: `words` are a command.
        words: the command, or further arguments of the known agent.
        judge: a shell command; None: nobody is asked.
        timeout_ms: time for each program.
    """

    place: Place
    cwd: str
    run: str
    tool: str
    session_id: str | None = None
    task: str | None = None
    agent: str | None = None
    words: tuple[str, ...] = ()
    judge: str | None = None
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    dry_run: bool = False


async def loop(wish: Wish, env: Mapping[str, str], tell: Tell) -> tuple[dict[str, Any], Warnings]:
    """Carry one task out; what came of it with the verdict, and warnings.

    Args:
        env: the caller's environment.
        tell: told in a few words what happens now.

    Raises:
        UsageError: `not-a-repository`, `unknown-agent`, `unknown-task`, `no-proof`; the task was not
            taken, or was given back.
        Refused: `nothing-ready`, `task-blocked`; likewise.
        Failure: `agent-unusable`, or the room or git cannot be asked; likewise.
        KeyboardInterrupt: a signal came, and the task was given back.
    """
    root = wish.place.root
    tree = working_tree(wish.place, wish.cwd)
    own_env = base_env(env, root)
    agent = find_agent(wish.agent, wish.words, folder=tree.folder, path=own_env["PATH"])
    token = f"loop-{os.getpid()}-{token_hex(4)}"
    link = Link(root, {**env, "RALLY_ROOM": root})
    desk = Desk(link, tool=wish.tool, session_id=wish.session_id or token, run=wish.run)
    try:
        if wish.dry_run:
            return await _dry(wish, desk, tree, agent), []
        folder = f"{root}/{FOLDER}/{token}"
        programs = Programs(tree.folder, folder, own_env, timeout_ms=wish.timeout_ms)
        means = _Means(desk, tree, agent, programs, own_env, folder)
        return await _Loop(wish, means, tell).run()
    finally:
        await link.close()


async def _dry(wish: Wish, desk: Desk, tree: Tree, agent: Agent) -> dict[str, Any]:
    """What would be run. Nothing is, and nothing is recorded."""
    rows = await desk.rows()
    known = [row for row in rows if wish.task in (None, row["id"])]
    if wish.task is not None and not known:
        raise _unknown(wish)
    if wish.task is not None and (landed_by := known[0]["landed_by"]):
        raise already_landed(wish.run, wish.task, landed_by[-1])
    ready = [row for row in known if row["ready"]]
    row = next(iter(ready), None)
    for one in ready:
        if not await desk.is_stopped(one):
            row = one
            break
    if row is None:
        told = [f"{one['id']}: {one['detail'] or one['status']}" for one in known[:5]]
        why = "; ".join(told) or "it has no tasks"
        raise Refused(
            "nothing-ready", f"no task of run {wish.run} can be taken now: {why}",
            hint=f"rally task list --run {shell.word(wish.run)}",
        )  # fmt: skip
    _need_proof(wish, str(row["id"]), str(row.get("validation", "")))
    schema = shape.Schema(SCHEMA, _SCHEMA_FILE)
    words = agent.call("PROMPT", schema).words
    would = [{"what": "agent", "command": " ".join(map(shell.word, words))}]
    if row.get("validation"):
        would.append({"what": "validation", "command": row["validation"]})
    if wish.judge is not None:
        would.append({"what": "judge", "command": wish.judge})
    return {
        "run": wish.run, "task": row["id"], "agent": agent.name, "tool": wish.tool,
        "folder": tree.folder, "dry_run": True, "would_run": would,
    }  # fmt: skip


def _unknown(wish: Wish) -> UsageError:
    return UsageError(
        "unknown-task", f"run {wish.run} has no task {wish.task!a}",
        hint=f"rally task list --run {shell.word(wish.run)}",
    )  # fmt: skip


def _need_proof(wish: Wish, task_id: str, validation: str) -> None:
    """Without a validation and without a judge everything would pass.

    Raises:
        UsageError: `no-proof`.
    """
    if not validation and wish.judge is None:
        raise UsageError(
            "no-proof", f"task {task_id} has no validation, and no --judge was given: nothing could "
            "tell whether it is done",
            hint="--judge 'a command that ends with 0 for yes and with 1 for no'",
        )  # fmt: skip


@dataclass(slots=True, frozen=True)
class _Means:
    """What a loop works with."""

    desk: Desk
    tree: Tree
    agent: Agent
    programs: Programs
    env: Mapping[str, str]
    folder: str


class _Loop:
    """One task, from being taken to being landed or given back."""

    def __init__(self, wish: Wish, means: _Means, tell: Tell) -> None:
        self._wish = wish
        self._tell = tell
        self._desk = means.desk
        self._tree = means.tree
        self._agent = means.agent
        self._programs = means.programs
        self._env = means.env
        self._folder = means.folder
        self._warnings: Warnings = []
        self._is_settled = False

    async def run(self) -> tuple[dict[str, Any], Warnings]:
        """See `loop`."""
        with self._signals():
            try:
                return await self._run()
            except asyncio.CancelledError:
                if self._programs.reason == INTERRUPTED:
                    raise KeyboardInterrupt from None
                raise

    async def _run(self) -> tuple[dict[str, Any], Warnings]:
        if not await self._desk.rows():
            raise Refused(
                "nothing-ready", f"run {self._wish.run} has no tasks",
                hint=f"rally task list --run {shell.word(self._wish.run)}",
            )  # fmt: skip
        taken = await self._desk.take(self._wish.task)
        result = Outcome(taken.assignment, self._agent.name, self._desk.caller, self._tree.folder)
        why = "rally loop was ended"
        try:
            await self._carry_out(taken, result)
        except StoppedError:
            await self._stopped(taken, result)
        except (UsageError, Refused, Failure) as error:
            why = error.message
            raise
        finally:
            if not self._is_settled:
                await self._give_back(taken, why)
            self._clean_up(result)
        return result.as_json(), self._warnings

    async def _give_back(self, taken: Taken, why: str) -> None:
        """Give the task back on the way out of trouble; where that fails too, its lease runs out."""
        with suppress(RallyError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._desk.drop(taken, why)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a terminal that is closed end what runs, with a grace; a second one at
        once."""
        running = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def told() -> None:
            if self._programs.reason == INTERRUPTED:
                task.cancel()
            self._programs.stop(INTERRUPTED)

        numbers = (signal.SIGINT, *heeded(signal.SIGTERM, signal.SIGHUP))
        for number in numbers:
            running.add_signal_handler(number, told)
        try:
            yield
        finally:
            for number in numbers:
                running.remove_signal_handler(number)

    async def _stopped(self, taken: Taken, result: Outcome) -> None:
        if self._programs.reason != LOST:
            raise KeyboardInterrupt
        await self._lose(taken, result)

    async def _lose(self, taken: Taken, result: Outcome) -> None:
        self._is_settled = True
        result.lose()
        with suppress(RallyError):  # then it is not known
            if landed_by := await self._desk.landed_by(taken):
                result.lose(landed_by)

    async def _carry_out(self, taken: Taken, result: Outcome) -> None:
        of = taken.assignment
        _need_proof(self._wish, of.task, of.validation)
        result.logs = self._folder
        scratch = f"{self._folder}/git"
        await asyncio.to_thread(_make, scratch)
        snapshots = await asyncio.to_thread(Snapshots, self._tree.top, self._env, scratch)
        evidence = Evidence(
            self._tree, snapshots, self._programs, self._desk, judge=self._wish.judge
        )
        async with self._desk.kept(taken, lambda: self._programs.stop(LOST)):
            self._warn_dirty(await evidence.begin(taken))
            dependencies = await self._desk.dependencies(of)
            result.plan = prompt.plan(taken, dependencies)
            await self._desk.note(taken, outcome.plan_subject(of, result.plan), result.plan)
            found: list[str] = []
            for number in range(1, ATTEMPTS_MAX + 1):
                text = prompt.prompt(taken, self._desk.caller, result.plan, dependencies, found)
                attempt = await self._attempt(taken, evidence, text, number)
                result.attempts.append(attempt)
                found = attempt.findings
                if not found:
                    break
            self._warnings += await asyncio.to_thread(snapshots.told)
            await self._settle(taken, result)

    def _warn_dirty(self, paths: Sequence[str]) -> None:
        if paths:
            more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
            message = (
                "not as committed when the task was taken, within what it owns: "
                f"{', '.join(paths[:5])}{more}"
            )
            self._warnings.append({"code": "dirty", "message": message})

    async def _attempt(self, taken: Taken, evidence: Evidence, text: str, number: int) -> Attempt:
        """Run the agent once, and look at what it left."""
        self._tell(f"{taken.assignment.task}: attempt {number}, {self._agent.name} is at work")
        call = await self._call(taken, text, number)
        if call.reading.failure not in (None, shape.SCHEMA):
            return Attempt(number, call, await evidence.changed(taken), None)
        self._tell(f"{taken.assignment.task}: attempt {number}, being judged")
        report = find_report(call.reading.said)
        if call.reading.failure is not None:
            report = call.reading.why
        judged = await evidence.judge(taken, report, attempt=number)
        return Attempt(number, call, judged.changes, judged)

    async def _call(self, taken: Taken, text: str, number: int) -> Call:
        """Run the agent."""
        schema_file = f"{self._folder}/{_SCHEMA_FILE}"
        for file, content in ((schema_file, SCHEMA), (f"{self._folder}/prompt-{number}.md", text)):
            await asyncio.to_thread(_write, file, content)
        invocation = self._agent.call(text, shape.Schema(SCHEMA, schema_file))
        of, (tool, session_id) = taken.assignment, self._desk.caller
        env = {
            "RALLY_TOOL": tool, "RALLY_SESSION_ID": session_id, "RALLY_RUN": of.run,
            "RALLY_STEP": of.task, "RALLY_FENCE": str(taken.fence),
        }  # fmt: skip
        try:
            timed = await self._programs.run(
                invocation.words, env, name=f"agent-{number}", stdin=invocation.stdin
            )
        except OSError as error:
            why = f"{self._agent.program} cannot be started: {error.strerror or error}"
            return Call(shape.failed(shape.CONFIG, why))
        ended = timed.ended
        reading = self._agent.read(ended)
        if ended.timed_out:
            late = f"it did not end within {self._wish.timeout_ms // 1_000} s"
            reading = shape.failed(shape.TIMEOUT, late, reading.said)
        return Call(reading, ended.exit_code, timed.duration_ms)

    async def _settle(self, taken: Taken, result: Outcome) -> None:
        """Land the task, or say why not and give it back."""
        self._programs.check_stopped()
        result.conclude(has_judge=self._wish.judge is not None)
        if not await self._desk.is_held(taken):
            await self._lose(taken, result)
            return
        if result.verdict == outcome.PASSED and (stops := await self._desk.stops(taken)):
            result.stop(stops[0])
            await self._desk.drop(taken, result.why)
            self._is_settled = True
            return
        if result.verdict == outcome.PASSED:
            try:
                result.artifact = await self._desk.land(taken, *result.proof())
            except (Refused, UsageError) as error:
                if error.code == "too-long":  # it is held, and is given back on the way out
                    raise
                await self._lose(taken, result)
            self._is_settled = True
            return
        last = result.attempts[-1].call.reading
        if last.failure in (shape.AUTH, shape.CONFIG):
            raise Failure(
                "agent-unusable", f"{self._agent.name} cannot be used: {last.why}",
                hint=f"run {self._agent.program} by hand, and see what it says",
                details={"failure": last.failure, "logs": self._folder},
            )  # fmt: skip
        if last.failure not in (shape.TRANSIENT, shape.QUOTA):
            result.blocker = await self._desk.block(taken, *result.trouble())
        await self._desk.drop(taken, result.why)
        self._is_settled = True

    def _clean_up(self, result: Outcome) -> None:
        """Only what helps to understand a failure is kept."""
        shutil.rmtree(f"{self._folder}/git", ignore_errors=True)
        if result.verdict == outcome.PASSED:
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # another loop's is still in there
                os.rmdir(os.path.dirname(self._folder))
            result.logs = None


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(file: str, text: str) -> None:
    try:
        with open(file, "w", encoding="utf-8", errors="replace") as opened:
            opened.write(text)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(path: str, error: OSError) -> Failure:
    return Failure(
        "unwritable", f"{path} cannot be written: {error.strerror}", hint=f"ls -ld {FOLDER}"
    )
