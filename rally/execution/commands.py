"""The commands of one watcher: started, counted, limited in time, and ended together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rally.execution.child import Child, Ended
from rally.execution.process import start_child


@dataclass(slots=True, frozen=True)
class Limits:
    """How long a command may take; seconds."""

    timeout_s: float
    grace_s: float


class Commands:
    """Runs the commands of one watcher, and can end them all.

    Args:
        root: the folder they run in.
        limits: for each of them.
    """

    def __init__(self, root: str, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._running: set[Child] = set()
        self._is_cut = False

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    def cut_short(self) -> None:
        """End those that run, and all that are still to come, at once."""
        self._is_cut = True
        for child in self._running:
            child.cut_short()

    async def run(
        self, argv: list[str], env: Mapping[str, str], *, on_start: Callable[[int], None]
    ) -> Ended:
        """Run one command to its end.

        Args:
            on_start: told the process id.

        Raises:
            OSError: it could not be started.
        """
        child = start_child(argv, cwd=self._root, env=env)
        self._running.add(child)
        try:
            on_start(child.pid)
            if self._is_cut:
                child.cut_short()
            return await child.ended(timeout_s=self._limits.timeout_s, grace_s=self._limits.grace_s)
        finally:
            self._running.discard(child)


def outcome(ended: Ended | None) -> dict[str, Any]:
    """How a command ended, for an event."""
    if ended is None:
        return {}
    return {
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "timed_out": ended.timed_out or None,
        "cut": ended.cut or None,
        "stdout": ended.stdout.decode(errors="replace") or None,
        "stderr": ended.stderr.decode(errors="replace") or None,
    }
