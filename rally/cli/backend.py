"""How commands of the client's own process put a question to the room: the daemon, else directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally.cli.plan import Answered, Session
from rally.client.direct import open_client
from rally.model.errors import Failure


async def ask(session: Session, op: str, params: Mapping[str, Any]) -> Answered:
    """One question; an answer that was lost on the way is asked for again without the daemon.

    Only for questions: asking twice must change nothing.

    Raises:
        RallyError: see the operation.
    """
    client = await open_client(env=session.call.env, cwd=session.call.cwd)
    try:
        answer = await client.call(op, **params)
        return dict(answer), answer.warnings
    except Failure as failure:
        if failure.code != "unavailable":
            raise
    finally:
        await client.close()
    return await session.ask(op, params)
