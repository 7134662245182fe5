"""The working tree that the agent works in: the one that the caller is in."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rally.facilitation.places import Place
from rally.facilitation.repository import find_repository, git_dir_of
from rally.model.errors import UsageError
from rally.model.paths import normal_form


@dataclass(slots=True, frozen=True)
class Tree:
    """A working tree, and the room as seen in it.

    Attributes:
        top: the root of the tree, which git's names are relative to.
        folder: what in it stands for the room's root; programs run there.
        ignore_case: whether the repository ignores case.
    """

    top: str
    folder: str
    ignore_case: bool

    def in_room(self, name: str) -> str:
        """A name of git's as a path of the room; it begins with `../` where it is outside of it.

        Git names a link itself and not where it leads, so nothing is followed.
        """
        # Bytes that are no UTF-8 could stand in no fact and in no answer.
        text = os.fsencode(name).decode(errors="replace")
        inside = os.path.relpath(f"{self.top}/{text}", self.folder)
        return normal_form(inside, ignore_case=self.ignore_case)

    def reported(self, path: str) -> str:
        """A path as an agent reports it, in the same form."""
        absolute = os.path.normpath(os.path.join(self.folder, path))
        return normal_form(
            os.path.relpath(absolute, self.folder), ignore_case=self.ignore_case
        )  # fmt: skip

    def name(self, path: str) -> str:
        """A path of the room as a name of git's."""
        return os.path.relpath(f"{self.folder}/{path}", self.top)


def working_tree(place: Place, cwd: str) -> Tree:
    """The working tree around a folder, if it belongs to the room; else the room's own.

    Raises:
        UsageError: `not-a-repository`.
    """
    own = find_repository(place.root)
    here = find_repository(os.path.realpath(cwd or "/"))
    top = own.top if own is not None else None
    if own is not None and here is not None and here.common_dir == own.common_dir:
        top = here.top
    if own is None or own.top is None or top is None or git_dir_of(top) is None:
        raise UsageError(
            "not-a-repository",
            f"what an agent changes is read from git, and {place.root} is in no working tree",
            hint="git init",
        )
    folder = os.path.normpath(f"{top}/{os.path.relpath(place.root, own.top)}")
    return Tree(top, folder if os.path.isdir(folder) else top, place.ignore_case)
