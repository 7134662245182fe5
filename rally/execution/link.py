"""A runner's way to one room, that outlives the daemon it goes through.

A daemon may be stopped, replaced by another version, or killed while a runner sleeps for days. What a
runner asks is either a question or carries an idempotency key, so it is simply asked again: of the
next daemon, or of the ledger directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from rally.client.connection import Answer
from rally.client.direct import Client, open_client
from rally.facilitation.ledger.folder import file_identity, room_gone
from rally.facilitation.places import LEDGER_FILE, ROOM_FOLDER
from rally.model.errors import Failure, Refused

# What is said of a way that is lost, not of the room.
_LOST = frozenset({"unavailable", "no-daemon"})
_TRIES = 4
_PAUSE_S = 0.05


class Link:
    """One room, asked through whatever answers.

    Args:
        root: the room's root folder, absolute.
        env: the environment to ask with; what it says as `RALLY_WATCH` marks the facts said.
        cwd: the folder to ask from: paths are looked at in its working tree; the root by default.
    """

    def __init__(self, root: str, env: Mapping[str, str], *, cwd: str | None = None) -> None:
        self.root = root
        self._env = env
        self._cwd = root if cwd is None else cwd
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._ledger = Path(root, ROOM_FOLDER, LEDGER_FILE)
        self._identity = file_identity(self._ledger)

    def has_room(self) -> bool:
        """Whether there is a ledger."""
        return file_identity(self._ledger) is not None

    def check_room(self) -> None:
        """Make sure that the room is the one that it was; a `say` would quietly make another.

        Raises:
            Failure: `room-gone`.
        """
        identity = file_identity(self._ledger)
        if self._identity is None:  # it may come into being while it is waited for
            self._identity = identity
        if identity != self._identity:
            raise self.gone()

    def gone(self) -> Failure:
        """The error of a room that is no longer there."""
        return room_gone(self.root)

    async def say_risk(self, *, key: str, **fields: Any) -> str | None:
        """Say a risk once, however many runners want to; the id of the one that stands.

        Args:
            key: the idempotency key that they share.
            fields: of the fact.
        """
        try:
            said = await self.call("say", kind="risk", key=key, **fields)
        except Refused as refusal:
            if refusal.code != "key-conflict":  # somebody else worded it otherwise
                raise
            known: str | None = refusal.details.get("fact_id")
            return known
        risk: str = said["fact"]["event_id"]
        return risk

    async def call(self, op: str, /, **params: Any) -> Answer:
        """Ask; a question, or a `say` with a key.

        Raises:
            RallyError: the room's answer.
            Failure: `unavailable`, also after asking in every way.
        """
        for tried in range(_TRIES):
            client = await self._open()
            try:
                return await client.call(op, room=self.root, **params)
            except Failure as failure:
                if failure.code not in _LOST or tried == _TRIES - 1:
                    raise
            await self._lose(client, tried)
        raise AssertionError("the last try answers or raises")

    async def ask_once(self, op: str, /, **params: Any) -> Answer:
        """Ask what must not be asked a second time, such as taking the next task.

        Raises:
            RallyError: the room's answer.
            Failure: `unavailable`; it may have been done.
        """
        return await (await self._open()).call(op, room=self.root, **params)

    async def is_held(self, claim_id: str, **caller: str) -> bool:
        """Whether a claim of the caller's has not ended.

        Asking is activity, so it keeps the lease alive (contract C6); one that has lapsed, because the
        machine slept, and that nobody has taken over, is taken up again.

        Args:
            caller: `tool` and `session_id`.

        Raises:
            RallyError: as `call`.
        """
        seen = await self.call("whoami", **caller)
        held = next((one for one in seen["claims"] if one["event_id"] == claim_id), None)
        if held is not None and held["status"] == "lapsed":
            await self.call("say", kind="renew", **caller)
        return held is not None

    async def follow(self, *, since: int | None, **params: Any) -> AsyncGenerator[dict[str, Any]]:
        """The events of the room (see `facilitation.ops.wait.subscribe`), without end.

        After the way was lost they go on behind the last fact that was seen; `head` and `due` come
        again.

        Raises:
            RallyError: as `call`.
        """
        tried = 0
        while True:
            client = await self._open()
            place = {} if since is None else {"since": since}
            try:
                events = client.subscribe(room=self.root, **params, **place)
                async with aclosing(events):
                    async for event in events:
                        tried = 0
                        since = _after(event, since)
                        yield event
            except Failure as failure:
                if failure.code not in _LOST or tried == _TRIES - 1:
                    raise
            tried += 1
            await self._lose(client, tried)

    async def close(self) -> None:
        """Let go of the way."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(self) -> Client:
        async with self._opening:
            if self._client is None:
                self._client = await open_client(env=self._env, cwd=self._cwd)
            return self._client

    async def _lose(self, client: Client, tried: int) -> None:
        async with self._opening:
            if self._client is client:
                self._client = None
                await client.close()
        # A daemon that is on its way out answers for a moment longer.
        await asyncio.sleep(_PAUSE_S * 2**tried)


def _after(event: dict[str, Any], since: int | None) -> int | None:
    if event["event"] == "facts":
        return max(since or 0, int(event["facts"][-1]["seq"]))
    if event["event"] == "head" and since is None:
        return int(event["seq"])
    return since
