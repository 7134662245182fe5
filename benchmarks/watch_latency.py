"""How long after a standby falls due its command starts (contract section 9, last row).

A real watcher, a real daemon, 200 standbys that fall due one after the other. The command writes to a
named pipe as its first deed, and what counts is the moment at which that is read here: the shell's
own start is in the figure.
"""

from __future__ import annotations

import asyncio
import os
import select
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.history import stop_daemon
from benchmarks.processes import RALLY
from benchmarks.rooms import Bench
from benchmarks.table import Row
from rally.client.connection import Connection
from rally.model.clock import to_rfc3339

WAKES = 200
APART_MS = 60
BAR_MS = 50.0
# Until the first one is due the watcher has to be up.
HEAD_START_MS = 3_000
PATIENCE_S = 20.0


def measure() -> dict[str, Any]:
    """Milliseconds from due to started, over `WAKES` wake-ups, in surroundings of its own.

    Returns:
        `median_ms`, `p99_ms`, `max_ms`, `wakes`.
    """
    with tempfile.TemporaryDirectory(prefix="rally-bench-") as folder:
        bench = Bench.at(Path(folder).resolve())
        try:
            return measure_in(bench)
        finally:
            stop_daemon(bench)


def measure_in(bench: Bench) -> dict[str, Any]:
    """The same with a bench that is there."""
    root = bench.room("watched", facts=100)
    pipe = bench.folder / "started"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    watcher = subprocess.Popen(
        [RALLY, "watch", "--json", "--on-wake", f"echo $RALLY_STEP > {pipe}"],
        cwd=root,
        env=bench.env,
        stdout=subprocess.DEVNULL,
    )
    try:
        due_ms = asyncio.run(_sleepers(bench, root))
        late_ms = sorted(_late(reader, due_ms))
    finally:
        watcher.terminate()
        watcher.wait(PATIENCE_S)
        os.close(reader)
    return {
        "wakes": len(late_ms),
        "median_ms": statistics.median(late_ms),
        "p99_ms": late_ms[int(len(late_ms) * 0.99)],
        "max_ms": late_ms[-1],
    }


def wakes(bench: Bench) -> list[Row]:
    """The row of the table."""
    found = measure_in(bench)
    sides = f"p99 {found['p99_ms']:.1f} ms of {found['wakes']} wake-ups"
    what = "watch: due to its command starting, median"
    return [Row(what, found["median_ms"], BAR_MS, sides, form="{:.1f} ms")]


async def _sleepers(bench: Bench, root: Path) -> list[int]:
    """Say the standbys; the instants at which they fall due."""
    first_ms = time.time_ns() // 1_000_000 + HEAD_START_MS
    due_ms = [first_ms + number * APART_MS for number in range(WAKES)]
    async with await Connection.open(env=bench.env, cwd=str(root)) as connection:
        await connection.call("enter", tool="sleeper")
        for number, instant_ms in enumerate(due_ms):
            await connection.call(
                "say",
                kind="standby",
                tool="sleeper",
                run="bench",
                step=str(number),
                wake_after=to_rfc3339(instant_ms),
            )
    return due_ms


def _late(reader: int, due_ms: list[int]) -> list[float]:
    """How late each command was, in the order in which they started."""
    late: list[float] = []
    unread = b""
    while len(late) < len(due_ms):
        ready, _, _ = select.select([reader], [], [], PATIENCE_S)
        now_ms = time.time_ns() / 1_000_000
        if not ready:
            raise RuntimeError(f"only {len(late)} of {len(due_ms)} standbys were fired")
        *lines, unread = (unread + os.read(reader, 65_536)).split(b"\n")
        late += [now_ms - due_ms[int(line)] for line in lines]
    return late


if __name__ == "__main__":
    print(measure())
