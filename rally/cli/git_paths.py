"""From the names that git prints to the room's paths, and back.

A working tree of the room's own repository is seen like any path in it. A checkout of another
repository, such as a fresh clone in CI whose room is named by `RALLY_ROOM`, means the room's files by
their names: `src/a.py` of the clone is `src/a.py` of the room.

git follows no links, and neither does this: were a folder replaced by a link, the names of the files
that were in it would lead to where nobody holds anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from rally.cli.plan import Warnings
from rally.facilitation.places import Place
from rally.facilitation.repository import Repository, find_repository
from rally.model.paths import canonical_text, name_on_disk


class GitPaths:
    """The files of one working tree as the room knows them.

    Args:
        repository: that of the working tree; `top` is not None.
        place: where the command runs, and the room.

    Attributes:
        names: for each canonical path the name that git prints.
        warnings: one for each file that is not in the room, and one where the room is another
            repository's.
    """

    def __init__(self, repository: Repository, place: Place) -> None:
        self._place = place
        self._top = repository.top or ""
        self._inside = _folder_of_clone(repository, place)
        self.names: dict[str, str] = {}
        self.warnings: Warnings = []
        if self._inside is not None and repository.common_dir != _common_dir(place.root):
            message = f"{self._top} is no part of {place.root}: files are matched by their names"
            self.warnings.append({"code": "other-checkout", "message": message})

    def add(self, names: Iterable[str]) -> None:
        """Take files in."""
        for raw in names:
            inside = self._inside_room(name_on_disk(raw))
            if inside is None:
                message = f"not checked, it is not in the room: {raw}"
                self.warnings.append({"code": "path-outside-room", "message": message})
            else:
                self.names[canonical_text(inside, ignore_case=self._place.ignore_case)] = raw

    def _inside_room(self, name: str) -> str | None:
        """A name relative to the room's root; None where the room is a part without that file."""
        place = self._place
        if self._inside is not None:
            return _cut(name, self._inside) if self._inside else name
        if self._top in (place.top, place.root):
            return name
        whole = f"{self._top}/{name}"
        return _cut(whole, place.top) or _cut(whole, place.root)


def _cut(path: str, folder: str) -> str | None:
    """A path relative to a folder above it; None where it is not below."""
    prefix = f"{folder.rstrip('/')}/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _common_dir(folder: str) -> str | None:
    repository = find_repository(folder)
    return repository.common_dir if repository is not None else None


def _folder_of_clone(repository: Repository, place: Place) -> str | None:
    """The folder that the room's root is in a checkout beside its own, empty for its top.

    Returns:
        None where the working tree is the room's, or one lies within the other.
    """
    top, root = f"{repository.top}/", f"{place.root}/"
    if top.startswith(root) or root.startswith(top):
        return None
    of_room = find_repository(place.root)
    if of_room is None or of_room.root is None:
        return ""
    inside = os.path.relpath(place.root, of_room.root)
    return "" if inside == "." else inside
