"""What runners of sessions ask of the room and tell it: everything through the public client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally.client.connection import Answer
from rally.client.direct import Client, open_client
from rally.execution.link import Link
from rally.model.errors import UsageError
from rally.model.shell import word
from rally.model.text import check_tool, nearest

# Who runs sessions, where nobody says: a person at a terminal, or a script.
OPERATOR = "operator"
Doc = dict[str, Any]


class Book:
    """One room, and who asks.

    Args:
        env, cwd: the caller's; `RALLY_TOOL` and `RALLY_SESSION_ID` say who calls.
        room: the value of `--room`; None without one.
        tool: the value of a `--tool` that says who asks; None without one.

    Raises:
        UsageError: `bad-tool`.
    """

    def __init__(
        self, *, env: Mapping[str, str], cwd: str, room: str | None, tool: str | None = None
    ) -> None:
        self.env = env
        self.cwd = cwd
        named = "RALLY_TOOL" if tool is None else "--tool"
        known = env.get("RALLY_TOOL") if tool is None else tool
        self.caller: Doc = {"tool": check_tool(known or OPERATOR, name=named)}
        if known and env.get("RALLY_SESSION_ID"):
            self.caller["session_id"] = env["RALLY_SESSION_ID"]
        self.room = room
        self._room: Doc = {} if room is None else {"room": room}
        self._client: Client | None = None

    async def __aenter__(self) -> Book:
        self._client = await open_client(env=self.env, cwd=self.cwd)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()

    async def session(self, action: str, **params: Any) -> Answer:
        """One action of the operation `session`, in the caller's name.

        Raises:
            RallyError: see `facilitation.ops.sessions`.
        """
        return await self.call("session", action=action, **self.caller, **params)

    async def call(self, op: str, **params: Any) -> Answer:
        """Any operation.

        Raises:
            RallyError: see the operation.
        """
        assert self._client is not None
        return await self._client.call(op, **self._room, **params)

    async def root(self) -> str:
        """The room's root folder."""
        return str((await self.session("list"))["room"])

    async def link(self) -> Link:
        """A way to the room that outlives the daemon; the caller closes it."""
        return Link(await self.root(), self.env)

    async def find(self, target: str) -> Doc | None:
        """The session that a name or tool id means; None where only the ledger remembers it.

        Raises:
            UsageError: `ambiguous-session`, or `unknown-session` where nothing is known of it.
        """
        found = await self.session("find", target=target)
        matches: list[Doc] = found["matches"]
        if len(matches) > 1:
            names = [one["name"] for one in matches]
            raise UsageError(
                "ambiguous-session",
                f"{target!a} means several sessions: {', '.join(names)}",
                hint=word(names[0]),
                details={"sessions": names},
            )
        if matches:
            return matches[0]
        if found["last"] is None and not found["is_tool"]:
            raise await self._unknown(target)
        return None

    async def live(self, target: str) -> Doc:
        """The session that a name or tool id means, which nobody has ended.

        Raises:
            UsageError: `ambiguous-session`, `unknown-session`.
        """
        found = await self.find(target)
        if found is None:
            raise await self._unknown(target)
        return found

    async def tool_of(self, target: str) -> str:
        """The tool that a target without a session means: that of its last session, or itself."""
        found = await self.session("find", target=target)
        last: Doc | None = found["last"]
        return str(last["tool"]) if last is not None else target

    async def _unknown(self, target: str) -> UsageError:
        rows = (await self.session("list"))["sessions"]
        names = sorted(row["name"] for row in rows)
        near = nearest(target, [*names, *(row["tool"] for row in rows)])
        return UsageError(
            "unknown-session",
            f"no session {target!a}; "
            + (f"there are: {', '.join(names)}" if names else "none runs"),
            hint=word(near) if near else "rally sessions",
            details={"sessions": names, "nearest": near},
        )
