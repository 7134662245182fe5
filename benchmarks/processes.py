"""The figures of whole processes: what an agent pays for one command."""

from __future__ import annotations

import json
import os
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
_HOOK = ("hook", "claude", "PreToolUse", "--auto-claim")


def _command(
    bench: Bench, root: Path, words: Sequence[str], *, stdin: str = os.devnull, **env: str
) -> float:
    return process_ms([RALLY, *words], env={**bench.env, **env}, cwd=root, stdin=stdin)


def _check(number: int) -> list[str]:
    path = f"src/part{number}/file.py"
    return ["check", "before-write", "--tool", "live:0", "--path", path, "--json"]


def _claim(number: int, name: str) -> list[str]:
    path = f"claimed/{name}{number}.py"
    return ["say", "claim", "--tool", "live:0", "--path", path, "--json"]


def _payload(root: Path) -> Path:
    """What claude hands to its hook before it writes a file of ten kilobytes."""
    call = {"file_path": str(root / "free" / "file.py"), "content": "x = 1\n" * 1_700}
    document = {
        "session_id": "5f0e4d6b-0000-4000-8000-3c2f7c1d9e10", "cwd": str(root),
        "hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": call,
    }  # fmt: skip
    path = root / "payload.json"
    path.write_text(json.dumps(document))
    return path


def _against_nothing(
    bench: Bench, root: Path, words: Callable[[int], Sequence[str]], *, rounds: int, **more: str
) -> tuple[float, float]:
    """A command and the bare interpreter in turn: their medians, in milliseconds."""
    base, command = medians(
        [
            lambda _: process_ms(NOTHING, env=bench.env, cwd=root),
            lambda number: _command(bench, root, words(number), **more),
        ],
        rounds=rounds,
    )
    return command, base


def warm(bench: Bench) -> list[Row]:
    """check, say claim and a hook with a warm daemon, against the bare interpreter."""
    root = bench.room("warm", facts=100)
    _command(bench, root, _check(0))
    check = _against_nothing(bench, root, _check, rounds=ROUNDS)
    claim = _against_nothing(bench, root, partial(_claim, name="warm"), rounds=ROUNDS)
    payload = str(_payload(root))
    hook = _against_nothing(bench, root, lambda _: _HOOK, rounds=ROUNDS, stdin=payload)
    return [
        ratio("check before-write, whole process, daemon warm", *check, "ms", bar=1.25),
        ratio("say claim, whole process, one fsync included", *claim, "ms", bar=1.4),
        ratio("hook before a write, whole process, daemon warm", *hook, "ms", bar=1.5),
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
