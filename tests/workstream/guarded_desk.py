"""Command lines in a process that may start none: every attempt ends it with code 99.

    python guarded_desk.py FOLDER < a JSON list: the text of plan.json, then command lines

Prints the exit code of each.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from plan_desk import Desk

STARTS = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.")


def guard(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be taken off again, so it has a process of its own."""
    if event.startswith(STARTS):
        print(event, arguments, file=sys.stderr)
        os._exit(99)


async def main(folder: str, plan: str, commands: list[list[str]]) -> None:
    """Run the command lines, without a daemon."""
    desk = Desk(Path(folder))
    desk.write(plan)
    for words in commands:
        result = await desk(*words)
        print(result.code, flush=True)
    await desk.rooms.close()


if __name__ == "__main__":
    plan, *lines = json.load(sys.stdin)
    sys.addaudithook(guard)
    asyncio.run(main(sys.argv[1], plan, lines))
