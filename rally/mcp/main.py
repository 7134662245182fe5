"""Starting the server: what it needs, and who it is for."""

from __future__ import annotations

from collections.abc import Mapping

from rally.facilitation.rooms import new_event_id
from rally.mcp.agent import Agent, Way
from rally.model.errors import Failure


async def main(
    root: str, env: Mapping[str, str], *, cwd: str, caller: tuple[str | None, str | None]
) -> int:
    """Serve one room on standard input and output; the exit code.

    Args:
        root: the room's root, absolute.
        env: the environment to ask with.
        cwd: the folder that the server runs in, absolute.
        caller: tool and session id as far as they were given, checked.

    Raises:
        Failure: `not-installed`; nothing was read.
    """
    try:
        from rally.mcp.server import serve  # the SDK, which is an extra
    except ImportError as error:
        raise Failure(
            "not-installed", f"rally mcp needs the MCP SDK: {error}",
            hint="pip install 'agent-rally[mcp]'",
        ) from None  # fmt: skip
    tool, session_id = caller
    way = Way(root, env, cwd=cwd)
    return await serve(Agent(way, tool=tool, session_id=session_id, minted=new_event_id("mcp")))
