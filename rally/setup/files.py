"""Reading and writing other programs' files: whole or not at all, links and modes kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from rally.facilitation.files import sync_folder
from rally.facilitation.ledger.failures import as_failure
from rally.model.errors import Failure, UsageError
from rally.setup.jsonc import BrokenTextError
from rally.setup.surface import FileChange

_FILE_BYTES_MAX = 8 * 1024 * 1024
_NEW_FILE_MODE = 0o666


def read(path: str) -> bytes | None:
    """A file's bytes; None where there is none, also behind a link that leads nowhere.

    Raises:
        UsageError: `unreadable`.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise _unreadable(path, "it is no file")
        with open(path, "rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, (error.strerror or type(error).__name__).lower()) from None
    if len(data) > _FILE_BYTES_MAX:
        raise _unreadable(path, f"it has more than {_FILE_BYTES_MAX // 1024 // 1024} MiB")
    return data


def read_text(path: str) -> str | None:
    """A file's text, line breaks and byte order mark as they are; None where there is none.

    Raises:
        UsageError: `unreadable`; `broken-config` where it is not UTF-8.
    """
    data = read(path)
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        good = data[: error.start].decode()
        line = good.count("\n") + 1
        column = len(good) - (good.rfind("\n") + 1) + 1
        what = BrokenTextError("this is no UTF-8 text", line=line, column=column)
        raise broken(path, what) from None


def broken(path: str, error: BrokenTextError) -> UsageError:
    """The error to raise for a file that is there and is not what it should be."""
    return UsageError(
        "broken-config",
        f"{path}:{error.line}:{error.column}: {error.what}",
        hint="mend the file and run the command again; nothing was changed",
        details={"file": path, "line": error.line, "column": error.column, "what": error.what},
    )


def failed(error: OSError, path: str) -> Failure:
    """The failure to raise when a file or folder cannot be written."""
    known = as_failure(error, path)
    if known.code != "unavailable":
        return known
    return Failure(
        "unwritable", f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
        hint="see what is in the way at this path", details=known.details,
    )  # fmt: skip


def missing_folders(path: str) -> list[str]:
    """The folders that have to be made for a file, the outermost first."""
    folders = []
    folder = os.path.dirname(os.path.realpath(path))
    while not os.path.lexists(folder):
        folders.append(folder)
        folder = os.path.dirname(folder)
    return folders[::-1]


@contextmanager
def applied(changes: Sequence[FileChange]) -> Iterator[None]:
    """Carry out changes, all or none: when one fails, or the body does, all is put back.

    Raises:
        Failure: `config-changed`; a file is no longer what it was when the change was planned.
            `unwritable`, `disk-full` or `unavailable`. Nothing was changed.
    """
    done: list[FileChange] = []
    made: list[str] = []
    try:
        for change in changes:
            made += _make_folders(change)
            _swap(change.path, change.before, change.after, change.mode)
            done.append(change)
        yield
    except BaseException:
        for change in reversed(done):
            # What somebody else wrote meanwhile is theirs; the other files are still put back.
            with suppress(Failure, UsageError):
                _swap(change.path, change.after, change.before, change.mode)
        remove_folders(made)
        raise


def remove_folders(folders: Sequence[str]) -> None:
    """Remove folders that rally made, as far as nobody put anything into them."""
    for folder in sorted(folders, key=len, reverse=True):
        with suppress(OSError):
            os.rmdir(folder)


def _make_folders(change: FileChange) -> list[str]:
    made: list[str] = []
    if change.after is None:
        return made
    for folder in missing_folders(change.path):
        try:
            os.mkdir(folder)
        except OSError as error:
            remove_folders(made)
            raise failed(error, folder) from error
        made.append(folder)
    return made


def _swap(path: str, before: bytes | None, after: bytes | None, mode: int | None) -> None:
    """Bring a file from one content to another, in one step for whoever reads it."""
    real = os.path.realpath(path)
    try:
        if after is None:
            _expect(path, before)
            os.unlink(real)
        else:
            _write(real, path, before, (after, mode))
        sync_folder(os.path.dirname(real))
    except OSError as error:
        raise failed(error, path) from error


def _write(real: str, path: str, before: bytes | None, new: tuple[bytes, int | None]) -> None:
    data, mode = new
    # Not a name of its own each time: what a killed process leaves is overwritten by the next.
    beside = f"{os.path.dirname(real)}/.{os.path.basename(real)}.rally-new"
    with suppress(FileNotFoundError):
        os.unlink(beside)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(beside, flags, _NEW_FILE_MODE if mode is None else mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if before is not None:
                _keep_rights(file.fileno(), real)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _expect(path, before)
        os.rename(beside, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _keep_rights(handle: int, real: str) -> None:
    """Give the new file what the old one has; one that nobody may write is left alone."""
    found = os.stat(real)
    if not os.access(real, os.W_OK):
        raise PermissionError(13, "is not writable", real)
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):  # only root may give files away
            os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, stat.S_IMODE(found.st_mode))


def _expect(path: str, data: bytes | None) -> None:
    """See to it that nobody wrote to the file since it was read.

    Raises:
        Failure: `config-changed`.
    """
    if read(path) != data:
        raise Failure(
            "config-changed", f"another program changed {path} at the same moment",
            hint="run the command again", details={"file": path},
        )  # fmt: skip


def _unreadable(path: str, why: str) -> UsageError:
    return UsageError(
        "unreadable", f"{path} cannot be read: {why}",
        hint="make it a file that you can read; nothing was changed",
        details={"file": path, "cause": why},
    )  # fmt: skip
