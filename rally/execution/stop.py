"""Stopping a watcher: asked for once, seen everywhere, with the reason."""

from __future__ import annotations

import asyncio

from rally.model.clock import Clock

# The clock may be set, and a machine may sleep: nobody trusts one timer for longer.
_NAP_S_MAX = 60.0


class Stop:
    """Whether to stop, and why. Sleepers wake when it is asked for.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Ask everybody to stop; the first reason stays."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def is_asked(self) -> bool:
        """Whether it was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until it is asked for."""
        await self._event.wait()

    async def sleep_until(self, at_ms: int, other: asyncio.Event | None = None) -> None:
        """Sleep until an instant, or until stopping is asked for, or the other event is set."""
        events = [self._event] if other is None else [self._event, other]
        loop = asyncio.get_running_loop()
        waits = [loop.create_task(event.wait()) for event in events]
        try:
            while (left_ms := at_ms - self._clock.now_ms()) > 0:
                nap_s = min(left_ms / 1_000, _NAP_S_MAX)
                done, _ = await asyncio.wait(
                    waits, timeout=nap_s, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    return
        finally:
            for wait in waits:
                wait.cancel()
