"""The one funnel (law 2): every fact of this process reaches the ledger through `Writer`.

Jobs queue up; one task takes all that wait, decides them one after the other against the state,
seals and folds what they decided, appends everything in ONE transaction (group commit: sixteen facts
cost little more than one, because the fsync dominates), and only then answers. A job that writes
nothing is a read: it sees the state in its turn and is answered with its batch, so nobody is ever told
of a fact that is not durable.

The append is conditional on the head that the decisions saw. If another process was first, nothing
was written: the state is loaded anew and the whole batch is decided again, against the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from rally.facilitation.decide import claims
from rally.facilitation.decide.context import Context, warning
from rally.facilitation.history import gather
from rally.facilitation.ledger.port import HeadMoved, Ledger
from rally.facilitation.state.fold import fold
from rally.facilitation.state.past import Past, Wants, wants_of
from rally.facilitation.state.room import RoomState
from rally.model.clock import Clock
from rally.model.errors import Failure, RallyError, UsageError
from rally.model.fact import Fact, seal
from rally.model.kinds import FACT_BYTES_MAX

BATCH_JOBS_MAX = 256
TAIL_CHUNK = 2_000
# Losing the race this often in a row means that something is wrong with the file, not bad luck.
APPEND_TRIES_MAX = 200


@dataclass(slots=True)
class Outcome:
    """What a job decided.

    Attributes:
        contents: facts to append; empty for a read.
        finish: builds the answer from the sealed facts, with the state already folded.
        origin: put on each of the facts, where a watcher's child asked for them.
    """

    finish: Callable[[list[Fact]], Any]
    contents: list[dict[str, Any]] = field(default_factory=list)
    origin: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One request on its way through the writer.

    Attributes:
        run: decides; may raise RallyError. Called again when the race for the head was lost.
        renews: the caller whose leases this activity renews (contract C6), if it is one.
        frees: it may end a claim that somebody waits for.
        waits: it may take a place in the queue.
        warnings: filled by the writer (`renewal-failed`).
    """

    run: Callable[[Context], Outcome]
    wants: Wants
    renews: tuple[str, str | None] | None = None
    frees: bool = False
    waits: bool = False
    warnings: list[dict[str, str]] = field(default_factory=list)
    done: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Writer:
    """Owns the folded state of one room in this process.

    Args:
        ledger: where facts go.
        load: answers a fresh state folded up to some head (from a checkpoint, or empty).
        clock: tells the time.
        new_id: mints an event id for a kind.
    """

    def __init__(
        self,
        ledger: Ledger,
        load: Callable[[], Awaitable[RoomState]],
        *,
        clock: Clock,
        new_id: Callable[[str], str],
    ) -> None:
        self.ledger = ledger
        self.state = RoomState()
        self.clock = clock
        self._load = load
        self._new_id = new_id
        self._queue: list[Job] = []
        self._pump: asyncio.Task[None] | None = None
        # Set when somebody poked while the pump was running: it must look once more.
        self._again = False
        # True while the state holds facts that are not yet durable.
        self.deciding = False
        # Called after the state moved: with the new facts, before anybody is answered.
        self.on_change: Callable[[list[Fact]], None] = lambda facts: None
        # Called between batches: claims that waited in the queue and can be granted now (C8).
        self.next_grants: Callable[[], list[Job]] = list
        self.has_waiting: Callable[[], bool] = lambda: False

    async def start(self) -> None:
        """Load the state and fold what came after it."""
        self.state = await self._load()
        await self._catch_up()

    async def submit(self, job: Job) -> Any:
        """Queue a job and wait for its answer.

        Raises:
            RallyError: the job was refused, or the ledger failed; then it wrote nothing.
        """
        self._queue.append(job)
        self.poke()
        return await job.done

    def poke(self) -> None:
        """Make sure that the pump runs: there is work, or the ledger or the time may have moved."""
        self._again = True
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def settle(self) -> None:
        """Wait until the pump has nothing left to do."""
        while self._pump is not None and not self._pump.done():
            await asyncio.wait([self._pump])

    async def _run(self) -> None:
        while True:
            self._again = False
            await self._serve_waiting()
            await self._settle(self._next_batch())
            if not (self._queue or self._again):
                await self._serve_waiting()
                if not (self._queue or self._again):
                    return

    async def _serve_waiting(self) -> None:
        """Those who waited longest are served before anything that arrived meanwhile."""
        if not self.has_waiting():
            return
        try:
            await self._catch_up()
        except RallyError:
            return  # whoever asks next is told
        while grants := self.next_grants():
            await self._settle(grants)

    def _next_batch(self) -> list[Job]:
        """What is decided together. Where somebody waits, a job that may end a claim closes the batch:
        what comes behind it must not take what was waited for.
        """
        batch = self._queue[:BATCH_JOBS_MAX]
        if self.has_waiting() or any(job.waits for job in batch):
            ends = (place for place, job in enumerate(batch, 1) if job.frees)
            batch = batch[: next(ends, len(batch))]
        self._queue = self._queue[len(batch) :]
        return [job for job in batch if not job.done.done()]

    async def _settle(self, batch: list[Job]) -> None:
        """Process a batch; whatever happens, every job in it is answered."""
        try:
            await self._process(batch)
        except RallyError as error:
            self._fail(batch, error)
        except BaseException as error:
            self._fail(batch, Failure("internal", f"{type(error).__name__}: {error}"))
            raise

    def _fail(self, batch: list[Job], error: Exception) -> None:
        for job in batch:
            if not job.done.done():
                job.done.set_exception(error)

    async def _process(self, batch: list[Job]) -> None:
        for _ in range(APPEND_TRIES_MAX):
            await self._catch_up()
            past = await gather(self.ledger, self._wants(batch))
            self.deciding = True
            answers = [(job, self._attempt(job, past, may_write=True)) for job in batch]
            if past.pending:
                try:
                    await self.ledger.append(past.pending)
                except HeadMoved:
                    await self.reload()
                    continue
                except Failure as failure:
                    await self.reload()
                    await self._answer_without_writing(batch, failure)
                    return
                except BaseException:
                    await self.reload()
                    raise
            self.deciding = False
            if past.pending:
                self.on_change(past.pending)
            _deliver(answers)
            return
        raise Failure("busy", "the ledger's head kept moving; gave up", hint="try again")

    def _wants(self, batch: list[Job]) -> Wants:
        merged = Wants()
        for job in batch:
            if job.wants:
                merged.merge(job.wants)
        return merged

    def _attempt(self, job: Job, past: Past, *, may_write: bool) -> Any:
        """Decide one job; facts are sealed, folded and put into `past.pending`."""
        now_ms = self.state.now_ms(self.clock.now_ms())
        context = Context(self.state, now_ms, past, self._new_id)
        try:
            outcome = job.run(context)
            if outcome.contents and not may_write:
                return None
            if outcome.origin is not None:
                for content in outcome.contents:
                    content["origin"] = outcome.origin
            facts = self._seal(outcome.contents)
            for fact in facts:
                fold(self.state, fact, past)
                past.note(fact)
            if job.renews is not None and may_write:
                renewal = claims.renewal(context, *job.renews)
                if renewal is not None:
                    (fact,) = self._seal([renewal])
                    fold(self.state, fact, past)
                    past.note(fact)
            return outcome.finish(facts)
        except RallyError as error:
            return error

    def _seal(self, contents: list[dict[str, Any]]) -> list[Fact]:
        """Seal a decision's facts in a row; all are checked before the first is folded.

        Raises:
            UsageError: `too-long`, for a fact over 64 KiB (contract F5).
        """
        facts: list[Fact] = []
        seq, prev = self.state.head_seq, self.state.head_hash
        for content in contents:
            seq += 1
            fact = seal(content, seq=seq, prev=prev)
            if len(fact.body) > FACT_BYTES_MAX:
                raise UsageError(
                    "too-long",
                    f"the whole fact has {len(fact.body)} bytes, at most {FACT_BYTES_MAX} are allowed",
                    hint="put the text into a file and name it with --uri",
                )
            prev = fact.hash
            facts.append(fact)
        return facts

    async def _answer_without_writing(self, batch: list[Job], failure: Failure) -> None:
        """The ledger cannot be written: reads are still answered, writes get the failure."""
        past = await gather(self.ledger, self._wants(batch))
        for job in batch:
            answer = self._attempt(job, past, may_write=False)
            if job.renews is not None and not isinstance(answer, RallyError | None):
                job.warnings.append(warning("renewal-failed", failure.message))
            _deliver([(job, failure if answer is None else answer)])

    async def _catch_up(self) -> None:
        """Fold what other processes appended since (contract R4)."""
        head = await self.ledger.head()
        if head.seq < self.state.head_seq:  # the file was replaced by an older one
            await self.reload()
            return
        seen: list[Fact] = []
        while self.state.head_seq < head.seq:
            facts = await self.ledger.tail(self.state.head_seq, TAIL_CHUNK)
            if not facts:
                break
            await self._fold_tail(facts)
            seen += facts[-TAIL_CHUNK:]
        if seen:
            self.on_change(seen)

    async def _fold_tail(self, facts: list[Fact]) -> None:
        nothing = Past()
        for fact in facts:
            wants = wants_of([fact])
            wants.keys.clear()  # a replayed key was settled when the fact was decided
            if fact.kind not in ("retract", "standby", "task"):
                wants.ids.clear()
            past = await gather(self.ledger, wants, before_seq=fact.seq) if wants else nothing
            fold(self.state, fact, past)

    async def reload(self) -> None:
        """Throw the state away and build it anew from the ledger."""
        self.deciding = False
        self.state = await self._load()
        head = await self.ledger.head()
        while self.state.head_seq < head.seq:
            await self._fold_tail(await self.ledger.tail(self.state.head_seq, TAIL_CHUNK))


def _deliver(answers: list[tuple[Job, Any]]) -> None:
    for job, answer in answers:
        if job.done.done():  # the caller went away; what was appended stays
            continue
        if isinstance(answer, RallyError):
            job.done.set_exception(answer)
        else:
            job.done.set_result(answer)
