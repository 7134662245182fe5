"""Taking times: whole processes and calls, the sides in turn."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

Side = Callable[[int], float]
AsyncSide = Callable[[int], Awaitable[object]]


def process_ms(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: str = os.devnull
) -> float:
    """Milliseconds from starting a process to having its exit code; its output goes nowhere."""
    files = (stdin, os.devnull, os.devnull)
    quiet = [(os.POSIX_SPAWN_OPEN, fd, file, os.O_RDWR, 0) for fd, file in enumerate(files)]
    home = Path.cwd()
    os.chdir(cwd)
    try:
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], list(argv), dict(env), file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        took_ms = (time.perf_counter() - began) * 1_000
    finally:
        os.chdir(home)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {code}")
    return took_ms


def medians(sides: Sequence[Side], *, rounds: int, warm_up: int = 3) -> list[float]:
    """The median of each side, run in turn: round after round, each side once."""
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(-warm_up, rounds):
        for side, kept in zip(sides, taken, strict=True):
            took = side(number + warm_up)
            if number >= 0:
                kept.append(took)
    return [statistics.median(kept) for kept in taken]


async def call_medians(
    sides: Sequence[AsyncSide], *, rounds: int, warm_up: int = 20
) -> list[float]:
    """The median microseconds of awaiting each side, in turn."""
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(-warm_up, rounds):
        for side, kept in zip(sides, taken, strict=True):
            began = time.perf_counter()
            await side(number + warm_up)
            if number >= 0:
                kept.append((time.perf_counter() - began) * 1e6)
    return [statistics.median(kept) for kept in taken]


def percentile(values: Sequence[float], share: float) -> float:
    """The value under which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
