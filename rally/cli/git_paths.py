"""From the names that git prints to the room's paths, and back.

A working tree of the room's own repository is seen like any path in it. A checkout of another
repository, such as a fresh clone in CI whose room is named by `RALLY_ROOM`, means the room's files by
their names: `src/a.py` of the clone is `src/a.py` of the room.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from rally.cli.plan import Warnings
from rally.facilitation.places import Place, canonical_path
from rally.facilitation.repository import Repository, find_repository
from rally.model.errors import UsageError


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
        if self._inside is not None:
            message = f"{self._top} is no part of {place.root}: files are matched by their names"
            self.warnings.append({"code": "other-checkout", "message": message})

    def add(self, names: Iterable[str]) -> None:
        """Take files in."""
        for name in names:
            try:
                self.names[canonical_path(self._meant(name), self._place)] = name
            except UsageError as error:
                if error.code != "path-outside-room":
                    raise
                # A symbolic link that leads elsewhere, or a room that is a part of the repository.
                message = f"not checked, it leads out of the room: {name}"
                self.warnings.append({"code": error.code, "message": message})

    def _meant(self, name: str) -> str:
        """The path that a name stands for."""
        # Bytes that are no UTF-8 can stand in no claim; one that covers such a file is found anyway.
        name = "".join("?" if "\udc80" <= char <= "\udcff" else char for char in name)
        if self._inside is None:
            return f"{self._top}/{name}"
        if self._inside and not name.startswith(f"{self._inside}/"):
            return f"{self._top}/{name}"  # of a part of the repository that the room is not for
        return name[len(self._inside) :].lstrip("/")


def _folder_of_clone(repository: Repository, place: Place) -> str | None:
    """The folder that the room's root is in a checkout of another repository, empty for its top.

    Returns:
        None where the working tree belongs to the room's repository, or lies within the room.
    """
    if f"{repository.top}/".startswith(f"{place.root}/"):
        return None
    of_room = find_repository(place.root)
    if of_room is None or of_room.root is None:
        return ""
    if of_room.common_dir == repository.common_dir:
        return None
    inside = os.path.relpath(place.root, of_room.root)
    return "" if inside == "." else inside
