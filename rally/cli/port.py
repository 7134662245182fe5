"""Where the commands get their answers, as a type; nothing here is imported at run time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from rally.cli.plan import Answered
from rally.model.clock import Clock


class RoomsPort(Protocol):
    """Where questions are answered; `facilitation.rooms.Rooms` in both the daemon and direct mode."""

    clock: Clock

    async def call(
        self, op: str, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> Answered:
        """See `Rooms.call`."""
        ...

    def subscribe(
        self, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """See `Rooms.subscribe`."""
        ...
