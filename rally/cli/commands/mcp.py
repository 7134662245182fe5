"""`rally mcp`: the room for agents that speak the Model Context Protocol."""

from __future__ import annotations

import os
from importlib import import_module
from typing import cast

import click

from rally.cli.command import verb
from rally.cli.console import Console
from rally.cli.options import caller
from rally.cli.plan import Takeover
from rally.model.errors import UsageError
from rally.model.text import check_identity, check_tool

_TO_A_PERSON = b"""rally mcp speaks the Model Context Protocol on standard input; agents start it:
  claude mcp add rally -- rally mcp
Ctrl-C ends it.
"""


@verb(
    "mcp", example="rally mcp --tool claude:1", exits={0: "the client left", 1: "", 2: "", 130: ""}
)
@caller
def mcp(*, tool: str | None, session_id: str | None) -> Takeover:
    """Serve the room to an agent, as an MCP server.

    For agent hosts that call tools instead of a shell. The host starts it and speaks to it on
    standard input and output: seven tools (claim, check, say, next, room, inbox, task), the room and
    its runs as resources. Needs `pip install 'agent-rally[mcp]'`.

    Without --tool or RALLY_TOOL the agent is called `mcp:` and its client's name. The session id is
    minted when the server starts.
    """
    console = Console.of(click.get_current_context())
    if console.wants_json:
        raise UsageError(
            "usage", "mcp answers in its own protocol and takes no --json", hint="rally mcp"
        )
    tool = tool or console.call.env.get("RALLY_TOOL") or None
    session_id = session_id or console.call.env.get("RALLY_SESSION_ID") or None
    if tool:
        check_tool(tool)
    if session_id:
        check_identity(session_id, "--session-id")
    return Takeover(lambda: _serve(console, tool, session_id))


def _serve(console: Console, tool: str | None, session_id: str | None) -> int:
    async def work() -> int:
        if os.isatty(0):
            console.call.err(_TO_A_PERSON)
        # By name: this layer must not import the one above it, which shows answers in its words.
        main = import_module("rally.mcp.main")
        return cast(
            int,
            await main.main(
                console.root(), console.call.env, cwd=console.call.cwd, caller=(tool, session_id)
            ),
        )

    return console.guarded(work)
