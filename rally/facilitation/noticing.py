"""Noticing what other processes do to a ledger: the kernel tells, and nobody reads the file to find out.

On Linux the kernel is listened to directly, and a process that follows a quiet room sleeps. Elsewhere
watchfiles listens; it hands on what it heard in steps, so such a process wakes twenty times a second to
look into its own memory. Facts said through this process need none of it.

What the kernel tells of is a write, and the fact can be read only when that write is safe on the disk: a
moment later, on a busy disk much later, and of that nobody tells. So a write is followed by looks with
growing pauses.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rally.facilitation.places import LEDGER_FILE

# The pauses before the looks that follow a write: each twice as long as the one before.
LOOK_S_FIRST, LOOK_S_LAST = 0.005, 6.0
STEP_MS = 50
_HAS_INOTIFY = sys.platform == "linux"

# Told a file's name (empty for the folder's own) and whether it was only written to; otherwise
# something came or went.
OnChange = Callable[[str, bool], None]


class Eyes(Protocol):
    """Something that looks at folders until it is closed."""

    def close(self) -> None:
        """Stop looking."""


def look_at(folders: Sequence[Path], on_change: OnChange) -> Eyes:
    """Look at what happens in some folders, without their sub-folders, from now on.

    Raises:
        FileNotFoundError, NotADirectoryError: one of them is not there.
    """
    if not _HAS_INOTIFY:
        return _SteppingEyes(folders, on_change)
    try:
        return _KernelEyes(folders, on_change)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (ImportError, OSError, MemoryError):
        # Too much is watched already, or a sandbox forbids it.
        return _SteppingEyes(folders, on_change, force_polling=True)


class _KernelEyes:
    def __init__(self, folders: Sequence[Path], on_change: OnChange) -> None:
        from rally.facilitation.inotify import Inotify  # ctypes, for those who follow alone

        self._inotify = Inotify([str(folder) for folder in folders])
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._rest: asyncio.TimerHandle | None = None
        self._listen()

    def _listen(self) -> None:
        self._rest = None
        self._loop.add_reader(self._inotify.fileno(), self._hear)

    def _hear(self) -> None:
        # A rest after each look, so that a flood of writes costs no look for each of them.
        self._loop.remove_reader(self._inotify.fileno())
        self._rest = self._loop.call_later(LOOK_S_FIRST, self._listen)
        for change in self._inotify.read():
            self._on_change(*change)

    def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        else:
            self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()


class _SteppingEyes:
    def __init__(
        self, folders: Sequence[Path], on_change: OnChange, *, force_polling: bool | None = None
    ) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise FileNotFoundError(str(folder))
        self._on_change = on_change
        self._stop = asyncio.Event()
        looking = self._look(folders, force_polling)
        self._task = asyncio.get_running_loop().create_task(looking)

    async def _look(self, folders: Sequence[Path], force_polling: bool | None) -> None:
        from watchfiles import Change, awatch  # only followers need it

        own = {folder.name for folder in folders}
        try:
            async for changes in awatch(
                *folders, stop_event=self._stop, watch_filter=None, debounce=STEP_MS,
                step=STEP_MS, recursive=False, force_polling=force_polling,
            ):  # fmt: skip
                for change, path in changes:
                    name = Path(path).name
                    self._on_change("" if name in own else name, change is Change.modified)
        except OSError:
            # Gone, or not ours to look at; whoever looks again at once must not do so for ever.
            await asyncio.sleep(STEP_MS / 1_000)
            self._on_change("", False)

    def close(self) -> None:
        self._stop.set()


class LedgerWatch:
    """Watches a room's folder while somebody follows it; a context manager that may be entered often.

    Args:
        folder: the room's `.rally`; None for a room that is nowhere, which changes by nobody.
        on_write: called when the ledger may have been written to.
        on_vanish: called when files came or went: the room itself may be gone.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        on_write: Callable[[], None],
        on_vanish: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._on_write = on_write
        self._on_vanish = on_vanish
        self._followers = 0
        self._eyes: Eyes | None = None
        self._pause_s = LOOK_S_FIRST
        self._next_look: asyncio.TimerHandle | None = None
        self._may_be_gone = False

    @property
    def in_use(self) -> bool:
        """Whether somebody follows."""
        return self._followers > 0

    def __enter__(self) -> None:
        self._followers += 1
        if self._folder is not None and self._eyes is None:
            # Without a folder there is nothing to look at: who follows finds out that it is gone.
            with suppress(FileNotFoundError, NotADirectoryError):
                self._eyes = look_at([self._folder], self._heard)
            # What was written just before is seen by this, and by the looks that follow.
            asyncio.get_running_loop().call_soon(self._on_write)
            self._begin_looks()

    def __exit__(self, *_: object) -> None:
        self._followers -= 1
        if not self._followers:
            self.close()

    def close(self) -> None:
        """Stop watching."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._eyes is not None:
            self._eyes.close()
            self._eyes = None

    def _heard(self, name: str, is_write: bool) -> None:
        if name and not name.startswith(LEDGER_FILE):
            return
        self._may_be_gone |= not is_write
        self._begin_looks()

    def _begin_looks(self) -> None:
        self._pause_s = LOOK_S_FIRST
        loop = asyncio.get_running_loop()
        if self._next_look is not None:
            if self._next_look.when() <= loop.time() + LOOK_S_FIRST:
                return
            self._next_look.cancel()
        self._next_look = loop.call_later(LOOK_S_FIRST, self._look)

    def _look(self) -> None:
        self._next_look = None
        self._on_write()
        if self._may_be_gone:
            self._may_be_gone = False
            self._on_vanish()
        self._pause_s *= 2
        if self._pause_s <= LOOK_S_LAST:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(self._pause_s, self._look)
