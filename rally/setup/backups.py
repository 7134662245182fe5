"""What files were before rally came to them, so that uninstalling gives back exactly that.

One backup for each file, in `$XDG_STATE_HOME/rally/backups` (0700; configurations hold keys):

    <name>-<16 hex digits of its path>.before   the file as it was; absent where there was none
    <name>-<16 hex digits of its path>.json     {path, was_absent, after: sha256 of what rally wrote,
                                                 folders: those that rally made for it}

The file of facts is written last. A backup counts only while the file is byte for byte what rally
wrote; after an edit, uninstalling takes out what is rally's and leaves the rest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from rally.facilitation.files import write_whole
from rally.facilitation.ledger.folder import folder_lock
from rally.model.errors import Failure
from rally.setup.files import failed
from rally.setup.surface import FileChange
from rally.wire.locations import state_home

_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Backup:
    """One file before rally.

    Attributes:
        base: what it held; None where it did not exist.
        after: the hash of what rally wrote.
        folders: those that were made for it, absolute.
    """

    path: str
    base: bytes | None
    after: str
    folders: tuple[str, ...] = ()

    def is_current(self, data: bytes | None) -> bool:
        """Whether the file is still what rally wrote."""
        return data is not None and digest(data) == self.after


class Backups:
    """The backups of this user.

    Args:
        env: says where they are.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._folder = Path(state_home(env), "backups")

    def of(self, path: str) -> Backup | None:
        """The backup of a file; None without a readable one."""
        facts, before = self._files(path)
        try:
            said = orjson.loads(facts.read_bytes())
            base = None if said["was_absent"] else before.read_bytes()
            backup = Backup(said["path"], base, said["after"], tuple(said["folders"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # lost or damaged: what is rally's is still recognised by itself
        return backup if backup.path == os.path.realpath(path) else None

    def base_of(self, path: str) -> bytes | None:
        """See `surface.Recall`."""
        backup = self.of(path)
        return None if backup is None else backup.base

    def was_absent(self, path: str) -> bool:
        """See `surface.Recall`."""
        backup = self.of(path)
        return backup is not None and backup.base is None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One installation at a time.

        Raises:
            Failure: `unwritable` and the like; `busy`.
        """
        try:
            self._folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise failed(error, str(self._folder)) from error
        with folder_lock(self._folder, wait=True):
            yield

    @contextmanager
    def kept(self, new: Sequence[Backup], gone: Sequence[str] = ()) -> Iterator[None]:
        """Write backups, and drop those of some paths once the body has come through.

        When the body fails the backups are those of before.

        Raises:
            Failure: a backup cannot be written; there are none then, and nothing was changed.
        """
        old = [(one.path, self.of(one.path)) for one in new]
        try:
            for one in new:
                self._write(one)
            yield
        except BaseException:
            for path, backup in old:
                with suppress(Failure):
                    self._drop(path) if backup is None else self._write(backup)
            raise
        for path in gone:
            self._drop(path)

    def _files(self, path: str) -> tuple[Path, Path]:
        real = os.path.realpath(path)
        key = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
        name = f"{os.path.basename(real)[:100]}-{key}"
        return self._folder / f"{name}.json", self._folder / f"{name}.before"

    def _write(self, backup: Backup) -> None:
        facts, before = self._files(backup.path)
        said = {
            "path": backup.path,
            "was_absent": backup.base is None,
            "after": backup.after,
            "folders": list(backup.folders),
        }
        try:
            if backup.base is None:
                before.unlink(missing_ok=True)
            else:
                _write(before, backup.base)
            _write(facts, orjson.dumps(said, option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise failed(error, str(facts)) from error

    def _drop(self, path: str) -> None:
        for file in self._files(path):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def digest(data: bytes) -> str:
    """What tells one content from another."""
    return hashlib.sha256(data).hexdigest()


def backup_for(change: FileChange, known: Backup | None, folders: Sequence[str]) -> Backup | None:
    """The backup to keep for a change; None where nothing of rally's is left in the file.

    Args:
        known: the backup that there is.
        folders: those that the change makes.
    """
    base = change.without_rally()
    made = tuple(folders)
    if known is not None and known.is_current(change.before):
        base, made = known.base, (*known.folders, *made)
    if change.after is None or change.after == base:
        return None
    return Backup(os.path.realpath(change.path), base, digest(change.after), made)


def _write(path: Path, data: bytes) -> None:
    # One name for all: whoever writes holds the folder's lock.
    write_whole(path, data, partial=path.with_name(f"{path.name}.new"), is_durable=True)
