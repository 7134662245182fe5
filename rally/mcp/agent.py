"""The agent behind a connection: who it is in the room, and how it gets there.

Its session id is minted once, when the server begins. It enters the room with the first thing that it
says and not before: an agent host starts every server that it knows, and a window that was opened and
closed is nobody's presence.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from rally.client.connection import Answer
from rally.execution.link import Link
from rally.facilitation.ledger.folder import file_identity
from rally.mcp.tools import Request
from rally.model.text import NAME_ALPHABET, TOOL_CHARS_MAX

NAMELESS = "mcp:client"

Warnings = list[dict[str, str]]


class Way(Link):
    """A runner's way to the room, which outlives rooms as well as daemons."""

    async def once(self, op: str, /, **params: Any) -> Answer:
        """Ask what must not be done twice.

        Raises:
            RallyError: the room's answer.
            Failure: `unavailable`; whether it was done is not known.
        """
        # That the daemon went away while nobody asked is found out by a question, which may be
        # asked again.
        await self.call("whoami")
        return await self.ask_once(op, **params)

    def was_replaced(self) -> bool:
        """Whether another room is there than at the last look, or none any more."""
        before, self._identity = self._identity, file_identity(self._ledger)
        return before is not None and before != self._identity


class Agent:
    """One agent in one room.

    Args:
        tool: its tool id; None: after its client, as soon as that is known.
        session_id: the one that it was given; None: an own one.
        minted: an id of this server process, that no other ever had.
    """

    def __init__(self, way: Way, *, tool: str | None, session_id: str | None, minted: str) -> None:
        self.way = way
        self.tool = tool
        self.session_id = session_id or minted
        # Others may have entered under a session id that was given.
        self._may_be_inside = session_id is not None
        self._minted = minted
        self._is_inside = False
        self._entering = asyncio.Lock()
        self._keys = itertools.count(1)
        # Told with the next answer, be that a refusal.
        self._news: Warnings = []

    def meet(self, client_name: str | None) -> None:
        """Learn what the client is called; its first name stays."""
        if self.tool is None:
            self.tool = tool_of(client_name or "")

    def take_news(self) -> Warnings:
        """What became known while the agent was brought into the room; each is told once."""
        news, self._news = self._news, []
        return news

    async def ask(self, request: Request) -> tuple[dict[str, Any], Warnings]:
        """Carry out one request; the main result, and the warnings beside it.

        Raises:
            RallyError: the room's answer.
        """
        params = dict(request.params)
        if request.is_caller:
            params |= {"tool": self.tool or NAMELESS, "session_id": self.session_id}
        if request.writes and self.way.was_replaced():
            self._is_inside = self._may_be_inside = False
            what = "the room was removed or replaced; what you claimed there is gone with it"
            self._news.append({"code": "room-gone", "message": what})
        # What is refused makes no room (contract R2), so where there is none it comes first.
        is_first = request.writes and not self.way.has_room()
        if request.writes and not is_first:
            await self._enter(params)
        if request.op == "say":
            # What carries a key can be asked again when the daemon goes away.
            params.setdefault("key", self._key())
        ask = self.way.once if request.once else self.way.call
        answer = await ask(request.op, **params)
        warnings = answer.warnings
        if params.get("kind") in ("enter", "leave"):
            self._is_inside, self._may_be_inside = params["kind"] == "enter", False
        if is_first:
            warnings = [one for one in warnings if one["code"] != "not-entered"]
            await self._enter(params)
        return dict(answer), warnings

    async def _enter(self, params: Mapping[str, Any]) -> None:
        """Be in the room, unless it is entered or left right now anyway."""
        async with self._entering:
            if self._is_inside or params.get("kind") in ("enter", "leave"):
                return
            who = {"tool": self.tool or NAMELESS, "session_id": self.session_id}
            if self._may_be_inside:
                self._is_inside = bool((await self.way.call("whoami", **who))["entered"])
            if not self._is_inside:
                entered = await self.way.call("say", kind="enter", key=self._key(), **who)
                self._news += entered.warnings
                self._is_inside = True
            self.way.was_replaced()  # it may have come into being by this

    def _key(self) -> str:
        return f"{self._minted}:{next(self._keys)}"


def tool_of(client_name: str) -> str:
    """The tool id of a client that nobody gave one: `mcp:` and its name, made to fit (contract F4)."""
    kept = "".join(char if char in NAME_ALPHABET else "-" for char in client_name[:TOOL_CHARS_MAX])
    name = kept.strip("-")[: TOOL_CHARS_MAX - len("mcp:")]
    return f"mcp:{name}" if name else NAMELESS
