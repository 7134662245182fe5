"""inotify(7): the kernel tells of a folder's changes, and nobody wakes up in between.

Two functions of libc, found when this module is imported. The libraries that do the same start
`ldconfig` to find libc, and facilitation starts nothing (law 1); and they load it late, when the
daemon's guard no longer lets anything be loaded. The daemon imports this module before its guard is up.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x02, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLY_FOLDERS = 0x400, 0x800, 0x0100_0000
_WATCHED = (
    _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
)  # fmt: skip
_HEAD = struct.Struct("iIII")
# Room for some hundred events; what is left over is read the next time.
_READ_BYTES = 65_536

_libc = ctypes.CDLL(None, use_errno=True)
_init = _libc.inotify_init1
_init.argtypes = (ctypes.c_int,)
_add_watch = _libc.inotify_add_watch
_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class Change(NamedTuple):
    """One thing that happened.

    Attributes:
        name: of the file in the folder; empty where it happened to the folder itself, or where the
            kernel had more to tell than it could keep.
        is_write: a file was written to; otherwise something came, went, or is not known.
    """

    name: str
    is_write: bool


class Inotify:
    """Changes of some folders, without what is in their sub-folders.

    Args:
        folders: absolute paths.

    Raises:
        FileNotFoundError, NotADirectoryError: one of them is not there.
        OSError: the kernel watches nothing for us (not allowed, or too much is watched already).
    """

    def __init__(self, folders: list[str]) -> None:
        self._descriptor = _checked(_init(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")
        try:
            for folder in folders:
                mask = _WATCHED | _ONLY_FOLDERS
                _checked(_add_watch(self._descriptor, os.fsencode(folder), mask), folder)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """Readable when there is a change."""
        return self._descriptor

    def read(self) -> list[Change]:
        """What has happened since the last time; may be empty. It does not wait."""
        with suppress(BlockingIOError):
            return list(_changes(os.read(self._descriptor, _READ_BYTES)))
        return []

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


def _changes(raw: bytes) -> Iterator[Change]:
    at = 0
    while at < len(raw):
        _, mask, _, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        name = os.fsdecode(raw[at : at + length].rstrip(b"\0"))
        at += length
        yield Change(name, bool(mask & _MODIFY))


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return answer
