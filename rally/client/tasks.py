"""The tasks of a run, all of them, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rally.client.direct import Client

Row = Mapping[str, Any]


async def all_tasks(client: Client, run: str, *, steps: Sequence[Row] = ()) -> list[Row]:
    """Every row of `task list`, asked for page by page since a frame holds only so much.

    Args:
        run: the run's id.
        steps: `id` and `depends_on` of tasks that are to be listed although nobody registered them.

    Raises:
        RallyError: see `Client.call`.
    """
    rows: list[Row] = []
    offset: int | None = 0
    while offset is not None:
        answer = await client.call("task", action="list", run=run, steps=steps, offset=offset)
        rows += answer["tasks"]
        offset = answer["next"]
    return rows
