"""An agent in a process of its own: takes tasks of a run and lands them until none is left.

    python taker_process.py TOOL SEED

Its doors are what the environment says (`RALLY_DAEMON=off`: the ledger itself). It prints how often
nothing was ready.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from typing import Any

from rally.client.direct import Client, open_client
from rally.model.errors import Refused


async def take(client: Client, tool: str) -> dict[str, Any] | None:
    """The next task; None when all have landed."""
    while True:
        try:
            answer = await client.call("task", action="take", run="r", tool=tool)
        except Refused as refusal:
            assert refusal.code == "nothing-ready", refusal
            print("nothing", flush=True)
            waiting = refusal.details["waiting"]
            if not waiting:
                return None
            steps = {step for one in waiting for step in (one["task"], *one["waits_for"])}
            await until_any(client, tool, sorted(steps))
        else:
            task: dict[str, Any] = answer["task"]
            return task


async def until_any(client: Client, tool: str, steps: list[str]) -> None:
    """Wait until one of these steps lands; or for a while, since a task may also be given back."""
    conditions = [f"step:{step}" for step in steps]
    try:
        await client.call("wait", tool=tool, run="r", until=conditions, any=True, timeout="1s")
    except Refused as refusal:
        assert refusal.code == "timed-out", refusal


async def main(tool: str, seed: int) -> None:
    """Work until there is no work."""
    rng = random.Random(seed)
    client = await open_client(env=os.environ, cwd=os.getcwd())
    while task := await take(client, tool):
        end = "drop" if rng.random() < 0.05 else "done"
        await client.call("task", action=end, run="r", id=task["id"], tool=tool)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
