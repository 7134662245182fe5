"""Dealing with activity: batches, one at a time, each tried until it is done or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from secrets import randbelow
from typing import Any

from rally.execution.activity import Batch, Doc, Pace, gathered
from rally.execution.attempts import ATTEMPTS_MAX, pause_ms
from rally.execution.commands import Commands, outcome
from rally.execution.cursor import Cursor, Mark
from rally.execution.link import Link
from rally.execution.reporter import Reporter
from rally.execution.stop import Stop
from rally.execution.surroundings import activity_env
from rally.model.clock import Clock, to_rfc3339
from rally.model.errors import RallyError


@dataclass(slots=True)
class News:
    """The activity of one room, for one watcher.

    Attributes:
        link: the room.
        caller: `tool` and `session_id` of the watcher.
        command: for `sh`; None only tells of batches, and keeps no cursor.
        is_dry: tell what would be done, run nothing, keep nothing.
        commands: run here, while one of the `slots` is held.
        cursor: how far the label is.
        pace: when the next batch may begin.
    """

    link: Link
    caller: Mapping[str, str]
    command: str | None
    is_dry: bool
    commands: Commands
    slots: asyncio.Semaphore
    cursor: Cursor
    pace: Pace
    reporter: Reporter
    clock: Clock
    stop: Stop
    base_env: Mapping[str, str]
    _mark: Mark = field(default=Mark(0), init=False)
    _pending: Batch | None = field(default=None, init=False)
    _came: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def label(self) -> str:
        """The watcher's label."""
        return self.caller["tool"]

    def begin(self, head: int) -> int:
        """Where to begin reading: behind what the label has seen, the first time at the head.

        Raises:
            Failure: `unwritable`, the cursor cannot be kept.
        """
        self._mark = Mark(head)
        if self.command is None:
            return head
        kept = self.cursor.read()
        if kept is not None and kept.seq <= head:
            self._mark = kept
        elif not self.is_dry:
            # The first call; or the ledger is another one, and its numbers mean other facts.
            self._keep(Mark(head), anew=True)
        return self._mark.seq

    def add(self, facts: list[Doc]) -> None:
        """Facts that came, ascending."""
        self._pending = gathered(self._pending, facts, self.label)
        if self._pending is not None:
            self._came.set()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether this process deals with the news now; calls from cron may overlap (`--once`).

        Raises:
            Failure: `unwritable`, the cursor's folder cannot be written.
        """
        if self.command is None or self.is_dry:
            yield self.command is not None
            return
        with self.cursor.turn() as is_ours:
            if not is_ours:
                self.reporter.tell("skipped", reason="running-elsewhere", detail="activity")
            yield is_ours

    async def settle(self, head: int) -> None:
        """Try once what has come so far, and keep the place behind it (`--once`).

        Args:
            head: the ledger's head up to which was read.

        Raises:
            RallyError: the room cannot be written, or the place cannot be kept.
        """
        batch, self._pending = self._pending, None
        if batch is None or await self._try(batch, retries=False):
            self._done(max(head, batch.last_seq if batch else 0, self._mark.seq))

    async def follow(self) -> None:
        """Deal with batches as they come, until stopping is asked for.

        Raises:
            RallyError: the room cannot be written, or the place cannot be kept.
        """
        while await self._wait_for_batch():
            batch, self._pending = self._pending, None
            self._came.clear()
            assert batch is not None
            self.pace.begin(self.clock.now_ms())
            while not await self._try(batch, retries=True):
                if self.stop.is_asked:
                    return
                pause = pause_ms(self._mark.attempts, randbelow(1_001) / 1_000)
                await self.stop.sleep_until(self.clock.now_ms() + pause)
            self._done(batch.last_seq)
            self.pace.end(self.clock.now_ms())

    async def _wait_for_batch(self) -> bool:
        """Wait until there is one and its time has come; false when it is time to stop."""
        loop = asyncio.get_running_loop()
        waits = [loop.create_task(self._came.wait()), loop.create_task(self.stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        await self.stop.sleep_until(self.pace.next_ms())
        return not self.stop.is_asked

    async def _try(self, batch: Batch, *, retries: bool) -> bool:
        """Deal with a batch once; whether nothing more is to be done about it."""
        about = {"from_seq": batch.first_seq, "to_seq": batch.last_seq}
        if self.command is None or self.is_dry:
            dry = True if self.is_dry else None
            self.reporter.tell(
                "activity", **about, facts=batch.facts, command=self.command, dry_run=dry
            )
            return True
        async with self.slots:
            if self.stop.is_asked:
                return False
            attempt = self._mark.attempts + 1
            self._keep(Mark(self._mark.seq, attempt))
            about["attempt"] = attempt
            how = await self._run(batch, about)
        if how.pop("succeeded"):
            self.reporter.tell("finished", **about, **how)
            return True
        if attempt >= ATTEMPTS_MAX:
            risk = await self._say_risk(batch)
            self.reporter.tell("failed", **about, **how, gave_up=True, risk=risk)
            return True
        again = self.clock.now_ms() + pause_ms(attempt, 0) if retries else None
        again_at = to_rfc3339(again) if again is not None else None
        self.reporter.tell("failed", **about, **how, retry_at=again_at)
        return False

    async def _run(self, batch: Batch, about: Mapping[str, int]) -> dict[str, Any]:
        """Run the command; how it ended."""
        command = self.command or ""
        began_ms = self.clock.now_ms()

        def started(pid: int) -> None:
            self.reporter.tell("activity", **about, facts=batch.facts, command=command, pid=pid)

        env = activity_env(self.base_env, batch.first_seq, batch.last_seq)
        try:
            ended = await self.commands.run(["sh", "-c", command], env, on_start=started)
        except OSError as error:
            how: dict[str, Any] = {
                "succeeded": False, "error": f"sh cannot be started: {error.strerror}",
            }  # fmt: skip
        else:
            how = {"succeeded": ended.succeeded, **outcome(ended)}
        how["duration_ms"] = self.clock.now_ms() - began_ms
        return how

    async def _say_risk(self, batch: Batch) -> str | None:
        return await self.link.say_risk(
            **self.caller,
            key=f"activity:{self.label}:{batch.first_seq}",
            subject=f"the activity command of {self.label} failed {ATTEMPTS_MAX} times "
            f"on facts {batch.first_seq} to {batch.last_seq}",
        )

    def _done(self, seq: int) -> None:
        if self.command is not None and not self.is_dry:
            self._keep(Mark(seq))
        self._mark = Mark(seq)

    def _keep(self, mark: Mark, *, anew: bool = False) -> None:
        self._mark = mark
        if self.link.has_room():
            self.cursor.write(mark, anew=anew)
        else:
            self.cursor.await_room()


async def quietly(task: asyncio.Task[None]) -> None:
    """Wait for a task that was cancelled, or whose error is told elsewhere."""
    with suppress(asyncio.CancelledError, RallyError):
        await task
