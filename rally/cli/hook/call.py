"""One event of a host with everything that is known about it."""

from __future__ import annotations

from typing import Any

from rally.cli.hook.journal import note
from rally.cli.hook.request import Request
from rally.cli.hook.targets import Found, Spot, Surroundings, env_for
from rally.cli.hook.words import Caller
from rally.cli.plan import Session
from rally.cli.standard_input import HOOK_INPUT_BYTES_MAX
from rally.hosts.cursor import CURSOR_HOOKS
from rally.hosts.hooks import Answer, Hooks, Payload, PayloadError
from rally.model.errors import UsageError
from rally.model.text import TOOL_ALPHABET

_SHORT_ID = 8
_TOOL_CHARS = TOOL_ALPHABET - {"/"}


def read_payload(stdin: bytes | None) -> Payload:
    """The host's JSON object.

    Raises:
        PayloadError: it is something else.
    """
    import orjson

    if not stdin:
        raise PayloadError("nothing came on standard input")
    if len(stdin) > HOOK_INPUT_BYTES_MAX:
        raise PayloadError(f"the payload is longer than {HOOK_INPUT_BYTES_MAX} bytes")
    try:
        payload = orjson.loads(stdin)
    except ValueError as error:
        raise PayloadError(f"the payload is no JSON: {error}") from None
    if not isinstance(payload, dict):
        raise PayloadError(f"the payload is a JSON {type(payload).__name__}, not an object")
    return payload


class Call:
    """One event with everything that is known about it."""

    def __init__(self, session: Session, request: Request, hooks: Hooks, payload: Payload) -> None:
        self.request = request
        self.hooks = hooks
        self.payload = payload
        self.env = session.call.env
        self.rooms = session.rooms
        self.caller = caller_of(hooks, payload, self.env)
        self.folder = folder_of(payload, session.call.cwd)
        self.surroundings = Surroundings(session.call.cwd, session.named_room)

    async def ask(self, spot: Spot, op: str, /, **params: Any) -> dict[str, Any]:
        """One operation in a room, as this agent."""
        tool, session_id = self.caller
        asked = {"tool": tool, "session_id": session_id, **params}
        if spot.override is not None:
            asked["room"] = spot.override
        env = env_for(spot, self.env)
        data, _ = await self.rooms.call(op, asked, cwd=spot.cwd, env=env)
        return data

    def room(self) -> Spot | None:
        """The session's room; where there is none, that is noted."""
        spot = self.surroundings.of_session(self.folder)
        if spot is None:
            note(self.env, self.request, f"outside any room: {self.folder}")
        return spot

    def written(self) -> Found:
        """What the call writes, room by room; what is outside any room is noted."""
        writes = self.hooks.writes(self.payload, self.request.event, self.folder)
        found = self.surroundings.of_writes(writes)
        if found.outside:
            note(self.env, self.request, f"outside any room: {found.outside} of the paths written")
        return found

    def elsewhere(self, spot: Spot) -> str | None:
        """A room's root where the session is in another one, or in none."""
        try:
            here = self.surroundings.of_session(self.folder)
        except UsageError:  # the folder is gone
            here = None
        return None if here is not None and here.root == spot.root else spot.root

    def tell(self, text: str) -> Answer:
        """A text for the agent, if there is one and the host has a place for it."""
        return self.hooks.tell(self.request.event, text) if text else self.hooks.neutral


def caller_of(hooks: Hooks, payload: Payload, env: dict[str, str]) -> Caller:
    """Who the agent is: RALLY_TOOL and RALLY_SESSION_ID, else host and session of the payload.

    Raises:
        PayloadError: neither says it.
    """
    if "cursor_version" in payload:
        # It can run claude's hooks beside its own (not verified what it sends them). One session under
        # two names would stand in its own way.
        hooks = CURSOR_HOOKS
    named = (payload.get(name) for name in hooks.session_fields)
    session_id = next((one for one in named if isinstance(one, str) and one), None)
    tool = env.get("RALLY_TOOL")
    if not tool:
        letters = "".join(char for char in session_id or "" if char in _TOOL_CHARS)
        if not letters:
            raise PayloadError(f"no {' or '.join(hooks.session_fields)}, and RALLY_TOOL is not set")
        # Where ids begin with a clock, two sessions of one minute would get one name.
        short = letters[-_SHORT_ID:] if hooks.clocked_ids else letters[:_SHORT_ID]
        tool = f"{hooks.host}:{short}"
    return tool, env.get("RALLY_SESSION_ID") or session_id


def folder_of(payload: Payload, cwd: str) -> str:
    """The folder that the tool runs in; where the payload has none, that of the hook."""
    folder = payload.get("cwd")
    if folder is None or folder == "":
        return cwd
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise PayloadError("cwd is no absolute path")
    return folder
