"""The leases of one watcher process: who holds them, how long they run, and keeping them alive."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

from rally.execution.link import Link
from rally.model.durations import format_duration
from rally.model.errors import RallyError

# A watcher that is killed keeps a standby from the others for no longer than this.
TTL_MS_MAX = 300_000
TTL_MS_MIN = 1_000
GRACE_S_MAX = 10.0


def grace_s(timeout_s: float) -> float:
    """How long a command whose time is over has to end by itself."""
    return min(GRACE_S_MAX, timeout_s)


def lease_ms(timeout_s: float) -> int:
    """How long a lease runs without being renewed: the command's time, its grace, and as much again
    to write down how it ended; renewed on the way where that is long."""
    needed_ms = int((timeout_s + 2 * grace_s(timeout_s)) * 1_000)
    return max(TTL_MS_MIN, min(needed_ms, TTL_MS_MAX))


class Leases:
    """The claims that this process holds.

    Two watchers may share a label; the session makes them different owners (contract C5), so that
    one's claims keep the other away.

    Args:
        link: the room.
        label: the watcher's label, under which the claims stand in the ledger.
        ttl_ms: how long each runs.
    """

    def __init__(self, link: Link, *, label: str, ttl_ms: int) -> None:
        self._link = link
        self._ttl_ms = ttl_ms
        self._held: set[str] = set()
        self._keeper: asyncio.Task[None] | None = None
        self.caller = {"tool": label, "session_id": f"watch-{os.getpid()}-{token_hex(4)}"}
        self.ttl = format_duration(ttl_ms)

    @asynccontextmanager
    async def held(self, claim_id: str) -> AsyncIterator[None]:
        """Keep a claim's lease alive meanwhile."""
        self._held.add(claim_id)
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())
        try:
            yield
        finally:
            self._held.discard(claim_id)
            if not self._held and self._keeper is not None:
                self._keeper.cancel()
                self._keeper = None

    async def _keep(self) -> None:
        """Show activity whenever a third of a lease is over; rally renews what is due (contract C6)."""
        while True:
            await asyncio.sleep(self._ttl_ms / 3_000)
            try:
                seen = await self._link.call("whoami", **self.caller)
                if any(claim["status"] == "lapsed" for claim in seen["claims"]):
                    # The machine slept. What nobody took over meanwhile can still be had.
                    await self._link.call("say", kind="renew", **self.caller)
            except RallyError:
                # Then it lapses, and how the command ended is written down all the same.
                continue
