"""The whole command line in one process: everything that the daemon does not answer.

The relay comes here for the commands that are not facilitation's, for help, and for every command
where no daemon can be had. The same verbs then run on rooms that this process opens itself.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rally.cli.command import VerbGroup
from rally.cli.parse import command_of, parse, says_json
from rally.cli.plan import Answered, OutputClosedError, Parsed, Takeover, Text
from rally.cli.registry import CLIENT, FACILITATION, build_root
from rally.cli.run import carry_out, fail, tell, unknown_state
from rally.cli.terminal import emit, own_call
from rally.model.clock import Clock, SystemClock
from rally.model.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, RallyError

if TYPE_CHECKING:
    from rally.cli.call import ArgvCall
    from rally.facilitation.rooms import Rooms


def client_root() -> VerbGroup:
    """Every command."""
    return build_root((*FACILITATION, *CLIENT), is_client=True)


class OwnRooms:
    """Rooms that are opened with the first question; many commands ask none."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._rooms: Rooms | None = None

    def _get(self) -> Rooms:
        if self._rooms is None:
            from rally.facilitation.rooms import Rooms  # the core, SQLite and all

            self._rooms = Rooms(clock=self.clock)
        return self._rooms

    async def call(
        self, op: str, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> Answered:
        """See `Rooms.call`."""
        return await self._get().call(op, params, cwd=cwd, env=env)

    def subscribe(
        self, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """See `Rooms.subscribe`."""
        return self._get().subscribe(params, cwd=cwd, env=env)

    async def close(self) -> None:
        """Close what was opened."""
        if self._rooms is not None:
            await self._rooms.close()


def main(argv: Sequence[str]) -> int:
    """Run one command line in this process; its exit code.

    Args:
        argv: the words after `rally`.
    """
    # What is logged here would only stand beside the answer, on standard error.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        return _main(list(argv))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OutputClosedError:
        return EXIT_OK
    except OSError as error:
        emit(2, f"error: the answer cannot be written: {error.strerror}\n".encode())
        return EXIT_FAILURE


def _main(argv: list[str]) -> int:
    if "_RALLY_COMPLETE" in os.environ:
        return _complete(os.environ["_RALLY_COMPLETE"])
    call = own_call(argv)
    try:
        parsed = parse(client_root(), argv, columns=call.width)
    except RallyError as error:
        return fail(call, error, command=command_of(argv), wants_json=says_json(argv))
    except Exception as error:
        problem = unknown_state(error)
        return fail(call, problem, command=command_of(argv), wants_json=says_json(argv))
    if isinstance(parsed.plan, Text):
        return tell(call, parsed.plan, command=parsed.command, wants_json=parsed.wants_json)
    if isinstance(parsed.plan, Takeover):
        return parsed.plan.run()
    return _in_loop(parsed, call)


def _asyncio() -> ModuleType:
    """asyncio without ssl: it imports ssl (15 ms) only where it can, and rally speaks no TLS.

    30 ms are left, and --help needs none of it.
    """
    hidden = "ssl" not in sys.modules
    if hidden:
        sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio
    finally:
        if hidden:  # whoever needs ssl later gets it
            del sys.modules["ssl"]
    return asyncio


def _in_loop(parsed: Parsed, call: ArgvCall) -> int:
    asyncio = _asyncio()

    async def carry_out_and_close() -> int:
        rooms = OwnRooms()
        try:
            return await carry_out(parsed, call, rooms)
        finally:
            await rooms.close()

    code: int = asyncio.run(carry_out_and_close())
    return code


def _complete(instruction: str) -> int:
    """Answer the shell that asks what could come next."""
    from click.shell_completion import shell_complete

    return shell_complete(client_root(), {}, "rally", "_RALLY_COMPLETE", instruction)
