"""`make bench`: print the table of contract section 9, the bar beside each figure."""

from __future__ import annotations

import compileall
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import rally
from benchmarks import connections, history, plans, processes, watch_latency
from benchmarks.rooms import Bench
from benchmarks.table import Row, show

PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "warm": processes.warm,
    "direct": processes.direct,
    "latency": connections.latency,
    "throughput": connections.throughput,
    "history": history.history,
    "crowded": history.crowded,
    "watch": watch_latency.wakes,
    "take": plans.take,
    "lint": plans.lint,
}


def main(names: list[str]) -> int:
    """Measure the parts named (all of them by default); 0 when every bar is kept."""
    unknown = set(names) - PARTS.keys()
    if unknown:
        print(f"unknown part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    # What an installed rally has: its byte code. An editable one may have been told to write none.
    compileall.compile_dir(str(Path(rally.__file__).parent), quiet=1)
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; medians")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="rally-bench-") as folder:
        bench = Bench.at(Path(folder).resolve())
        try:
            for name in names or list(PARTS):
                for row in PARTS[name](bench):
                    print(show(row), flush=True)
                    missed += not row.holds
        finally:
            history.stop_daemon(bench)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
