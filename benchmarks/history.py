"""The figures that must not grow: with history, and with what is live."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.processes import RALLY
from benchmarks.rooms import Bench
from benchmarks.table import Row, ratio
from benchmarks.timing import call_medians, process_ms
from rally.client.connection import Connection

LONG = 1_000_000
SHORT = 1_000
MIDDLE = 10_000
ROUNDS = 300
STARTS = 7
MIB = 1024 * 1024

Question = Callable[[Connection, int], Awaitable[object]]


async def _ask_check(connection: Connection, number: int) -> None:
    path = f"src/part{number}/file.py"
    await connection.call("check", phase="before-write", tool="live:0", paths=[path])


async def _ask_claim(connection: Connection, number: int) -> None:
    path = f"more/file{number}.py"
    answer = await connection.call("say", kind="claim", tool="live:1", paths=[path])
    claim_id = answer["fact"]["event_id"]
    await connection.call("say", kind="release", tool="live:1", ref=claim_id)


async def _ask_room(connection: Connection, _: int) -> None:
    await connection.call("room")


async def _ask_next(connection: Connection, _: int) -> None:
    await connection.call("next", tool="live:0")


QUESTIONS: dict[str, Question] = {
    "check": _ask_check, "claim": _ask_claim, "room": _ask_room, "next": _ask_next,
}  # fmt: skip


async def _compare(
    bench: Bench, long: Path, short: Path, ask: Question, rounds: int
) -> tuple[float, float]:
    """Median microseconds in two rooms of one daemon, in turn."""
    one = await Connection.open(env=bench.env, cwd=str(long))
    other = await Connection.open(env=bench.env, cwd=str(short))
    found = await call_medians(
        [lambda number: ask(one, number), lambda number: ask(other, number)], rounds=rounds
    )
    await one.close()
    await other.close()
    return found[0], found[1]


def stop_daemon(bench: Bench) -> None:
    """End the benchmark's own daemon."""
    process_ms([RALLY, "daemon", "stop"], env=bench.env, cwd=bench.folder)


def _first_answer_ms(bench: Bench, root: Path) -> float:
    """From no daemon at all to the first answer."""
    stop_daemon(bench)
    words = ["check", "before-write", "--tool", "live:0", "--path", "a.py"]
    return process_ms([RALLY, *words], env=bench.env, cwd=root)


async def _daemon_pid(bench: Bench) -> int:
    connection = await Connection.open(env=bench.env, cwd=str(bench.folder))
    pid: int = (await connection.call("ping"))["pid"]
    await connection.close()
    return pid


def _memory_mib(bench: Bench, root: Path) -> float:
    """Resident memory of a daemon that has answered for one room for a while."""
    _first_answer_ms(bench, root)

    async def use() -> None:
        connection = await Connection.open(env=bench.env, cwd=str(root))
        for number in range(200):
            for ask in QUESTIONS.values():
                await ask(connection, number)
        await connection.close()

    asyncio.run(use())
    pid = asyncio.run(_daemon_pid(bench))
    if Path("/proc/self/statm").exists():
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB
    import subprocess

    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
    return int(listed.stdout) * 1024 / MIB


def history(bench: Bench) -> list[Row]:
    """A million facts against a thousand: latency, start, memory."""
    began = time.perf_counter()
    long = bench.room("long", facts=LONG)
    print(f"  ({LONG:,} facts written in {time.perf_counter() - began:.0f} s)", flush=True)
    short, middle = bench.room("short", facts=SHORT), bench.room("middle", facts=MIDDLE)
    for room in (long, short, middle):  # the first look folds everything and keeps a checkpoint
        _first_answer_ms(bench, room)
    stop_daemon(bench)
    rows = []
    for name, ask in QUESTIONS.items():
        side, against = asyncio.run(_compare(bench, long, short, ask, ROUNDS))
        rows.append(
            ratio(f"{name} at 1,000,000 facts, against 1,000", side, against, "µs", bar=1.2)
        )
    starts: list[list[float]] = [[], []]
    for _ in range(STARTS):
        for room, kept in zip((long, short), starts, strict=True):
            kept.append(_first_answer_ms(bench, room))
    side, against = (statistics.median(kept) for kept in starts)
    rows.append(
        ratio("daemon start to first answer, 1,000,000 against 1,000", side, against, "ms", bar=1.5)
    )
    sizes = [[_memory_mib(bench, room) for room in (long, middle)] for _ in range(3)]
    side = statistics.median(size[0] for size in sizes)
    against = statistics.median(size[1] for size in sizes)
    rows.append(
        ratio("daemon memory, 1,000,000 facts against 10,000", side, against, "MiB", bar=1.2)
    )
    rows.append(Row("daemon memory at 1,000,000 facts", side, 150, "resident", form="{:.0f} MiB"))
    return rows


def crowded(bench: Bench) -> list[Row]:
    """Ten thousand live claims against ten."""
    many = bench.room("many-claims", facts=10_100, claims=10_000)
    few = bench.room("few-claims", facts=110, claims=10)
    rows = []
    for name in ("claim", "check"):
        side, against = asyncio.run(_compare(bench, many, few, QUESTIONS[name], ROUNDS))
        what = f"one more {name}" if name == "claim" else f"a {name}"
        rows.append(
            ratio(f"{what} with 10,000 live claims, against 10", side, against, "µs", bar=2)
        )
    return rows
