"""One command line on its way through rally: where it was typed, and where its answer goes.

The daemon fills it from a socket, direct mode from the process itself; the verbs cannot tell which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(slots=True)
class ArgvCall:
    """The surroundings of one command line.

    Attributes:
        cwd: absolute folder in which it was typed.
        env: `RALLY_*`, `NO_COLOR`, `TERM`, `COLUMNS`, `HOME` and `XDG_STATE_HOME` of the caller,
            where set.
        width: columns of the caller's terminal, 0 where standard output is none.
        colour: whether standard output is a terminal; `NO_COLOR` and `--no-color` are for the verb.
        stdin: all of standard input up to 1 MiB and one byte (for a hook 32 MiB and one), None where
            nothing asked for it.
        out: hands over bytes for standard output, at once and in order.
        err: the same for standard error.
        drain: waits until a slow reader has taken most of what was handed over; a verb that streams
            awaits it after each piece, so that its answer does not pile up in memory.
    """

    cwd: str
    env: dict[str, str]
    width: int
    colour: bool
    stdin: bytes | None
    out: Callable[[bytes], None]
    err: Callable[[bytes], None]
    drain: Callable[[], Awaitable[None]]
