"""The figures of whole processes: what an agent pays for one command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.rooms import Bench
from benchmarks.table import Row, ratio
from benchmarks.timing import medians, process_ms

ROUNDS = 60
DIRECT_ROUNDS = 25
DIRECT_FACTS = 10_000
RALLY = str(Path(sys.executable).with_name("rally"))
NOTHING = (sys.executable, "-c", "pass")


def _command(bench: Bench, root: Path, words: Sequence[str], **env: str) -> float:
    return process_ms([RALLY, *words], env={**bench.env, **env}, cwd=root)


def _check(number: int) -> list[str]:
    path = f"src/part{number}/file.py"
    return ["check", "before-write", "--tool", "live:0", "--path", path, "--json"]


def _claim(number: int, name: str) -> list[str]:
    path = f"claimed/{name}{number}.py"
    return ["say", "claim", "--tool", "live:0", "--path", path, "--json"]


def _against_nothing(
    bench: Bench, root: Path, words: Callable[[int], Sequence[str]], *, rounds: int, **env: str
) -> tuple[float, float]:
    """A command and the bare interpreter in turn: their medians, in milliseconds."""
    base, command = medians(
        [
            lambda _: process_ms(NOTHING, env=bench.env, cwd=root),
            lambda number: _command(bench, root, words(number), **env),
        ],
        rounds=rounds,
    )
    return command, base


def warm(bench: Bench) -> list[Row]:
    """check and say claim with a warm daemon, against the bare interpreter."""
    root = bench.room("warm", facts=100)
    _command(bench, root, _check(0))
    check = _against_nothing(bench, root, _check, rounds=ROUNDS)
    claim = _against_nothing(bench, root, partial(_claim, name="warm"), rounds=ROUNDS)
    return [
        ratio("check before-write, whole process, daemon warm", *check, "ms", bar=1.25),
        ratio("say claim, whole process, one fsync included", *claim, "ms", bar=1.4),
    ]


def direct(bench: Bench) -> list[Row]:
    """The same without a daemon, with ten thousand facts in the ledger."""
    root = bench.room("direct", facts=DIRECT_FACTS)
    off = {"RALLY_DAEMON": "off"}
    check = _against_nothing(bench, root, _check, rounds=DIRECT_ROUNDS, **off)
    claim = _against_nothing(
        bench, root, partial(_claim, name="direct"), rounds=DIRECT_ROUNDS, **off
    )
    return [
        ratio("check before-write, no daemon, 10,000 facts", *check, "ms", bar=12),
        ratio("say claim, no daemon, 10,000 facts", *claim, "ms", bar=12),
    ]
