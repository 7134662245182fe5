"""Noticing what other processes do to a ledger: the kernel tells, and nobody reads the file to find out.

watchfiles hands on what the kernel told it in steps, so a process in which somebody follows a room wakes
twenty times a second to look into its own memory. Facts said through this process need none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rally.facilitation.places import ROOM_FOLDER

STEP_MS = 50


class LedgerWatch:
    """Watches a room's folder while somebody follows it; a context manager that may be entered often.

    Args:
        folder: the room's `.rally`; None for a room that is nowhere, which changes by nobody.
        on_write: called when the ledger may have been written to.
        on_vanish: called when files came or went: the room itself may be gone.
        nap_ms: the longest time without a look of its own.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        on_write: Callable[[], None],
        on_vanish: Callable[[], None],
        nap_ms: int,
    ) -> None:
        self._folder = folder
        self._on_write = on_write
        self._on_vanish = on_vanish
        self._nap_ms = nap_ms
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def in_use(self) -> bool:
        """Whether somebody follows."""
        return self._followers > 0

    def __enter__(self) -> None:
        self._followers += 1
        ended = self._task is None or self._task.done() or self._stop.is_set()
        if self._folder is not None and ended:
            self._stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(self._folder, self._stop))
            # The task's first step sets the watch up; what was written just before is seen by this.
            loop.call_soon(self._on_write)

    def __exit__(self, *_: object) -> None:
        self._followers -= 1
        if not self._followers:
            self._stop.set()

    async def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._task is not None:
            with suppress(Exception):
                await self._task

    async def _run(self, folder: Path, stop: asyncio.Event) -> None:
        from watchfiles import Change, awatch  # only followers need it

        async for changes in awatch(
            folder,
            stop_event=stop,
            watch_filter=lambda _, path: "ledger.db" in path or path.endswith(ROOM_FOLDER),
            debounce=STEP_MS,
            step=STEP_MS,
            rust_timeout=self._nap_ms,
            recursive=False,
        ):
            self._on_write()
            if any(change is not Change.modified for change, _ in changes):
                self._on_vanish()
