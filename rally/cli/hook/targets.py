"""From the paths that a tool call writes to the rooms that they are in.

The write's target decides, wherever the session's folder is: a path in another repository is checked
in that repository's room. Where RALLY_ROOM or --room names a room, what lies in it belongs to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rally.facilitation.places import Place, canonical_path, find_place, ledger_file
from rally.hosts.hooks import Write
from rally.model.errors import UsageError


class Spot(NamedTuple):
    """A room that exists, and how an operation is sent there.

    Attributes:
        root: the room's root.
        cwd: a folder from which the room is found.
        override: the room's name where it is found by that alone.
    """

    root: str
    cwd: str
    override: str | None


class Target(NamedTuple):
    """One path that is about to be written.

    Attributes:
        path: absolute, as it was named.
        name: in the room's one form (contract C1).
        is_folder: whether it is one now.
    """

    path: str
    name: str
    is_folder: bool


class Found(NamedTuple):
    """What a call writes.

    Attributes:
        rooms: each with what is written in it.
        outside: how many paths are in no room.
        wrong: the first path that cannot be told, `room-not-found` included; None without one.
    """

    rooms: list[tuple[Spot, list[Target]]]
    outside: int
    wrong: UsageError | None


class Surroundings:
    """Where a hook was called.

    Args:
        cwd: the working folder of the `rally` process.
        override: `--room` or RALLY_ROOM, None without one.
    """

    def __init__(self, cwd: str, override: str | None) -> None:
        self._cwd = cwd
        self._override = override or None
        self._places: dict[str, Place] = {}

    def of_session(self, folder: str) -> Spot | None:
        """The room that a session in this folder belongs to; None where there is none.

        Raises:
            UsageError: `room-not-found`.
        """
        if self._override:
            return self._spot(find_place(self._cwd, self._override), self._cwd)
        return self._spot(self._place(folder), folder)

    def of_writes(self, writes: Iterable[Write]) -> Found:
        """What is written, room by room; one path that is wrong does not hide the others."""
        found: dict[str, tuple[Spot, list[Target]]] = {}
        outside = 0
        wrong: UsageError | None = None
        for path in dict.fromkeys(path for write in writes for path in _on_disk(write)):
            try:
                located = self._locate(path)
            except UsageError as error:
                wrong = wrong or error
            else:
                if located is None:
                    outside += 1
                    continue
                spot, target = located
                found.setdefault(spot.root, (spot, []))[1].append(target)
        return Found(list(found.values()), outside, wrong)

    def _locate(self, path: str) -> tuple[Spot, Target] | None:
        if "\0" in path:
            raise UsageError("bad-path", "a path holds a NUL character", hint="leave it out")
        real = os.path.realpath(path)
        is_folder = os.path.isdir(real)
        if self._override:
            place = find_place(self._cwd, self._override)
            name = _name_in(place, path)
            if name is not None:
                spot = self._spot(place, self._cwd)
                return (spot, Target(path, name, is_folder)) if spot else None
        folder = real if is_folder else os.path.dirname(real)
        place = self._place(folder)
        spot = self._spot(place, folder)
        while spot is None and (above := os.path.dirname(place.root)) != place.root:
            # A repository without a room, such as a submodule, is a folder of the room around it.
            place = self._place(above)
            spot = self._spot(place, above)
        name = _name_in(place, path) if spot else None
        if spot is None or name is None:
            return None
        return spot._replace(override=None), Target(path, name, is_folder)

    def _place(self, folder: str) -> Place:
        if folder not in self._places:
            self._places[folder] = find_place(folder)
        return self._places[folder]

    def _spot(self, place: Place, cwd: str) -> Spot | None:
        if not os.path.lexists(ledger_file(place.root)):
            return None
        return Spot(place.root, cwd, self._override)


def _name_in(place: Place, path: str) -> str | None:
    """The path's one form in a room; None outside it."""
    try:
        return canonical_path(path, place)
    except UsageError as error:
        if error.code != "path-outside-room":
            raise
        return None


def _on_disk(write: Write) -> list[str]:
    """The paths that a write comes to, as the disk is now."""
    if write.into is not None and (write.path.endswith("/") or os.path.isdir(write.path)):
        return [f"{write.path.rstrip('/')}/{name}" for name in write.into]
    if write.if_there and not os.path.lexists(write.path):
        return []
    return [write.path]


def env_for(spot: Spot, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of an operation in a room: RALLY_ROOM counts only where it led there."""
    return {name: value for name, value in env.items() if name != "RALLY_ROOM" or spot.override}
