"""From the words of `workstream verify` to the runner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rally.cli.plan import Answered, Session
from rally.cli.progress import progress
from rally.client.direct import open_client
from rally.execution import verify as runner
from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError
from rally.model.text import check_identity, check_tool

_DAY_MS = 86_400_000


def wish_of(params: Mapping[str, Any], root: str, described: runner.Rows = ()) -> runner.Wish:
    """The checked wish.

    Args:
        params: as they were typed, the caller filled in.
        root: the room's root.
        described: the tasks of the descriptor that was named, if one was.

    Raises:
        UsageError: whatever is wrong with them.
    """
    jobs = params.get("jobs", runner.JOBS_DEFAULT)
    if not 1 <= jobs <= runner.JOBS_MAX:
        raise UsageError(
            "bad-value", f"--jobs is {jobs}; it must be 1 to {runner.JOBS_MAX}", hint="--jobs 4"
        )
    timeout_ms = runner.TIMEOUT_MS_DEFAULT
    if text := params.get("timeout"):
        timeout_ms = parse_duration_ms(text, min_ms=1_000, max_ms=_DAY_MS, name="--timeout")
    step, session_id = params.get("step"), params.get("session_id")
    return runner.Wish(
        run=params["run"],
        root=root,
        step=check_identity(step, "--step") if step is not None else None,
        at=params.get("at"),
        jobs=jobs,
        timeout_ms=timeout_ms,
        dry_run=bool(params.get("dry_run")),
        tool=check_tool(params.get("tool") or runner.TOOL_DEFAULT),
        session_id=check_identity(session_id, "--session-id") if session_id else None,
        described=described,
    )


async def verify_run(
    session: Session, params: Mapping[str, Any], root: str, described: runner.Rows = ()
) -> Answered:
    """Verify a run.

    Raises:
        RallyError: see `runner.verify`.
    """
    wish = wish_of(session.params(params, is_caller=True), root, described)
    env = {**session.call.env, "RALLY_ROOM": root}
    client = await open_client(env=env, cwd=session.call.cwd)
    try:
        with progress(session, bar=True) as line:
            work = runner.verify(client, wish, {**os.environ, **env}, tell=line.count)
            return await runner.until_told(work)
    finally:
        await client.close()
