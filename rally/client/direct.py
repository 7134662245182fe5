"""The same questions without a daemon (contract R4): the rooms are opened in this process."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol, cast

from rally.client.connection import Answer, Connection
from rally.model.errors import Failure


class Client(Protocol):
    """What a program talks to, with a daemon behind it or without."""

    async def call(self, op: str, /, **params: Any) -> Answer:
        """See `Connection.call`."""
        ...

    def subscribe(self, **params: Any) -> AsyncGenerator[dict[str, Any], None]:
        """See `Connection.subscribe`."""
        ...

    async def close(self) -> None:
        """See `Connection.close`."""
        ...


async def open_client(*, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Client:
    """A connection to this user's daemon, or the rooms in this process where none can be had."""
    env = os.environ if env is None else env
    if env.get("RALLY_DAEMON") != "off":
        try:
            return await Connection.open(env=env, cwd=cwd)
        except Failure:
            # It has said why in its log; the answers are the same without it.
            pass
    return Direct(env=env, cwd=str(Path.cwd()) if cwd is None else cwd)


class Direct:
    """The rooms of this user, opened in this process.

    Args:
        env: the caller's environment.
        cwd: the folder from which the room is found.
    """

    def __init__(self, *, env: Mapping[str, str], cwd: str) -> None:
        from rally.facilitation.rooms import Rooms  # not where a daemon answers

        self._rooms = Rooms()
        self._env = env
        self._cwd = cwd

    async def call(self, op: str, /, **params: Any) -> Answer:
        """See `Connection.call`."""
        data, warnings = await self._rooms.call(op, params, cwd=self._cwd, env=self._env)
        answer = Answer(data)
        answer.warnings = warnings
        return answer

    async def subscribe(self, **params: Any) -> AsyncGenerator[dict[str, Any], None]:
        """See `Connection.subscribe`."""
        events = self._rooms.subscribe(params, cwd=self._cwd, env=self._env)
        async with aclosing(cast(AsyncGenerator[dict[str, Any], None], events)):
            async for event in events:
                yield event

    async def close(self) -> None:
        """Close the rooms."""
        await self._rooms.close()
