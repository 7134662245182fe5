"""The end of a hook's patience in its own process, where no daemon answers for it.

Starting a daemon, waiting for a lock or for a slow disk may take longer than an agent should wait at
every write. An alarm is the one thing that ends them all, whatever they wait in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rally.cli.hook.failing import failed
from rally.cli.hook.request import request_in
from rally.hosts.hooks import Answer

# More than starting a daemon may take, so that there is time left to answer without one.
LIMIT_S = 6.0


class Deadline:
    """Ends this process with the host's own answer when its time is over."""

    def __init__(self) -> None:
        self._code: int | None = None

    def met(self, code: int) -> None:
        """The answer is written; should the rest take too long, only the exit code is left."""
        self._code = code

    def is_met(self) -> int | None:
        """The exit code of the answer, None while there is none."""
        return self._code


_armed: Deadline | None = None


def arm(argv: Sequence[str], env: Mapping[str, str]) -> Deadline:
    """Start the clock for a command line of `rally hook`; the first call of a process counts."""
    global _armed  # noqa: PLW0603  (a process has one alarm)
    if _armed is not None:
        return _armed
    import signal  # 3 ms, only where no daemon answers

    deadline = _armed = Deadline()

    def give_up(*_: object) -> None:
        code = deadline.is_met()
        if code is None:
            code = write(failed(request_in(argv), f"no answer within {LIMIT_S:g} s", env))
        os._exit(code)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    return deadline


def write(answer: Answer) -> int:
    """Hand an answer to the host; its exit code."""
    for descriptor, data in ((1, answer.stdout), (2, answer.stderr)):
        with suppress(OSError):  # nobody reads; the code is left
            os.write(descriptor, data)
    return answer.code
