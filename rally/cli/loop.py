"""From the words of `loop` to the runner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rally.cli.options import shell_command
from rally.cli.plan import Answered, Session
from rally.cli.progress import progress
from rally.execution.loop import work
from rally.facilitation.places import Place
from rally.facilitation.task_facts import check_task_id
from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError
from rally.model.text import check_identity, check_tool

_DAY_MS = 86_400_000


def wish_of(params: Mapping[str, Any], place: Place, cwd: str) -> work.Wish:
    """The checked wish.

    Args:
        params: as they were typed, the caller's tool filled in.

    Raises:
        UsageError: whatever is wrong with them.
    """
    if not params.get("tool"):
        raise UsageError(
            "missing-tool", "who is to hold the task? no --tool was given",
            hint="--tool claude:1, or export RALLY_TOOL=claude:1",
        )  # fmt: skip
    timeout_ms = work.TIMEOUT_MS_DEFAULT
    if text := params.get("timeout"):
        timeout_ms = parse_duration_ms(text, min_ms=1_000, max_ms=_DAY_MS, name="--timeout")
    session_id, task = params.get("session_id"), params.get("id")
    return work.Wish(
        place=place,
        cwd=cwd,
        run=params["run"],
        tool=check_tool(params["tool"]),
        session_id=check_identity(session_id, "--session-id") if session_id else None,
        task=check_task_id(task) if task is not None else None,
        agent=params.get("agent"),
        words=tuple(params.get("argv", ())),
        judge=shell_command(params.get("judge"), "--judge", "./review.sh"),
        timeout_ms=timeout_ms,
        dry_run=bool(params.get("dry_run")),
    )


async def loop(session: Session, params: Mapping[str, Any], place: Place) -> Answered:
    """Carry one task out.

    Raises:
        RallyError, KeyboardInterrupt: see `work.loop`.
    """
    # The session in which this was typed is its caller's. The agent is somebody else.
    tool = params.get("tool") or session.call.env.get("RALLY_TOOL")
    wish = wish_of({**params, "tool": tool}, place, session.call.cwd)
    with progress(session, bar=False) as line:
        return await work.loop(wish, {**os.environ, **session.call.env}, line.say)
