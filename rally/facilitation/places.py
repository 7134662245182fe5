"""From a folder to its room, and from a path as it was typed to its one form (contract R1, C1).

A relative path is relative to the room's root, whatever folder the command runs in, because agents
pass paths to each other. It is only *looked at* in the caller's own working tree: that is where the
symbolic links are that the caller would follow.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from rally.facilitation.repository import (
    Repository,
    common_dir_of,
    find_repository,
    git_dir_of,
    linked_tops,
)
from rally.model.errors import UsageError
from rally.model.paths import (
    canonical_text,
    check_path_text,
    is_pattern,
    normal_form,
    outside_room,
)

ROOM_FOLDER = ".rally"
LEDGER_FILE = "ledger.db"
# As many as Linux follows before it says ELOOP.
_LINKS_MAX = 40


class Place:
    """Where one command runs. For one command only: worktrees come and go.

    Attributes:
        root: the room's root, absolute and real.
        top: the root of the caller's working tree, of which `root` or a linked worktree is one.
        common_dir: the git directory shared by the working trees that the room is for; None where
            the room is not a repository's.
        ignore_case: whether the repository ignores case.
        folder: the caller's own, real; `top` where it is not known or not below it.
    """

    __slots__ = ("common_dir", "folder", "ignore_case", "root", "top")

    def __init__(
        self,
        *,
        root: str,
        top: str | None = None,
        common_dir: str | None = None,
        ignore_case: bool = False,
    ) -> None:
        self.root = root
        self.top = top or root
        self.folder = self.top
        self.common_dir = common_dir
        self.ignore_case = ignore_case

    def linked_tops(self) -> list[str]:
        """The roots of all linked worktrees, read from git's files now; may be empty."""
        return linked_tops(self.common_dir) if self.common_dir else []

    def __repr__(self) -> str:
        return f"<Place {self.root} seen from {self.top}>"


def ledger_file(root: str) -> str:
    """The ledger of the room with this root, whether it is there or not."""
    return f"{root}/{ROOM_FOLDER}/{LEDGER_FILE}"


def find_place(cwd: str, room_override: str | None = None) -> Place:
    """The room of a folder (contract R1). Creates nothing.

    Inside git the main working tree's root, or a bare repository's folder. Outside, the nearest
    folder upwards with a `.rally/`; else the nearest with a `.git` that leads nowhere, which still
    marks the top of what was a working tree; else the folder itself.

    Args:
        cwd: the folder that the command runs in, absolute; empty where that was removed.
        room_override: `--room` or `RALLY_ROOM`, relative to `cwd`; None or empty for none. Exactly
            this folder is the room's root, be it in the middle of a repository.

    Raises:
        UsageError: `room-not-found`: the override is no folder; or the main working tree cannot be
            found from this linked worktree (`--separate-git-dir`); or the working folder is gone and
            no absolute override says where the room is.
    """
    if not cwd and not (room_override or "").startswith("/"):
        raise UsageError(
            "room-not-found", "the folder that this runs in was removed, and with it the way to a room",
            hint="cd into the room first, or name it: --room DIR",
        )  # fmt: skip
    folder = os.path.realpath(cwd or "/")
    if room_override:
        place = _overridden(folder, room_override)
    elif (repository := find_repository(folder)) is not None:
        place = _place(repository)
    else:
        place = Place(root=_root_outside_git(folder))
    if _below(folder, place.top, ignore_case=False):
        place.folder = folder
    return place


def _place(repository: Repository) -> Place:
    if repository.root is None:
        # Guessing would give the linked worktrees a room of their own, and collisions with it.
        raise UsageError(
            "room-not-found",
            f"git does not record where the main working tree of {repository.common_dir} is",
            hint="RALLY_ROOM=<root of the main working tree>",
            details={"common_dir": repository.common_dir},
        )
    return Place(
        root=repository.root,
        top=repository.top,
        common_dir=repository.common_dir,
        ignore_case=repository.ignore_case,
    )


def _root_outside_git(folder: str) -> str:
    marked: str | None = None
    at = folder
    while True:
        if os.path.isdir(f"{at}/{ROOM_FOLDER}"):
            return at
        if marked is None and os.path.lexists(f"{at}/.git"):
            marked = at
        above = at.rpartition("/")[0] or "/"
        if above == at:
            return marked or folder
        at = above


def _overridden(folder: str, override: str) -> Place:
    named = os.path.join(folder, override)
    if not os.path.isdir(named):
        raise UsageError(
            "room-not-found", f"the room is no folder: {override!a}",
            hint="--room takes the folder that holds, or is to hold, .rally/",
            details={"room": override},
        )  # fmt: skip
    root = os.path.realpath(named)
    of_room = find_repository(root)
    if of_room is None:
        return Place(root=root)
    # A main working tree whose git directory does not name it is known from itself alone.
    if of_room.root != root:
        return Place(root=root, ignore_case=of_room.ignore_case)
    here = find_repository(folder)
    same = here is not None and here.common_dir == of_room.common_dir
    return Place(
        root=root,
        top=here.top if here and same else root,
        common_dir=of_room.common_dir,
        ignore_case=of_room.ignore_case,
    )


def canonical_path(raw: str, place: Place) -> str:
    """The one form of a path or pattern as somebody typed it (contract C1), whole.

    An absolute path in any working tree of the repository means the same as the relative one.
    Symbolic links are followed up to the first wildcard. The path need not exist: what does not is
    taken as it is written.

    Args:
        raw: relative to the room's root, or absolute.
        place: where the caller is.

    Raises:
        UsageError: `path-outside-room` (also through a link), `bad-path` (empty, links in a circle,
            `..` behind a wildcard), `bad-text` or `too-long`.
    """
    check_path_text(raw)
    walk = _Walk(place, raw)
    location = walk.follow()
    inside = _below_innermost(location, walk.tops, place)
    if inside is None:
        # A linked worktree that was deleted can only be known from git's list.
        inside = _below_innermost(location, place.linked_tops(), place)
    if inside is None:
        raise outside_room(raw, place.root)
    return canonical_text("/".join([inside or ".", *walk.pattern]), ignore_case=place.ignore_case)


def misplaced(raws: Iterable[str], place: Place) -> dict[str, str]:
    """Paths that were probably meant relative to the caller's folder, each with what would say that.

    They are relative to the root (contract C1). One that the root does not have, and the caller's folder
    has, was typed by somebody who thinks of the folder.
    """
    if place.folder == place.top:
        return {}
    found: dict[str, str] = {}
    for raw in raws:
        if raw.startswith("/") or ".." in raw or is_pattern(raw):
            continue
        here = os.path.normpath(f"{place.folder}/{raw}")
        if not os.path.lexists(f"{place.top}/{raw}") and os.path.lexists(here):
            found[raw] = here[len(_stripped(place.top)) + 1 :]
    return found


class _Walk:
    """One path, followed segment by segment.

    Attributes:
        tops: the roots of the repository's working trees that are known or were come through. They
            are found on the way, by their `.git`, since listing two thousand worktrees for each
            path would cost more than all the rest.
        pattern: what is left from the first wildcard on.
    """

    __slots__ = ("_place", "_raw", "pattern", "tops")

    def __init__(self, place: Place, raw: str) -> None:
        self._place = place
        self._raw = raw
        self.tops = [place.root, place.top]
        self.pattern: list[str] = []

    def follow(self) -> str:
        """Where the literal part leads, absolute and free of links; `` for the root folder."""
        at, todo = self._start()
        links = 0
        seen = (
            True  # whether `at` was found on the disk; below what is missing nothing is looked up
        )
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at, seen = at.rpartition("/")[0], True
                continue
            if is_pattern(part):
                self.pattern = [part, *reversed(todo)]
                break
            step = f"{at}/{part}"
            target = self._look(step) if seen else None
            if target is None:
                at, seen = step, False
            elif target == "":
                at = step
            else:
                links += 1
                if links > _LINKS_MAX:
                    raise UsageError(
                        "bad-path", f"symbolic links lead in a circle: {self._raw!a}",
                        hint="remove or mend the link",
                    )  # fmt: skip
                todo.extend(reversed(target.split("/")))
                if target.startswith("/"):
                    at = ""
        return at

    def _start(self) -> tuple[str, list[str]]:
        """The folder to start from, real, and the segments to follow from there, last one first."""
        raw, place = self._raw, self._place
        if not raw.startswith("/"):
            if ".." in raw:
                # Refused for its text alone, wherever links would have led it.
                canonical_text(raw, root=place.root)
            parts = [part for part in raw.split("/") if part not in ("", ".")] or ["."]
            # What the caller's tree does not have may still be there in the main working tree,
            # such as the folder in which the linked worktrees are.
            own = place.top == place.root or os.path.lexists(f"{place.top}/{parts[0]}")
            return _stripped(place.top if own else place.root), parts[::-1]
        for known in (place.top, place.root):
            inside = _below(raw, known, ignore_case=False)
            if inside is not None:
                return _stripped(known), inside.split("/")[::-1]
        return "", raw.split("/")[::-1]

    def _look(self, step: str) -> str | None:
        """The target of a link, `` for anything else that is there, None for what is not."""
        try:
            mode = os.lstat(step).st_mode
            if stat.S_ISLNK(mode):
                return os.readlink(step)
        except OSError:
            return None
        if self._place.common_dir and stat.S_ISDIR(mode) and step not in self.tops:
            git_dir = git_dir_of(step)
            if git_dir is not None and common_dir_of(git_dir) == self._place.common_dir:
                self.tops.append(step)
        return ""


def _below_innermost(location: str, tops: list[str], place: Place) -> str | None:
    """A location relative to the innermost of some tops, `` for the top itself; None outside."""
    found = (_below(location, top, ignore_case=place.ignore_case) for top in tops)
    return min((inside for inside in found if inside is not None), key=len, default=None)


def _below(location: str, top: str, *, ignore_case: bool) -> str | None:
    """A location relative to a top, `` for the top itself; None when it is not in it."""
    prefix = f"{_stripped(top)}/"
    if f"{location}/".startswith(prefix):
        return location[len(prefix) :]
    depth = prefix.count("/")
    names = location.split("/")
    head = normal_form("/".join(names[:depth]), ignore_case=ignore_case)
    if head == normal_form(prefix[:-1], ignore_case=ignore_case):
        return "/".join(names[depth:])
    return None


def _stripped(folder: str) -> str:
    """A folder such that `/` and a name can be put behind it, also when it is `/`."""
    return folder.rstrip("/")
