"""The figures of an open connection: what a program pays for one question."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.rooms import Bench
from benchmarks.table import Row, ratio
from benchmarks.timing import call_medians, percentile
from rally.client.connection import Connection

ROUNDS = 2_000
CROWD = 64
CROWD_CALLS = 60
FACTS_PER_CLIENT = 100


@asynccontextmanager
async def echo(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to an asyncio echo server, in a process of its own as the daemon is."""
    import multiprocessing

    server = multiprocessing.get_context("spawn").Process(target=serve_echo, args=(str(path),))
    server.start()
    try:
        while not path.exists():
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_unix_connection(str(path))
        yield reader, writer
        writer.close()
    finally:
        server.terminate()
        server.join()


def serve_echo(path: str) -> None:
    """The other side of the comparison: lines come back as they are."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_unix_server(answer, path)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


async def _check(connection: Connection, number: int) -> None:
    path = f"src/part{number % 97}/file.py"
    await connection.call("check", phase="before-write", tool="live:0", paths=[path])


async def _latency(bench: Bench, root: Path) -> list[Row]:
    connection = await Connection.open(env=bench.env, cwd=str(root))
    async with echo(bench.folder / "echo.sock") as (reader, writer):
        message = b"x" * 250 + b"\n"

        async def ask_echo(_: int) -> None:
            writer.write(message)
            await reader.readline()

        echo_us, check_us = await call_medians(
            [ask_echo, lambda number: _check(connection, number)], rounds=ROUNDS
        )
    crowd = [await Connection.open(env=bench.env, cwd=str(root)) for _ in range(CROWD)]
    taken: list[float] = []

    async def ask(one: Connection, number: int) -> None:
        for turn in range(CROWD_CALLS):
            began = time.perf_counter()
            await _check(one, number * CROWD_CALLS + turn)
            taken.append((time.perf_counter() - began) * 1e6)

    await asyncio.gather(*(ask(one, number) for number, one in enumerate(crowd)))
    for one in (*crowd, connection):
        await one.close()
    slowest_us = percentile(taken, 0.99)
    return [
        ratio("check over an open connection, against an asyncio echo", check_us, echo_us, "µs",
              bar=12),
        ratio("its p99 with 64 clients, against its median with one", slowest_us, check_us, "µs",
              bar=100),
    ]  # fmt: skip


def latency(bench: Bench) -> list[Row]:
    """check over an open connection, alone and in a crowd."""
    root = bench.room("connection", facts=100)
    return asyncio.run(_latency(bench, root))


def _bare_facts_per_s(path: Path, number: int) -> float:
    """A bare sqlite3 loop: one fsync per insert."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS facts (seq INTEGER PRIMARY KEY, body BLOB)")
    body = b"x" * 350
    began = time.perf_counter()
    for _ in range(number):
        connection.execute("INSERT INTO facts (body) VALUES (?)", (body,))
    took_s = time.perf_counter() - began
    connection.close()
    return number / took_s


async def _rally_facts_per_s(crowd: list[Connection]) -> float:
    async def say(connection: Connection, tool: str) -> None:
        for turn in range(FACTS_PER_CLIENT):
            await connection.call("say", kind="note", tool=tool, subject=f"turn {turn}")

    began = time.perf_counter()
    await asyncio.gather(*(say(one, f"busy:{n}") for n, one in enumerate(crowd)))
    return len(crowd) * FACTS_PER_CLIENT / (time.perf_counter() - began)


async def _throughput(bench: Bench, root: Path) -> Row:
    crowd = [await Connection.open(env=bench.env, cwd=str(root)) for _ in range(CROWD)]
    ours, bare = [], []
    for turn in range(5):
        bare.append(_bare_facts_per_s(bench.folder / f"bare{turn}.db", 2_000))
        ours.append(await _rally_facts_per_s(crowd))
    for one in crowd:
        await one.close()
    side, against = statistics.median(ours), statistics.median(bare)
    return Row(
        "durable facts a second, 64 connections, against bare sqlite3",
        side / against, 1.0, f"{side:.0f} / {against:.0f} per s", least=True,
    )  # fmt: skip


def throughput(bench: Bench) -> list[Row]:
    """Durable facts through the daemon against a bare loop on the same disk."""
    root = bench.room("throughput", facts=100)
    return [asyncio.run(_throughput(bench, root))]
