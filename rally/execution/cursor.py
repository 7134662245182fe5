"""How far a label has seen the room: the cursor that lets no activity be missed (contract X1).

A small file in `.rally/watch/`, replaced as a whole, so a crash leaves the old one or the new one.
It is kept per label and not in the ledger: how far a reader has read is nobody else's news. It moves
on when a batch was dealt with, so a watcher that is killed in the middle does that batch again. An
attempt is counted before it begins; a batch that brings down its watcher is given up like any other.

Where there is no room yet, nothing is made: that the label has looked is kept in the user's state
folder, and the first fact of the room is its first news.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import orjson

from rally.facilitation.files import write_whole
from rally.facilitation.places import ROOM_FOLDER
from rally.model.errors import Failure
from rally.model.shell import word

_FOLDER = "watch"
_NAME_CHARS = 40


class Mark(NamedTuple):
    """A place in the ledger.

    Attributes:
        seq: everything up to here was dealt with.
        attempts: how often the batch behind it was tried.
    """

    seq: int
    attempts: int = 0


class Cursor:
    """The cursor of one label in one room.

    Args:
        root: the room's root.
        label: the watcher's label.
        state: the user's own folder of state.
    """

    def __init__(self, root: str, label: str, *, state: str) -> None:
        self._folder = Path(root, ROOM_FOLDER, _FOLDER)
        readable = "".join(char if char.isalnum() or char in "._-" else "_" for char in label)
        digest = sha256(label.encode()).hexdigest()[:12]
        self._name = f"{readable[:_NAME_CHARS]}-{digest}"
        place = sha256(f"{root}\0{label}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._before_room = Path(state, _FOLDER, place)

    def read(self) -> Mark | None:
        """The mark; None where there is none, or none that can be read."""
        found = self._read()
        return Mark(0) if found is None and self._before_room.exists() else found

    def await_room(self) -> None:
        """Keep that the label has looked before there was a room, if that can be kept."""
        with suppress(OSError):
            self._before_room.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._before_room.touch(mode=0o600)

    def _read(self) -> Mark | None:
        try:
            kept = orjson.loads((self._folder / f"{self._name}.json").read_bytes())
            seq, attempts = int(kept["seq"]), int(kept["attempts"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Mark(seq, attempts) if seq >= 0 and attempts >= 0 else None

    def write(self, mark: Mark, *, anew: bool = False) -> None:
        """Keep a mark; another watcher's that is further on stays.

        Args:
            anew: keep it in any case: the ledger is another one.

        Raises:
            Failure: `unwritable`; the old one is kept.
        """
        kept = None if anew else self.read()
        if kept is not None and kept > mark:
            return
        partial = self._folder / f".{self._name}.{os.getpid()}"
        with self._writing():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            content, file = orjson.dumps(mark._asdict()), self._folder / f"{self._name}.json"
            write_whole(file, content, partial=partial, is_durable=True)
        with suppress(OSError):
            self._before_room.unlink(missing_ok=True)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process's turn: calls of one label from cron may overlap.

        Raises:
            Failure: `unwritable`.
        """
        with self._writing():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            lock = os.open(self._folder / f"{self._name}.lock", flags, 0o600)
        try:
            is_ours = True
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_ours = False
            yield is_ours
        finally:
            os.close(lock)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Failure(
                "unwritable",
                f"how far the watcher is cannot be kept: {error.filename}: {error.strerror}",
                hint=f"ls -ld {word(str(self._folder.parent))}",
            ) from error
