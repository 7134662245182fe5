"""The sentinel: every write on somebody else's live claim becomes one `risk` fact, and never a flood.

A claim is one episode. Within it each path is told once, whoever tells, since the fact's key is made of
the two. Where one moment brings more than `LIST_FROM` paths, one fact lists them. After so many facts of
either sort about one claim, only the watcher's own lines tell.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from rally.execution.boundaries.attribution import Trespass, trespass
from rally.execution.boundaries.trees import Batch, Trees
from rally.execution.boundaries.written import Written, among
from rally.execution.homes import Doc, read_homes
from rally.execution.link import Link
from rally.execution.reporter import Reporter
from rally.facilitation.places import find_place
from rally.model.clock import Clock, from_rfc3339
from rally.model.errors import RallyError, UsageError
from rally.model.kinds import SUBJECT_CHARS_MAX
from rally.model.paths import canonical_text, name_on_disk

LIST_FROM = 10
LISTED_MAX = 50
SINGLES_MAX, LISTS_MAX = 20, 3
_CHECKED_AT_ONCE = 500
# A file's time of change is that of the last tick of the kernel's clock.
_TICK_MS = 20
_REMEMBERED_MAX = 20_000
_SETTLE_MS = 400
_REST_LOOKS = 50


@dataclass(slots=True, frozen=True)
class _Hit:
    """A write on a claim."""

    path: str
    claim_id: str
    owner: str


@dataclass(slots=True)
class Sentinel:
    """Watches the working trees of one room. Made in a running event loop.

    Attributes:
        link: the room.
        caller: `tool` and `session_id` of the watcher.
        is_dry: tell what is seen, and write nothing.
        reporter: told what is seen.
        clock: tells the time.
        env: the watcher's environment.
        ready: set once the trees are watched.
    """

    link: Link
    caller: Mapping[str, str]
    is_dry: bool
    reporter: Reporter
    clock: Clock
    env: Mapping[str, str]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _told: set[tuple[str, _Hit]] = field(default_factory=set)
    _singles: Counter[str] = field(default_factory=Counter)
    _lists: Counter[str] = field(default_factory=Counter)
    _trees: dict[str, Written] = field(default_factory=dict)

    async def follow(self) -> None:
        """Watch without end.

        Raises:
            Failure: the trees cannot be watched, or the room is gone.
        """
        place = find_place(self.link.root, self.link.root)
        trees = Trees(place)
        await trees.begin()
        self._trees = {top: Written(top, self.env) for top in trees.tops}
        self.ready.set()
        try:
            async for batches in trees.batches():
                self.link.check_room()
                self._trees = {top: self._written(top) for top in trees.tops}
                for batch in batches:
                    await self._look(batch)
        finally:
            trees.close()

    def _written(self, top: str) -> Written:
        return self._trees.get(top) or Written(top, self.env, is_new=True)

    async def _look(self, batch: Batch) -> None:
        """Judge what was written in one tree; what stands in the way is told, and is no end."""
        tree = self._trees.get(batch.top)
        if tree is None or not self.link.has_room():
            return
        names = await self._worked_on(tree, batch.paths)
        try:
            hits = await self._hits(batch.top, names)
            for claim_id in dict.fromkeys(hit.claim_id for hit in hits):
                await self._judge(batch.top, [hit for hit in hits if hit.claim_id == claim_id])
        except RallyError as error:
            self.link.check_room()
            self.reporter.tell(
                "skipped", reason=error.code, detail=f"a write in {batch.top}: {error.message}"
            )

    async def _worked_on(self, tree: Written, names: set[str] | None) -> set[str]:
        """Those of the written files that hold somebody's work."""
        await _rest(tree)
        dirty = await asyncio.to_thread(tree.dirty, names)
        if dirty and self.clock.now_ms() - tree.staged_ms() < _SETTLE_MS:
            # Between its index and its HEAD git itself has a moment in which all differs.
            await asyncio.sleep(_SETTLE_MS / 1_000)
            await _rest(tree)
            dirty = await asyncio.to_thread(tree.dirty, names)
        return among(names, dirty | await asyncio.to_thread(tree.committed))

    async def _hits(self, top: str, names: set[str]) -> list[_Hit]:
        """The writes on live claims that were not told yet. The rule of overlap is the room's."""
        place = find_place(self.link.root, self.link.root)
        paths: set[str] = set()
        for name in sorted(names):
            try:
                # Not where a link leads: one in the place of a claimed folder is a write on the claim.
                paths.add(canonical_text(name_on_disk(name), ignore_case=place.ignore_case))
            except UsageError:  # it is no name that could be claimed
                continue
        hits: dict[_Hit, None] = {}
        ordered = sorted(paths)
        for start in range(0, len(ordered), _CHECKED_AT_ONCE):
            answer = await self.link.call(
                "check", phase="range", paths=ordered[start : start + _CHECKED_AT_ONCE],
                **self.caller,
            )  # fmt: skip
            for one in answer["findings"]:
                if one["code"] == "claimed-path":
                    hit = _Hit(one["path"], one["fact_id"], one["owner"])
                    if (top, hit) not in self._told:
                        hits[hit] = None
        return list(hits)

    async def _judge(self, top: str, hits: list[_Hit]) -> None:
        """Deal with the writes on one claim."""
        claim = (await self.link.call("show", id=hits[0].claim_id))["fact"]
        since_ms = from_rfc3339(claim["created_at"])
        hits = [hit for hit in hits if _changed_ms(top, hit.path) + _TICK_MS >= since_ms]
        sessions: list[Doc] = (await self.link.call("session", action="list"))["sessions"]
        homes = await read_homes(self._ask, sessions)
        found = trespass(homes, top, claim["tool"], is_main=top == self.link.root)
        if found is None or not hits:
            return
        if len(hits) > LIST_FROM:
            await self._tell(top, claim, found, [hit.path for hit in hits])
        else:
            for hit in hits:
                await self._tell(top, claim, found, [hit.path])
        if len(self._told) > _REMEMBERED_MAX:
            self._told.clear()
        self._told.update((top, hit) for hit in hits)

    async def _ask(self, op: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self.link.call(op, **params)

    async def _tell(self, top: str, claim: Doc, found: Trespass, paths: list[str]) -> None:
        """One risk fact, unless it was said before or there were enough; and a line in any case."""
        what = paths[0] if len(paths) == 1 else f"{len(paths)} files"
        held = ", ".join(claim["paths"][:3]) + (", …" if len(claim["paths"]) > 3 else "")
        by = found.writer or "somebody"
        subject = f"{by} wrote {what} in {top}, which {claim['tool']} claims as {held}"
        about: Doc = {
            "tree": top, "writer": found.writer, "owner": claim["tool"],
            "claim": claim["event_id"], "total": len(paths),
        }  # fmt: skip
        risk = None
        said, most = (self._singles, SINGLES_MAX) if len(paths) == 1 else (self._lists, LISTS_MAX)
        if not self.is_dry and said[claim["event_id"]] < most:
            risk = await self._say_risk(subject, paths, about)
            said[claim["event_id"]] += 1
        self.reporter.tell(
            "boundary", path=paths[0], paths=paths[:LISTED_MAX], risk=risk,
            dry_run=True if self.is_dry else None, **about,
        )  # fmt: skip

    async def _say_risk(self, subject: str, paths: list[str], about: Doc) -> str | None:
        claim_id = about["claim"]
        digest = sha256("\0".join(paths).encode(errors="surrogateescape")).hexdigest()[:16]
        return await self.link.say_risk(
            **self.caller,
            key=f"boundary:{claim_id}:{digest}",
            ref=claim_id,
            subject=subject[:SUBJECT_CHARS_MAX],
            paths=paths[:LISTED_MAX],
            severity="medium",
            data={"boundary": about},
        )


async def _rest(tree: Written) -> None:
    """Wait until git is done with the tree; a lock that somebody left there is waited for in vain."""
    for _ in range(_REST_LOOKS):
        if not tree.is_busy():
            return
        await asyncio.sleep(_SETTLE_MS / 1_000)


def _changed_ms(top: str, path: str) -> int:
    """When a file was last changed; what is gone, or cannot be seen, just now."""
    try:
        return os.lstat(f"{top}/{path}").st_ctime_ns // 1_000_000
    except (OSError, ValueError):
        return 1 << 62
