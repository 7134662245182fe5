"""The programs of one loop: the agent, the validation, the judge.

Each runs in a process group of its own, reads from a file and is drained all the time; what it prints is
kept in the loop's folder, and its end in memory. An interrupt, or the loss of the claim, ends whichever
runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

from rally.execution.child import Child, Ended, Pipes
from rally.execution.loop.judging import Ran
from rally.execution.process import start_child
from rally.execution.surroundings import GITS_OWN, OF_ONE_COMMAND, path_with_rally
from rally.hosts.known import MARKS

GRACE_S = 5.0
# Result records stand at the end; one line of a stream can be megabytes long.
KEPT_BYTES = 8 * 1024 * 1024
_NOT_STARTED = 126
# What belongs to whoever called us and means something else, or nothing, to a program of the loop.
_CALLERS = frozenset(("RALLY_TOOL", "RALLY_SESSION_ID", *OF_ONE_COMMAND, *MARKS))


class StoppedError(Exception):  # no error of rally's: somebody or something ended the work
    """The work was stopped; `Programs.reason` says by what."""


@dataclass(slots=True, frozen=True)
class Timed:
    """How a program ended, and how long it took."""

    ended: Ended
    duration_ms: int


class Programs:
    """Starts them, one after the other, and can end them all.

    Args:
        folder: they run in it.
        logs: the folder for what they print.
        env: the caller's environment.
        timeout_ms: time for each.
    """

    def __init__(self, folder: str, logs: str, env: Mapping[str, str], *, timeout_ms: int) -> None:
        self._folder = folder
        self._logs = logs
        self._env = env
        self._timeout_s = timeout_ms / 1_000
        self._child: Child | None = None
        self.reason = ""

    def stop(self, reason: str) -> None:
        """End the one that runs, and start no other; the first reason stays."""
        self.reason = self.reason or reason
        if self._child is not None:
            self._child.cut_short()

    def check_stopped(self) -> None:
        """Go on only if nobody stopped the work.

        Raises:
            StoppedError: somebody did.
        """
        if self.reason:
            raise StoppedError

    async def run(
        self, argv: Sequence[str], env: Mapping[str, str], *, name: str, stdin: bytes = b""
    ) -> Timed:
        """Run one to its end, whatever that is.

        Args:
            env: variables beside the caller's.
            name: of its two logs.

        Raises:
            OSError: it could not be started.
            StoppedError: the work was stopped before or meanwhile.
        """
        self.check_stopped()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with (
            TemporaryFile() as fed,
            self._log(f"{name}.stdout") as out,
            self._log(f"{name}.stderr") as err,
        ):
            fed.write(stdin)
            fed.seek(0)
            pipes = Pipes(stdin=fed, keep_bytes=KEPT_BYTES, logs=(out, err))
            child = start_child(argv, cwd=self._folder, env={**self._env, **env}, pipes=pipes)
            self._child = child
            try:
                ended = await child.ended(timeout_s=self._timeout_s, grace_s=GRACE_S)
            finally:
                self._child = None
        self.check_stopped()
        return Timed(ended, round((loop.time() - began_s) * 1_000))

    def _log(self, name: str) -> BinaryIO:
        return open(f"{self._logs}/{name}", "wb")

    async def run_command(
        self, command: str, env: Mapping[str, str], *, name: str, stdin: bytes = b""
    ) -> Ran:
        """Run a shell command to its end.

        Raises:
            StoppedError: as `run`.
        """
        try:
            timed = await self.run(["/bin/sh", "-c", command], env, name=name, stdin=stdin)
        except OSError as error:
            return Ran(command, _NOT_STARTED, False, 0, "", str(error.strerror or error))
        ended = timed.ended
        return Ran(command, ended.exit_code, ended.timed_out, timed.duration_ms, ended.told)


def base_env(env: Mapping[str, str], root: str) -> dict[str, str]:
    """What all programs of a loop share: a PATH on which `rally` is, the room; nothing of git's own
    (contract R5), of the agent that may have started us, or of the caller's place in rally."""
    kept = {
        name: value for name, value in env.items() if name not in _CALLERS and name not in GITS_OWN
    }
    return {**kept, "PATH": path_with_rally(env), "RALLY_ROOM": root}


def find_program(names: Sequence[str], folder: str, path: str) -> str | None:
    """The first of some programs that there is, as it is to be called; None without any.

    Args:
        folder: where a name with a slash in it is looked for.
        path: the PATH.
    """
    import shutil  # only who starts something

    for name in names:
        if "/" in name:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and os.access(file, os.X_OK):
                return name
        elif shutil.which(name, path=path) is not None:
            return name
    return None
