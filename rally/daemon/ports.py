"""What the daemon needs from the rest of rally, so that it can be run with either whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from rally.cli.call import ArgvCall


class Rooms(Protocol):
    """The rooms of this user, opened as they are asked for (`rally.facilitation.rooms.Rooms`)."""

    async def call(
        self, op: str, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """Answer one question or command: its result, and warnings. Raises RallyError."""
        ...

    def subscribe(
        self, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Events as they happen, until the iterator is closed. Raises RallyError."""
        ...

    def open_rooms(self) -> list[str]:
        """The folders of the rooms that are open."""
        ...

    def busy(self) -> bool:
        """Whether something is going on that nobody's connection stands for."""
        ...

    async def close(self) -> None:
        """Finish what was begun and close every room."""
        ...


# (argv, call, rooms) -> exit code; prints through the call, RallyErrors included.
RunArgv = Callable[[list[str], ArgvCall, Any], Awaitable[int]]
