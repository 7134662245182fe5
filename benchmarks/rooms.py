"""Rooms to measure in: real ledgers of any size with the same live state."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rally.facilitation.ledger.folder import prepare_room_folder
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.clock import SystemClock, to_rfc3339
from rally.model.fact import GENESIS, Fact, seal

CHUNK_FACTS = 5_000
LIVE_TOOLS = 4
YEAR_MS = 365 * 86_400_000


@dataclass
class Bench:
    """Where a benchmark runs: a folder of its own, and an environment with a daemon of its own."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def at(cls, folder: Path) -> Bench:
        """Surroundings that touch nothing of the user's."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RALLY_", "GIT_", "XDG_"))}
        env["RALLY_RUNTIME_DIR"] = str(folder / "run")
        env["XDG_STATE_HOME"] = str(folder / "state")
        env["HOME"] = str(folder)
        return cls(folder, env)

    def room(self, name: str, *, facts: int, claims: int = 10) -> Path:
        """A room with so many facts of history and so many live claims behind them."""
        root = self.folder / name
        root.mkdir()
        asyncio.run(_fill(root, facts=facts, claims=claims))
        return root


async def _fill(root: Path, *, facts: int, claims: int) -> None:
    path = prepare_room_folder(root) / "ledger.db"
    ledger = await SqliteLedger.open(path, create=True)
    try:
        chain = _Chain()
        while chain.seq < facts - claims - LIVE_TOOLS:
            room_left = facts - claims - LIVE_TOOLS - chain.seq
            await ledger.append([chain.past() for _ in range(min(CHUNK_FACTS, room_left))])
        live = [chain.enter(number) for number in range(LIVE_TOOLS)]
        live += [chain.claim(number) for number in range(claims)]
        for start in range(0, len(live), CHUNK_FACTS):
            await ledger.append(live[start : start + CHUNK_FACTS])
    finally:
        await ledger.close()


class _Chain:
    """Seals facts one behind the other: history that has ended, then what is live."""

    def __init__(self) -> None:
        self.seq = 0
        self._prev = GENESIS
        self._now_ms = SystemClock().now_ms() - 60_000
        self._claimed = ""

    def _seal(self, kind: str, tool: str, **fields: Any) -> Fact:
        self.seq += 1
        content = {
            "event_id": f"{kind}-bench{self.seq:09d}", "kind": kind, "tool": tool,
            "created_at": to_rfc3339(self._now_ms), **fields,
        }  # fmt: skip
        fact = seal(content, seq=self.seq, prev=self._prev)
        self._prev = fact.hash
        return fact

    def _lease(self, number: int) -> dict[str, Any]:
        return {
            "mode": "exclusive", "ttl": "365d", "fence": number,
            "lease_expires_at": to_rfc3339(self._now_ms + YEAR_MS),
        }  # fmt: skip

    def past(self) -> Fact:
        """The next fact of an eventful past: a claim, its artifact, its release, a note."""
        turn, tool = self.seq % 4, f"old:{self.seq // 4 % 50}"
        run = {"run": f"run-{self.seq // 4_000}", "step": f"step-{self.seq // 4 % 1_000}"}
        subject = f"what was done in turn {self.seq}"
        if turn == 0:
            path = f"src/part{self.seq % 977}/file{self.seq % 31}.py"
            fact = self._seal("claim", tool, paths=[path], **run, **self._lease(self.seq + 1))
            self._claimed = fact.event_id
            return fact
        if turn == 1:
            return self._seal("artifact", tool, subject=subject, evidence=["12 passed"], **run)
        if turn == 2:
            return self._seal("release", tool, ref=self._claimed, **run)
        return self._seal("note", tool, subject=subject)

    def enter(self, number: int) -> Fact:
        """One of the tools that are here."""
        return self._seal("enter", f"live:{number}", role="builder")

    def claim(self, number: int) -> Fact:
        """One of the claims that are held now."""
        path = f"live/part{number // 100}/file{number}.py"
        lease = self._lease(self.seq + 1)
        return self._seal("claim", f"live:{number % LIVE_TOOLS}", paths=[path], **lease)
