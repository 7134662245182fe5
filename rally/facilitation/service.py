"""RoomService: one room in one process, and the only door to it.

It holds the writer (facts in), the queue of waiting claims, and those who follow the room. Every verb
in `ops/` is built from four moves: `say` (decide and append), `read` (look at the state in turn),
history queries on `ledger`, and `changed` (sleep until something happened).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from rally.facilitation.decide import claims
from rally.facilitation.decide.context import Context, Decision, warning
from rally.facilitation.decide.say import decide, replay_of, replay_warnings
from rally.facilitation.intake import Asked
from rally.facilitation.ledger import checkpoint
from rally.facilitation.ledger.folder import file_identity
from rally.facilitation.ledger.port import Ledger
from rally.facilitation.noticing import LedgerWatch
from rally.facilitation.places import LEDGER_FILE
from rally.facilitation.queue import ClaimQueue, Waiting
from rally.facilitation.said import Said, outcome_of, replayed
from rally.facilitation.state import dump
from rally.facilitation.state.entities import Waiter
from rally.facilitation.state.past import Wants
from rally.facilitation.state.room import RoomState
from rally.facilitation.writer import Job, Outcome, Writer
from rally.model.clock import Clock
from rally.model.errors import RallyError, Refused
from rally.model.fact import Fact

T = TypeVar("T")

# A checkpoint is written when this many facts came after the last one.
CHECKPOINT_EVERY_FACTS = 1_000
RECENT_FACTS_MAX = 4_096
# Kinds of facts after which a path may be free that was not.
MAY_END_CLAIMS = frozenset({"release", "leave", "artifact", "receipt", "retract"})
# Nobody sleeps longer than this without looking at the clock, which may have been set.
NAP_MS_MAX = 120_000


# What a claim that waits is told while it must wait on: nothing.
_NOT_YET = Outcome(lambda _: None)


class RoomService:
    """One room in this process.

    Args:
        root: the room's root folder, absolute.
        ledger: its ledger, open; closed by `close`.
        clock: tells the time.
        new_id: mints an event id for a kind.
        cache: the folder for checkpoints; None keeps none (a room that does not exist yet).
    """

    def __init__(
        self,
        root: str,
        ledger: Ledger,
        *,
        clock: Clock,
        new_id: Callable[[str], str],
        cache: Path | None,
    ) -> None:
        self.root = root
        self.ledger = ledger
        self.clock = clock
        self.cache = cache
        self.queue = ClaimQueue()
        self.writer = Writer(ledger, self._load, clock=clock, new_id=new_id)
        self.writer.on_change = self._changed
        self.writer.next_grants = self._next_grants
        self.writer.has_waiting = lambda: bool(self.queue.entries)
        self.recent: deque[Fact] = deque(maxlen=RECENT_FACTS_MAX)
        self._trouble: list[dict[str, str]] = []
        self._identity = file_identity(cache / LEDGER_FILE) if cache is not None else None
        self._change = asyncio.Event()
        self._checkpoint_seq = 0
        self._timer: asyncio.TimerHandle | None = None
        self._watch = LedgerWatch(
            cache,
            on_write=self.writer.poke,
            on_vanish=lambda: self._changed([]),
        )

    async def start(self) -> None:
        """Load the state: the last checkpoint and the facts after it.

        Raises:
            Failure: the ledger cannot be read.
        """
        await self.writer.start()

    @property
    def state(self) -> RoomState:
        """The folded state; between two jobs of the writer it is what the ledger holds."""
        return self.writer.state

    async def close(self) -> None:
        """Finish what was begun, keep a checkpoint if it is worth one, let go of the ledger."""
        await self.writer.settle()
        if self._timer is not None:
            self._timer.cancel()
        self._watch.close()
        self.keep_checkpoint(at_least=CHECKPOINT_EVERY_FACTS // 5)
        await self.ledger.close()

    # -- the moves --------------------------------------------------------------------------------

    async def say(
        self, asked: Asked, decider: Callable[[Context, Asked], Decision] = decide
    ) -> Said:
        """Decide a wish and append what follows from it; durable on return.

        Raises:
            UsageError, Refused: nothing was written.
            Failure: nothing was written, or the ledger could not say; a retry with the same key is
                safe (contract F8).
        """
        wants = Wants()
        wants.add(asked.kind, asked.content)

        def run(context: Context) -> Outcome:
            first = replay_of(context, asked)
            if first is not None:
                warnings = replay_warnings(context, first)
                return Outcome(lambda _: replayed(first, warnings))
            return outcome_of(decider(context, asked), asked)

        wait_ms = asked.options.get("wait_ms", 0)
        if asked.kind == "claim" and wait_ms:
            return await self._say_waiting(asked, wants, run, wait_ms)
        job = Job(
            run, wants, renews=(asked.tool, asked.session_id), frees=asked.kind in MAY_END_CLAIMS
        )
        said: Said = await self.writer.submit(job)
        said.warnings.extend(job.warnings)
        return said

    async def read(
        self,
        look: Callable[[Context], T],
        *,
        wants: Wants | None = None,
        renews: tuple[str, str | None] | None = None,
    ) -> T:
        """Look at the state in turn with all other jobs: everything durable so far is seen.

        Args:
            renews: the caller whose leases this activity renews, where the verb counts as activity.

        Raises:
            RallyError: what `look` raises, or Failure when the ledger cannot be read.
        """
        result, _ = await self.read_with_warnings(look, wants=wants, renews=renews)
        return result

    async def read_with_warnings(
        self,
        look: Callable[[Context], T],
        *,
        wants: Wants | None = None,
        renews: tuple[str, str | None] | None = None,
    ) -> tuple[T, list[dict[str, str]]]:
        """`read`, with the writer's warnings (`renewal-failed`)."""

        def run(context: Context) -> Outcome:
            seen = look(context)
            return Outcome(lambda _: (seen,))

        job = Job(run, wants or Wants(), renews=renews)
        (result,) = await self.writer.submit(job)
        return result, job.warnings

    async def changed(self, seq: int, *, until_ms: int | None = None) -> None:
        """Sleep until facts after `seq` are there, or until an instant, whichever is first.

        It may wake for nothing; callers look again.
        """
        if self.state.head_seq > seq:
            return
        event = self._change
        nap_ms = NAP_MS_MAX
        if until_ms is not None:
            nap_ms = min(nap_ms, max(0, until_ms - self.clock.now_ms()))
        with suppress(TimeoutError):
            # One millisecond more, so that the clock has passed the instant and not just reached it.
            await asyncio.wait_for(event.wait(), (nap_ms + 1) / 1_000)

    def is_gone(self) -> bool:
        """Whether the room's ledger was removed or replaced since it was opened here."""
        return self.cache is not None and file_identity(self.cache / LEDGER_FILE) != self._identity

    def follow(self) -> LedgerWatch:
        """Within this context other processes' appends are noticed as they happen."""
        return self._watch

    def take_warnings(self) -> list[dict[str, str]]:
        """What happened to this room's cache and has not been said to anybody."""
        told, self._trouble = self._trouble, []
        return told

    def busy(self) -> bool:
        """Whether somebody waits or follows here."""
        return bool(self.queue.entries) or self._watch.in_use

    # -- waiting claims (contract C8) ---------------------------------------------------------------

    async def _say_waiting(
        self, asked: Asked, wants: Wants, run: Callable[[Context], Outcome], wait_ms: int
    ) -> Said:
        entry: Waiting | None = None

        def try_or_join(context: Context) -> Outcome:
            nonlocal entry
            if entry is None:
                entry = self._entry(context, asked, run, wait_ms)
            try:
                outcome = run(context)
            except Refused as refusal:
                if refusal.code != "claim-conflict":
                    raise
                self.queue.join(context.state, entry, context.now_ms)
                return _NOT_YET
            if outcome.contents and self._lets_others_go_first(context, entry):
                return _NOT_YET
            self.queue.leave(entry)
            return outcome

        job = Job(try_or_join, wants, renews=(asked.tool, asked.session_id), waits=True)
        try:
            said: Said | None = await self.writer.submit(job)
            if said is not None:
                return said
            assert entry is not None
            self._arm_timer()
            with self.follow():
                return await self._wait_for_turn(entry, wait_ms)
        finally:
            if entry is not None:
                self.queue.leave(entry)
            if self.queue.entries:
                self.writer.poke()  # somebody may have waited for this one only

    def _entry(
        self, context: Context, asked: Asked, run: Callable[[Context], Outcome], wait_ms: int
    ) -> Waiting:
        wanted = claims.wanted_claim(context, asked)
        shown = Waiter(
            asked.tool,
            asked.session_id,
            wanted.paths,
            wanted.resources,
            wanted.run,
            wanted.step,
            context.now_ms,
            context.now_ms + wait_ms,
        )
        return Waiting(asked, run, wanted, shown)

    def _lets_others_go_first(self, context: Context, entry: Waiting) -> bool:
        """Whether what is free is left to somebody who came earlier and waits for more than that."""
        if not self.queue.overtakes(entry):
            return False
        try:
            self.queue.join(context.state, entry, context.now_ms)
        except Refused:  # they wait for the caller, who would wait for them
            return False
        return True

    async def _wait_for_turn(self, entry: Waiting, wait_ms: int) -> Said:
        await asyncio.wait([entry.granted], timeout=wait_ms / 1_000)
        self.queue.leave(entry)
        if entry.called is not None:  # in the last moment: what was decided is not asked for twice
            await asyncio.wait([entry.called])
        if entry.granted.done():
            said: Said = entry.granted.result()
            return said
        return await self._last_try(entry)

    async def _last_try(self, entry: Waiting) -> Said:
        """The time is over: one more honest try, so that the refusal names who holds it now."""
        asked = entry.asked
        asked.options.pop("wait_ms", None)
        return await self.say(asked)

    def _next_grants(self) -> list[Job]:
        self._arm_timer()
        if not self.queue.entries:
            return []
        now_ms = self.state.now_ms(self.clock.now_ms())
        return [self._grant_job(entry) for entry in self.queue.grantable(self.state, now_ms)]

    def _grant_job(self, entry: Waiting) -> Job:
        def run(context: Context) -> Outcome:
            if entry not in self.queue.entries:  # it went away
                return _NOT_YET
            try:
                outcome: Outcome = entry.decide(context)
            except Refused as refusal:
                if refusal.code != "claim-conflict":
                    raise
                return _NOT_YET  # another process was faster: it keeps its place
            return outcome

        def settle(done: asyncio.Future[Any]) -> None:
            entry.called = None
            error = done.exception()
            if error is None and done.result() is not None:
                entry.granted.set_result(done.result())
            elif error is not None and entry in self.queue.entries:
                entry.granted.set_exception(error)

        job = Job(run, Wants())
        job.wants.add(entry.asked.kind, entry.asked.content)
        job.done.add_done_callback(settle)
        entry.called = job.done
        return job

    def _arm_timer(self) -> None:
        """Look again when the first lease that somebody waits for is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.queue.entries:
            return
        now_ms = self.clock.now_ms()
        lapse_ms = self.queue.next_lapse_ms(self.state, now_ms)
        nap_ms = NAP_MS_MAX if lapse_ms is None else min(NAP_MS_MAX, max(0, lapse_ms - now_ms))
        self._timer = asyncio.get_running_loop().call_later((nap_ms + 1) / 1_000, self.writer.poke)

    # -- noticing change --------------------------------------------------------------------------

    def _changed(self, facts: list[Fact]) -> None:
        self.recent.extend(facts)
        event, self._change = self._change, asyncio.Event()
        event.set()
        if self.state.head_seq - self._checkpoint_seq >= CHECKPOINT_EVERY_FACTS:
            # Not now: those who wrote these facts wait for their answers.
            asyncio.get_running_loop().call_soon(self.keep_checkpoint)

    # -- checkpoints ------------------------------------------------------------------------------

    async def _load(self) -> RoomState:
        if self.cache is None:
            return RoomState()
        kept, trouble = checkpoint.load(self.cache, state_format=dump.STATE_FORMAT)
        if trouble:
            self._trouble.append(warning("checkpoint-rebuilt", trouble))
        if kept is None:
            return RoomState()
        at_head = (await self.ledger.by_id([str(kept.seq)])).get(str(kept.seq))
        if at_head is None or at_head.hash != kept.hash:
            return RoomState()  # the checkpoint of another ledger
        try:
            state = dump.load(kept.payload)
        except (KeyError, TypeError, ValueError, IndexError, RallyError):
            return RoomState()
        self._checkpoint_seq = state.head_seq
        return state

    def keep_checkpoint(self, *, at_least: int = CHECKPOINT_EVERY_FACTS) -> None:
        """Save the folded state if enough came after the last one; never an error."""
        state = self.state
        if self.cache is None or state.head_seq - self._checkpoint_seq < at_least:
            return
        if self.writer.deciding:
            return
        self._checkpoint_seq = state.head_seq
        checkpoint.save(
            self.cache,
            seq=state.head_seq,
            hash=state.head_hash,
            payload=dump.dump(state),
            state_format=dump.STATE_FORMAT,
        )
