"""The command lines of facilitation, as the daemon runs them for its callers (contract R4)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rally.cli.registry import FACILITATION, build_root
from rally.cli.run import run

if TYPE_CHECKING:
    from rally.cli.call import ArgvCall
    from rally.cli.command import VerbGroup
    from rally.cli.port import RoomsPort


@cache
def facilitation_root() -> VerbGroup:
    """The commands that the daemon answers; made once, loaded one by one."""
    return build_root(FACILITATION)


async def run_argv(argv: list[str], call: ArgvCall, rooms: RoomsPort) -> int:
    """Carry out one command line of facilitation; its exit code.

    Args:
        argv: the words after `rally`.
        call: where they were typed, and where the answer goes.
        rooms: the rooms of this process.
    """
    return await run(argv, call, rooms, facilitation_root())
