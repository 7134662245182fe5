"""The room's folder `.rally`, and the lock by which processes take turns at making files in it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rally.facilitation.files import sync_folder
from rally.facilitation.ledger.failures import as_failure
from rally.facilitation.places import LEDGER_FILE, ROOM_FOLDER, ledger_file
from rally.model.errors import Failure
from rally.model.shell import word

_IGNORE_ALL = b"*\n"
_PAUSE_S = 0.005
_TRIES_MAX = 1_000


def file_identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """What tells a file from another one at the same place; None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return (0, 0)  # there, and unreadable: opening it will say why
    return (found.st_dev, found.st_ino)


def has_room(root: str) -> bool:
    """Whether there is a ledger under this root, readable or not."""
    return file_identity(ledger_file(root)) is not None


def check_room_folder(root: str | os.PathLike[str]) -> None:
    """Tell a place without a room, of which reading makes an empty one, from a room out of reach.

    Raises:
        Failure: `unavailable`; `.rally` is there and is no folder, such as a link to a disk that is
            not mounted. What it says is unknown, and unknown is never "nothing is claimed".
            `corrupt-ledger`; the ledger is gone and its write-ahead log, with facts in it, is not.
    """
    folder = Path(root, ROOM_FOLDER)
    log = folder / f"{LEDGER_FILE}-wal"
    if log.is_file() and log.stat().st_size and not (folder / LEDGER_FILE).exists():
        raise Failure(
            "corrupt-ledger",
            f"{folder / LEDGER_FILE} is gone, and its log {log.name} is still there",
            hint="rally verify",
            details={"file": str(folder / LEDGER_FILE)},
        )
    if os.path.lexists(folder) and not folder.is_dir():
        raise Failure(
            "unavailable", f"{folder} is not a folder; what the room says cannot be known",
            hint=f"move {folder} away, or mend the link",
        )  # fmt: skip


def room_gone(root: str) -> Failure:
    """The failure to raise where a room was that is no longer there, or is another one."""
    return Failure(
        "room-gone", f"the room in {root} was removed or replaced",
        hint=f"rally init --room {word(root)}",
    )  # fmt: skip


def prepare_room_folder(root: Path) -> Path:
    """Make `<root>/.rally` (0700), ignored by git through a file of its own, and answer its path.

    Repeating it, from any number of processes at once, does no harm, and completes what a killed
    process began. A folder that holds a ledger already is left as it is; one that was made by hand
    becomes private before the ledger is in it (contract R2).

    Raises:
        Failure: `unwritable`, `disk-full` or `unavailable`; a folder that this call made is gone
            again.
    """
    folder = root / ROOM_FOLDER
    made = False
    try:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise Failure(
                    "unwritable", f"{folder} is not a folder", hint=f"move {folder} away"
                ) from None
            if not (folder / LEDGER_FILE).exists():  # made by hand, to say where the room is
                with suppress(PermissionError):
                    folder.chmod(0o700)
        else:
            made = True
            folder.chmod(0o700)  # mkdir lets the umask take away even the owner's bits
        _keep_out_of_git(folder)
        if made:
            sync_folder(root)
    except OSError as error:
        if made:
            with suppress(OSError):
                folder.rmdir()  # refuses when another process has already begun to use it
        raise as_failure(error, folder) from error
    return folder


def _keep_out_of_git(folder: Path) -> None:
    """Have git ignore the whole folder, this file included, and touch no file of the user's."""
    ignore = folder / ".gitignore"
    # An empty one is what a process that was killed in between leaves behind. Two that write it at
    # once write the same two bytes to the same place, so neither needs a temporary name.
    if not ignore.exists() or ignore.stat().st_size == 0:
        try:
            ignore.write_bytes(_IGNORE_ALL)
        except OSError:
            with suppress(OSError):
                ignore.unlink(missing_ok=True)
            raise


@contextmanager
def folder_lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the folder's lock; answers whether it is held. A killed holder loses it at once.

    The lock is on the folder itself, so it leaves no file behind. Where the file system has no such
    locks the answer is False and the caller must be safe without.

    Args:
        wait: whether to wait (about five seconds) for another holder, or to answer False.

    Raises:
        Failure: `busy`, after waiting; or what opening the folder met.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise as_failure(error, folder) from error
    try:
        yield _lock(handle, folder, tries=_TRIES_MAX if wait else 1, must=wait)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, *, tries: int, must: bool) -> bool:
    for left in range(tries, 0, -1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left > 1:
                time.sleep(_PAUSE_S)
        except OSError:
            return False
        else:
            return True
    if must:
        raise Failure(
            "busy", f"another process kept {folder} locked for too long",
            hint="run the command again",
        )  # fmt: skip
    return False
