"""The watcher: sleeps on the room, fires standbys that are due, deals with activity (contract X1).

It never polls. The room (the daemon, or the ledger's folder without one) tells when facts come and
when a standby falls due; the only timers here are pauses, leases of others, and the heartbeat.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally.execution.activity import Pace
from rally.execution.attempts import Doc, Fired
from rally.execution.boundaries.sentinel import Sentinel
from rally.execution.commands import Commands, Limits
from rally.execution.cursor import Cursor
from rally.execution.firing import Firing
from rally.execution.leases import Leases, grace_s, lease_ms
from rally.execution.link import Link
from rally.execution.news import News, quietly
from rally.execution.reporter import Reporter, shown_command
from rally.execution.stop import Stop
from rally.execution.surroundings import base_env
from rally.model.clock import Clock
from rally.model.errors import Failure, RallyError
from rally.wire.locations import state_home

# After the room could not be asked or written, for a reason that may pass (a full disk).
_TROUBLE_PAUSE_MS = 60_000
_ALIVE = ("head", "due", "running", "next_due_at")
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(slots=True, frozen=True)
class Wishes:
    """What a watcher was asked to do.

    Attributes:
        root: the room's root folder.
        label: under which it claims, and which marks what its commands say.
        on_wake, on_activity: commands for `sh`; without, what rally suggests, and nothing.
        kinds: the kinds of facts that are activity; empty for all.
        once: do what is to be done now, and end.
        is_dry: tell what would be done, and write nothing.
        interval_ms, max_interval_ms: the shortest and the longest pause between two activity
            commands; the longest also between two signs of life.
        duration_ms: stop after so long; None: never.
        timeout_ms: of each command.
        most: commands that run at one time.
        boundaries: tell also of writes on others' claims.
    """

    root: str
    label: str
    on_wake: str | None
    on_activity: str | None
    kinds: tuple[str, ...]
    once: bool
    is_dry: bool
    interval_ms: int
    max_interval_ms: int
    duration_ms: int | None
    timeout_ms: int
    most: int
    boundaries: bool = False


class Watcher:
    """One run of `rally watch`. Made in a running event loop.

    Args:
        wishes: what to do.
        env: the environment that it was called in.
        reporter: told what happens.
        clock: tells the time.
    """

    def __init__(
        self, wishes: Wishes, *, env: Mapping[str, str], reporter: Reporter, clock: Clock
    ) -> None:
        self._wishes = wishes
        self._reporter = reporter
        self._clock = clock
        self._slots = asyncio.Semaphore(wishes.most)
        self.stop = Stop(clock)
        timeout_s = wishes.timeout_ms / 1_000
        surroundings = base_env(env, root=wishes.root, label=wishes.label)
        self._link = Link(wishes.root, surroundings)
        self._commands = Commands(wishes.root, Limits(timeout_s, grace_s(timeout_s)))
        leases = Leases(self._link, label=wishes.label, ttl_ms=lease_ms(timeout_s))
        self._firing = Firing(
            self._link, leases, self._commands, reporter, clock, surroundings, wishes.on_wake,
            began_ms=clock.now_ms(), keeps_pauses=not wishes.once,
        )  # fmt: skip
        self._news = News(
            self._link,
            leases.caller,
            wishes.on_activity,
            wishes.is_dry,
            self._commands,
            self._slots,
            Cursor(wishes.root, wishes.label, state=state_home(env)),
            Pace(shortest_ms=wishes.interval_ms, longest_ms=wishes.max_interval_ms),
            reporter,
            clock,
            self.stop,
            surroundings,
        )
        self._sentinel: Sentinel | None = None
        if wishes.boundaries:
            self._sentinel = Sentinel(
                self._link, leases.caller, wishes.is_dry, reporter, clock, env
            )
        reporter.status = self._status
        self._head = 0
        self._due: dict[str, Doc] = {}
        self._next_due_at: str | None = None
        self._tended: dict[str, asyncio.Task[None]] = {}
        self._withdrawn: dict[str, asyncio.Event] = {}
        self._settled: set[str] = set()
        self._follows = False

    async def run(self) -> None:
        """Watch until told to stop; with `once`, until everything was tried.

        Raises:
            RallyError: the room cannot be followed; no command runs any more.
        """
        loop = asyncio.get_running_loop()
        # What it was started to ignore (`nohup`) stays ignored.
        heard = [one for one in _STOP_SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
        for number in heard:
            loop.add_signal_handler(number, self._signalled, number.name)
        if self._wishes.duration_ms is not None:
            loop.call_later(self._wishes.duration_ms / 1_000, self.stop.ask, "duration")
        try:
            if self._wishes.once:
                await self._once()
                self.stop.ask("once")
            else:
                await self._follow()
        except RallyError as error:
            self.stop.ask(error.code)
            raise
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
            counts = self._reporter.counts
            self._reporter.tell(
                "stopped",
                reason=self.stop.reason,
                fired=counts["fired"],
                finished=counts["finished"],
                failed=counts["failed"],
            )
            await self._link.close()

    def _signalled(self, name: str) -> None:
        """The first signal stops gently, the second ends what runs."""
        if self.stop.is_asked:
            self._commands.cut_short()
        self.stop.ask(name)

    # --- following

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        reader = loop.create_task(self._read())
        beat = loop.create_task(self._beat())
        news = loop.create_task(self._news.follow())
        stopped = loop.create_task(self.stop.wait())
        endless = [reader, beat]
        if self._sentinel is not None:
            endless.append(loop.create_task(self._sentinel.follow()))
        try:
            await asyncio.wait((*endless, news, stopped), return_when=asyncio.FIRST_COMPLETED)
            trouble = next((task.exception() for task in (*endless, news) if task.done()), None)
            if trouble is not None:
                self.stop.ask(trouble.code if isinstance(trouble, RallyError) else "internal")
        finally:
            for task in (*endless, stopped):
                task.cancel()
        await self._until_all_ended(news)
        if trouble is not None:
            raise trouble

    async def _until_all_ended(self, news: asyncio.Task[None]) -> None:
        """Wait for the commands that run; those who sleep or wait for a slot see the stop."""
        for withdrawn in self._withdrawn.values():
            withdrawn.set()
        if self._tended:
            await asyncio.wait(list(self._tended.values()))
        await quietly(news)

    async def _read(self) -> None:
        head = (await self._link.call("whoami"))["head"]
        since = self._news.begin(head)
        self._head = head
        self._reporter.refresh()
        events = self._link.follow(
            since=since, want=["facts", "due"], kinds=list(self._wishes.kinds)
        )
        async with aclosing(events):
            async for event in events:
                if event["event"] == "facts":
                    self._head = event["facts"][-1]["seq"]
                    self._news.add(event["facts"])
                elif event["event"] == "due":
                    self._see_due(event)
                    if not self._follows:
                        self._follows = True
                        if self._sentinel is not None:
                            await self._sentinel.ready.wait()
                        self._tell_alive(head)

    def _see_due(self, event: Mapping[str, Any]) -> None:
        self._next_due_at = event["next_due_at"]
        self._due = _by_id(event["due"])
        self._settled &= self._due.keys()
        for standby_id, withdrawn in self._withdrawn.items():
            if standby_id not in self._due:
                withdrawn.set()
        for standby_id in self._due:
            if standby_id not in self._tended:
                self._begin_to_tend(standby_id)
        self._reporter.refresh()

    def _begin_to_tend(self, standby_id: str) -> None:
        if standby_id in self._settled or standby_id not in self._due or self.stop.is_asked:
            return
        self._withdrawn[standby_id] = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._tend(self._due[standby_id]))
        self._tended[standby_id] = task
        task.add_done_callback(partial(self._tended_to, standby_id))

    def _tended_to(self, standby_id: str, task: asyncio.Task[None]) -> None:
        del self._tended[standby_id]
        del self._withdrawn[standby_id]
        if not task.cancelled() and task.exception() is None:
            # It may have been given up as no longer due, and be due again by now.
            self._begin_to_tend(standby_id)
        self._reporter.refresh()

    async def _tend(self, entry: Doc) -> None:
        """See one due standby through to its end: fired, given up, or no longer due."""
        standby_id = entry["standby_event_id"]
        withdrawn = self._withdrawn[standby_id]
        while True:
            async with self._slots:
                if self.stop.is_asked or withdrawn.is_set():
                    return
                at_ms = await self._attempt(entry)
            if at_ms is None:
                self._settled.add(standby_id)
                return
            await self.stop.sleep_until(at_ms, withdrawn)

    async def _attempt(self, entry: Doc) -> int | None:
        """Try a due standby once; when to look again, None for never."""
        try:
            if self._wishes.is_dry:
                await self._would_fire(entry)
                return None
            later = await self._firing.attempt(entry)
        except Exception as error:  # one standby's trouble is not the others'
            trouble = error
            if not isinstance(trouble, RallyError):
                trouble = Failure("internal", f"{type(error).__name__}: {error}")
            self._reporter.tell(
                "skipped",
                standby_event_id=entry["standby_event_id"],
                owner=entry["owner"],
                reason=trouble.code,
                detail=trouble.message,
            )
            if self._wishes.once:
                raise trouble from error
            return self._clock.now_ms() + _TROUBLE_PAUSE_MS
        return later.at_ms if later is not None else None

    async def _would_fire(self, entry: Doc) -> None:
        _, standing, given_up_ms = await self._firing.look(entry["standby_event_id"])
        if isinstance(standing, Fired) or given_up_ms is not None:
            return
        self._reporter.tell(
            "skipped",
            standby_event_id=entry["standby_event_id"],
            owner=entry["owner"],
            run=entry.get("run"),
            step=entry.get("step"),
            reason="dry-run",
            detail=self._wishes.on_wake or shown_command(self._firing.command(entry)),
        )

    async def _beat(self) -> None:
        """A sign of life after every spell of silence, with what the room answers at that moment.

        The first one of all says that the room is followed from now on (see `_read`).
        """
        lines = self._reporter.lines
        while True:
            await asyncio.sleep(self._wishes.max_interval_ms / 1_000)
            if self._reporter.lines == lines:
                self._link.check_room()
                self._tell_alive((await self._link.call("whoami"))["head"])
            lines = self._reporter.lines

    def _tell_alive(self, head: int) -> None:
        self._head = max(self._head, head)
        alive = {name: self._status()[name] for name in _ALIVE}
        self._reporter.tell("heartbeat", **alive)

    def _status(self) -> Doc:
        """How things are (see `Reporter.status`)."""
        running = self._commands.running
        return {
            "head": self._head, "due": len(self._due), "running": running,
            "next_due_at": self._next_due_at, "pending": max(0, len(self._tended) - running),
            "settled": len(self._settled), "room": self._wishes.root,
        }  # fmt: skip

    # --- once

    async def _once(self) -> None:
        """Do what is to be done now (contract X1, `--once`)."""
        if not self._link.has_room():
            self._news.begin(0)
            return
        work = [self._wake_once()]
        if self._wishes.on_activity is not None:
            work.append(self._read_once())
        await _all(work)

    async def _wake_once(self) -> None:
        self._due = _by_id((await self._link.call("wake-due"))["due"])
        await _all([self._try_once(entry) for entry in self._due.values()])

    async def _try_once(self, entry: Doc) -> None:
        async with self._slots:
            if not self.stop.is_asked:
                await self._attempt(entry)

    async def _read_once(self) -> None:
        with self._news.turn() as is_ours:
            if is_ours:
                head: int = (await self._link.call("whoami"))["head"]
                await self._catch_up(self._news.begin(head))
                await self._news.settle(head)

    async def _catch_up(self, since: int) -> None:
        """Read what is there already: it all comes before the first word of what is due."""
        events = self._link.follow(
            since=since, want=["facts", "due"], kinds=list(self._wishes.kinds)
        )
        async with aclosing(events):
            async for event in events:
                if event["event"] == "facts":
                    self._news.add(event["facts"])
                elif event["event"] == "due":
                    return


def _by_id(entries: Sequence[Doc]) -> dict[str, Doc]:
    return {entry["standby_event_id"]: entry for entry in entries}


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do everything to its end, then raise the first error of all."""
    for trouble in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(trouble, BaseException):
            raise trouble
