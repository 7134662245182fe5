"""The working trees of a room, and what happens to files in them.

All of them are watched by one watcher, which is begun anew when a tree comes or goes: the new one sees
already when the old one is let go, so nothing is missed in between. Trees inside of another, such as
those in `.rally/worktrees`, are seen through that.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

from rally.facilitation.places import ROOM_FOLDER, Place
from rally.model.errors import Failure

# A batch ends when nothing was written for a step, or after the longest time.
STEP_MS = 200
DEBOUNCE_MS = 600
_HIDDEN = frozenset((".git", ROOM_FOLDER))
# A folder that appears is looked through, for what was put into it before the kernel told of it.
_WALK_FILES_MAX = 10_000


class Batch:
    """What was written in one tree within a moment.

    Attributes:
        top: the tree's root.
        paths: relative to it, of files that were changed, made or deleted, and of deleted folders; None
            where anything may have been written unseen: a tree has just come, or the watch had ended.
    """

    __slots__ = ("paths", "top")

    def __init__(self, top: str, paths: set[str] | None) -> None:
        self.top = top
        self.paths = paths


class Trees:
    """The working trees of one room. Made in a running event loop.

    Args:
        place: the room.

    Attributes:
        tops: the roots of those that are watched, real.
    """

    def __init__(self, place: Place) -> None:
        self._place_of_room = place
        self._common = place.common_dir
        self._new: asyncio.Queue[set[tuple[int, str]] | Failure] = asyncio.Queue()
        self._watcher: asyncio.Task[None] | None = None
        self.tops: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """Watch from now on.

        Raises:
            Failure: `unavailable`, the system watches no more folders.
        """
        await self._watch()

    async def batches(self) -> AsyncIterator[list[Batch]]:
        """What is written, as it comes; without end.

        Raises:
            Failure: as `begin`.
        """
        while True:
            news = await self._new.get()
            if isinstance(news, Failure):
                raise news
            if not news:
                yield [Batch(top, None) for top in sorted(self.tops)]
                continue
            known = self.tops
            if any(self._is_about_trees(path) for _, path in news):
                await self._watch()
            come = [Batch(top, None) for top in sorted(self.tops - known)]
            yield come + [one for one in self._sorted(news) if one.top in known]

    def close(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.cancel()

    # --- which trees

    async def _watch(self) -> None:
        """Look which trees there are; watch them, where they are other ones than before."""
        tops = self._found()
        if tops == self.tops and self._watcher is not None:
            return
        before, self.tops = self._watcher, tops
        folders = [*tops, *([self._common] if self._common else ())]
        outermost = [
            one for one in folders if not any(one.startswith(f"{other}/") for other in folders)
        ]
        self._watcher = asyncio.get_running_loop().create_task(self._run(outermost))
        await asyncio.sleep(0)  # its first step sets the watch up
        if before is not None:
            before.cancel()

    def _found(self) -> frozenset[str]:
        place = self._place_of_room
        found = {top for top in place.linked_tops() if os.path.isdir(top)}
        # The root of a bare repository is no working tree.
        return frozenset(found if place.root == place.common_dir else {place.root, *found})

    async def _run(self, folders: list[str]) -> None:
        """Watch some folders without end; an empty set of news says that some may have been missed."""
        try:
            while True:
                try:
                    await self._follow(folders)
                except ExceptionGroup:
                    # It saw something that it cannot tell of, such as a name that is no UTF-8.
                    await asyncio.sleep(STEP_MS / 1_000)
                    self._new.put_nowait(set())  # read when the next step has set up a new watch
        except (OSError, RuntimeError) as error:
            # Not only what is readable: a part that nobody watches would be silent.
            hint = (
                "sudo sysctl fs.inotify.max_user_watches=1048576"
                if getattr(error, "errno", None) == errno.ENOSPC or "limit" in str(error)
                else "make every folder in them readable, and start it again"
            )
            self._new.put_nowait(
                Failure("unavailable", f"the working trees cannot be watched: {error}", hint=hint)
            )

    async def _follow(self, folders: list[str]) -> None:
        from watchfiles import awatch

        async for changes in awatch(
            *folders, watch_filter=lambda _, path: self._matters(path),
            step=STEP_MS, debounce=DEBOUNCE_MS, recursive=True,
        ):  # fmt: skip
            self._new.put_nowait({(int(change), path) for change, path in changes})

    def _is_about_trees(self, path: str) -> bool:
        """Whether a path says that a tree came or went: git's list of them, or a tree's `.git`."""
        return f"{path}/".startswith(f"{self._common}/worktrees/")

    # --- which files

    def _matters(self, path: str) -> bool:
        if self._common and self._is_about_trees(path):
            return True
        place = self._place(path)
        return place is not None and place[1].partition("/")[0] not in _HIDDEN

    def _place(self, path: str) -> tuple[str, str] | None:
        """The innermost tree that a path is in, and its name there; None for a tree itself."""
        top = path
        while top not in self.tops:
            top = os.path.dirname(top)
            if len(top) <= 1:
                return None
        return (top, path[len(top) + 1 :]) if top != path else None

    def _sorted(self, news: Iterable[tuple[int, str]]) -> list[Batch]:
        by_top: dict[str, set[str]] = {}
        foreign: dict[str, bool] = {}
        made = {path for change, path in news if change == 1}
        for path in {path for _, path in news}:
            for written in _files(path, is_new=path in made):
                place = self._place(written)
                if place is None or place[1].partition("/")[0] in _HIDDEN:
                    continue
                if not self._is_foreign(*place, known=foreign):
                    by_top.setdefault(place[0], set()).add(place[1])
        return [Batch(top, paths) for top, paths in sorted(by_top.items())]

    @staticmethod
    def _is_foreign(top: str, name: str, *, known: dict[str, bool]) -> bool:
        """Whether a file is in a repository within the tree, which has a room of its own."""
        folder = os.path.dirname(name)
        while folder:
            if folder not in known:
                known[folder] = os.path.lexists(f"{top}/{folder}/.git")
            if known[folder]:
                return True
            folder = os.path.dirname(folder)
        return False


def _files(path: str, *, is_new: bool) -> Iterable[str]:
    """The files behind one event: itself; of a folder that appeared what is in it."""
    if not os.path.lexists(path):
        # Made and gone within the moment: what programs write beside a file before they replace it.
        return () if is_new else (path,)
    if os.path.islink(path) or not os.path.isdir(path):
        return (path,)
    return _walked(path) if is_new else ()


def _walked(folder: str) -> list[str]:
    found: list[str] = []
    with suppress(OSError):
        for at, folders, files in os.walk(folder):
            folders[:] = [one for one in folders if one not in _HIDDEN]
            found += [f"{at}/{one}" for one in files]
            if len(found) > _WALK_FILES_MAX:
                break
    return found[:_WALK_FILES_MAX]
