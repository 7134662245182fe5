"""The task in the ledger: taken, kept alive, landed or given back.

Each loop is a session of its own, so that two of them with one tool id are two owners (contract C5).
What is said again after a lost connection carries a key, or is refused as done already; only taking is
asked once, since a second answer would be a second task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rally.execution.link import Link
from rally.facilitation.packets import Assignment
from rally.facilitation.task_facts import assignment_from
from rally.model.durations import format_duration
from rally.model.errors import Failure, RallyError, Refused, UsageError
from rally.model.kinds import EVIDENCE_BYTES_MAX, SUBJECT_CHARS_MAX, SUMMARY_BYTES_MAX
from rally.model.shell import word
from rally.model.visible import visible

# A loop that is killed keeps its task from the others for no longer than this.
TTL_MS = 300_000
ROLE = "loop"
_SHORT_BYTES = 512

Doc = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Taken:
    """A task that is held.

    Attributes:
        before: patterns that others held exclusively when it was taken, with their owners.
    """

    assignment: Assignment
    claim_id: str
    fence: int
    before: tuple[tuple[str, str], ...]


class Desk:
    """What one loop says and asks.

    Args:
        link: the room.
        tool, session_id: who it is.
        run: the run.
    """

    def __init__(self, link: Link, *, tool: str, session_id: str, run: str) -> None:
        self._link = link
        self._run = run
        self._caller = {"tool": tool, "session_id": session_id}
        self.caller = (tool, session_id)

    async def rows(self) -> list[Doc]:
        """The tasks of the run, in the order in which they would be taken; writes nothing."""
        answer = await self._link.call("task", action="list", run=self._run)
        rows: list[Doc] = answer["tasks"]
        return sorted(rows, key=lambda row: row["priority"])

    async def take(self, task_id: str | None) -> Taken:
        """Take the task, or the next one that is ready and that no check stops.

        Raises:
            Refused: `nothing-ready`; `task-blocked`, a check stops what it is to write, and it was
                given back.
            UsageError: `unknown-task`.
        """
        try:
            return await self._take(task_id)
        except Refused as refusal:
            if task_id is not None or refusal.code != "task-blocked":
                raise
            # It stays the first that is ready, and would keep everybody from all behind it.
            for row in await self.rows():
                if row["ready"] and not await self.is_stopped(row):
                    with suppress(Refused, UsageError):  # another one was faster
                        return await self._take(row["id"])
            raise

    async def is_stopped(self, row: Doc) -> bool:
        """Whether a check stops what a task of the list is to write."""
        paths = row["owns"] if isinstance(row["owns"], list) else []
        return bool(await self._stops_of(row["id"], paths))

    async def _take(self, task_id: str | None) -> Taken:
        me = await self._link.call("whoami", **self._caller)
        held = {claim["event_id"] for claim in me.get("claims", ())}
        named = {"id": task_id} if task_id is not None else {}
        try:
            took = await self._link.ask_once(
                "task", action="take", run=self._run, **named, **self._caller,
                ttl=format_duration(TTL_MS),
            )  # fmt: skip
        except Failure:
            await self._give_back_but(held)
            raise
        try:
            if not me["entered"]:
                await self._link.call("enter", **self._caller, role=ROLE)
            return await self._assess(took)
        except BaseException:
            await self._give_back_but(held)
            raise

    async def _assess(self, took: Doc) -> Taken:
        """What was taken, if nothing stops it."""
        claim = took["fact"]
        taken = Taken(
            assignment=assignment_from(took["task"], took["goal"]),
            claim_id=claim["event_id"],
            fence=took["fence"] or claim["seq"],
            before=await self._held_by_others(),
        )
        stops = await self._stops(taken)
        if stops:
            raise Refused(
                "task-blocked", f"task {taken.assignment.task} of run {self._run}: {stops[0]}",
                hint=f"rally check before-write --tool {self.caller[0]} --run {word(self._run)} "
                f"--step {taken.assignment.task} --path {word((*taken.assignment.owns, '.')[0])}",
                details={"stops": stops},
            )  # fmt: skip
        return taken

    async def _give_back_but(self, held: set[str]) -> None:
        """A task was taken, or may have been, since these claims were all: the answer was lost."""
        try:
            seen = await self._link.call("whoami", **self._caller)
            for claim in seen["claims"]:
                if self._is_own(claim) and claim["event_id"] not in held:
                    await self._link.call(
                        "say", kind="release", **self._caller, ref=claim["event_id"]
                    )
        except RallyError:
            return

    async def stops(self, taken: Taken) -> list[str]:
        """What speaks against going on with what is held: stops of a check, blockers of the step."""
        of = taken.assignment
        rows = await self.rows()
        blockers = [row["blocked_by"] for row in rows if row["id"] == of.task and row["blocked_by"]]
        stops = await self._stops(taken)
        return [*stops, *(f"{one['tool']} blocks it: {one['subject']}" for one in blockers)]

    async def _stops(self, taken: Taken) -> list[str]:
        of = taken.assignment
        return await self._stops_of(of.task, of.owns, fence=taken.fence)

    async def _stops_of(self, task: str, paths: Sequence[str], **more: int) -> list[str]:
        checked = await self._link.call(
            "check", phase="before-write", **self._caller, run=self._run, step=task,
            paths=list(paths), **more,
        )  # fmt: skip
        return [one["message"] for one in checked["findings"] if one["severity"] == "stop"]

    async def _held_by_others(self) -> tuple[tuple[str, str], ...]:
        room = await self._link.call("room", limit=0)
        return self._exclusive(room["active_claims"])

    def _exclusive(self, claims: Sequence[Doc]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (path, claim["tool"])
            for claim in claims
            if claim.get("mode") != "shared"
            and claim.get("trust") != "untrusted"
            and not self._is_own(claim)
            for path in claim.get("paths", ())
        )

    def _is_own(self, claim: Doc) -> bool:
        return all(claim.get(name) == value for name, value in self._caller.items())

    async def others(self, taken: Taken) -> tuple[tuple[str, str], ...]:
        """Patterns that others held exclusively at any time since the task was taken, with owners."""
        since = await self._link.call("log", kinds=["claim"], since=taken.fence, limit=0)
        return (*taken.before, *self._exclusive(since["facts"]))

    async def is_held(self, taken: Taken) -> bool:
        """Whether the claim has not ended; asking keeps it alive (see `Link.is_held`)."""
        return await self._link.is_held(taken.claim_id, **self._caller)

    @asynccontextmanager
    async def kept(self, taken: Taken, on_lost: Callable[[], None]) -> AsyncIterator[None]:
        """Keep the lease alive meanwhile; told when it is lost."""

        async def keep() -> None:
            while True:
                await asyncio.sleep(TTL_MS / 3_000)
                try:
                    if not await self.is_held(taken):
                        on_lost()
                        return
                except RallyError:
                    continue  # nobody knows; landing asks again, and refuses

        keeper = asyncio.get_running_loop().create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()

    async def dependencies(self, of: Assignment) -> list[Doc]:
        """For each step that comes first `step`, and `artifact`: the newest that landed it, which
        was not withdrawn, or None."""
        if not of.depends_on:
            return []
        graph = await self._link.call("dag", run=self._run)
        counted = {one for node in graph["nodes"] for one in node["event_ids"]}
        said = await self._link.call("log", kinds=["artifact"], run=self._run, limit=0)
        newest = {fact.get("step"): fact for fact in said["facts"] if fact["event_id"] in counted}
        return [{"step": step, "artifact": newest.get(step)} for step in of.depends_on]

    async def landed_by(self, taken: Taken) -> str:
        """The newest artifact that landed the task; empty without one."""
        rows = await self.rows()
        found = [row["landed_by"] for row in rows if row["id"] == taken.assignment.task]
        return str(found[0][-1]) if found and found[0] else ""

    async def note(self, taken: Taken, subject: str, lines: Sequence[str]) -> None:
        """Write the plan down."""
        await self._say(taken, "note", "plan", subject=subject, summary="\n".join(lines))

    async def land(self, taken: Taken, evidence: Sequence[str], summary: str) -> str:
        """The artifact and the end of the claim, in one; the artifact's id.

        Raises:
            Refused, UsageError: the task is not held any more; nothing was written.
        """
        try:
            try:
                done = await self._done(taken, evidence, _cut(summary, SUMMARY_BYTES_MAX))
            except UsageError as error:
                if error.code != "too-long":
                    raise
                # A thousand dependencies, or output that is no text, leave little room for proof.
                done = await self._done(taken, [_cut(one, _SHORT_BYTES) for one in evidence[:1]])
        except Refused as refusal:
            # Asked twice because the first answer was lost: then it is our own artifact that is there.
            known = str(refusal.details.get("fact_id", ""))
            if refusal.code != "already-closed" or not known:
                raise
            shown = (await self._link.call("show", id=known))["fact"]
            if not self._is_own(shown):
                raise
            return known
        artifact: str = done["fact"]["event_id"]
        return artifact

    async def _done(self, taken: Taken, evidence: Sequence[str], summary: str = "") -> Doc:
        of = taken.assignment
        return await self._link.call(
            "task", action="done", run=of.run, id=of.task, **self._caller, summary=summary,
            evidence=[_cut(one, EVIDENCE_BYTES_MAX) for one in evidence],
        )  # fmt: skip

    async def block(self, taken: Taken, subject: str, lines: Sequence[str]) -> str:
        """A blocker for whoever looks at the task next; its id."""
        return await self._say(
            taken, "blocker", "blocker", subject=subject, severity="high",
            summary="\n".join(lines), paths=list(taken.assignment.owns),
        )  # fmt: skip

    async def drop(self, taken: Taken, why: str) -> None:
        """Give the task back; one that is not held any more is none of ours."""
        of = taken.assignment
        try:
            await self._link.call(
                "task", action="drop", run=of.run, id=of.task, **self._caller,
                reason=_cut(why, SUBJECT_CHARS_MAX),
            )  # fmt: skip
        except (Refused, UsageError):
            return

    async def _say(self, taken: Taken, kind: str, key: str, **fields: Any) -> str:
        of = taken.assignment
        fields["subject"] = visible(fields["subject"])[:SUBJECT_CHARS_MAX]
        fields["summary"] = _cut(fields["summary"], SUMMARY_BYTES_MAX)
        given = {
            **self._caller, "kind": kind, "run": of.run, "step": of.task,
            "key": f"loop-{taken.claim_id}-{key}", **{k: v for k, v in fields.items() if v},
        }  # fmt: skip
        try:
            said = await self._link.call("say", **given)
        except UsageError as error:
            if error.code != "too-long":
                raise
            # A thousand long paths leave no room for words.
            said = await self._link.call("say", **{**given, "summary": given["subject"]})
        event_id: str = said["fact"]["event_id"]
        return event_id


def _cut(text: str, bytes_max: int) -> str:
    """A text that a fact may hold."""
    raw = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    return raw[:bytes_max].decode(errors="ignore")
