"""Carrying out plans: all files or none, with what they were before kept for the way back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from rally.model.visible import visible
from rally.setup.backups import Backups, backup_for
from rally.setup.files import applied, missing_folders, remove_folders
from rally.setup.surface import FileChange

_NO_ENDING = "\n\\ No newline at end of file\n"

Done = Literal["created", "updated", "removed", "unchanged"]


@dataclass(frozen=True, slots=True)
class FileDone:
    """What became of one file."""

    path: str
    change: Done

    @classmethod
    def of(cls, change: FileChange) -> FileDone:
        """What a change comes to."""
        if change.before == change.after:
            return cls(change.path, "unchanged")
        if change.before is None:
            return cls(change.path, "created")
        return cls(change.path, "removed" if change.after is None else "updated")

    def as_json(self) -> dict[str, str]:
        """For answers."""
        return {"path": self.path, "change": self.change}


@contextmanager
def put_in(changes: Sequence[FileChange], backups: Backups) -> Iterator[None]:
    """Carry out changes that bring rally in; when the body fails, nothing has happened.

    Raises:
        Failure: see `files.applied` and `Backups.kept`; nothing was changed.
    """
    wanted = [one for one in changes if one.before != one.after]
    if not wanted:
        yield
        return
    with backups.locked():
        pairs = [
            (one, backup_for(one, backups.of(one.path), missing_folders(one.path)))
            for one in wanted
        ]
        new = [backup for _, backup in pairs if backup is not None]
        gone = [one.path for one, backup in pairs if backup is None]
        with backups.kept(new, gone), applied(wanted):
            yield


def take_out(changes: Sequence[FileChange], backups: Backups) -> list[FileChange]:
    """Carry out changes that take rally out, and answer them as they were carried out.

    A file that nobody edited since becomes byte for byte what it was before rally; folders that were
    made for it go when they are empty.

    Raises:
        Failure: see `put_in`.
    """
    wanted = exact(changes, backups)
    folders = [
        folder
        for one in wanted
        if one.after is None and (backup := backups.of(one.path)) is not None
        for folder in backup.folders
    ]
    if all(one.before == one.after and backups.of(one.path) is None for one in wanted):
        return wanted
    with (
        backups.locked(),
        backups.kept([], [one.path for one in wanted]),
        applied([one for one in wanted if one.before != one.after]),
    ):
        pass
    remove_folders(folders)
    return wanted


def exact(changes: Sequence[FileChange], backups: Backups) -> list[FileChange]:
    """The changes of an uninstallation, with the bytes of the backup where that still counts."""
    found = []
    for one in changes:
        backup = backups.of(one.path)
        is_touched = one.before != one.after
        if backup is not None and is_touched and backup.is_current(one.before):
            found.append(replace(one, after=backup.base))
        else:
            found.append(one)
    return found


def diff_of(changes: Sequence[FileChange]) -> str:
    """What changes would do, as a unified diff; empty where they do nothing."""
    return "".join(_diff(one) for one in changes if one.before != one.after)


def _diff(change: FileChange) -> str:
    before, after = _lines(change.before), _lines(change.after)
    names = (
        "/dev/null" if change.before is None else visible(change.path),
        "/dev/null" if change.after is None else visible(change.path),
    )
    lines = difflib.unified_diff(before, after, *names)
    return "".join(line if line.endswith("\n") else f"{line}{_NO_ENDING}" for line in lines)


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode(errors="replace")
    return [visible_line(line) for line in text.splitlines(keepends=True)]


def visible_line(line: str) -> str:
    """A line that may go to a terminal; its end, whatever it was, is one line feed."""
    body = line.rstrip("\r\n")
    ending = "\n" if len(body) != len(line) else ""
    return "\t".join(visible(part) for part in body.split("\t")) + ending
