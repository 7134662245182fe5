"""The whole command line in one process: everything that the daemon does not answer.

The relay comes here for the commands that are not facilitation's, for help, and for every command
where no daemon can be had. The same verbs then run on rooms that this process opens itself.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rally.cli.command import VerbGroup
from rally.cli.parse import command_of, parse, says_json
from rally.cli.plan import Answered, OutputClosedError, Parsed, Takeover, Text
from rally.cli.registry import CLIENT, FACILITATION, build_root
from rally.cli.run import carry_out, fail, tell, unknown_state
from rally.cli.terminal import emit, own_call
from rally.model.clock import Clock, SystemClock
from rally.model.errors import EXIT_FAILURE, EXIT_OK, RallyError, UsageError
from rally.wire.names import verb_of

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
        words = list(argv)
        return _answer_hook(words) if verb_of(words) == "hook" else _main(words)
    except KeyboardInterrupt:
        from rally.cli.interrupt import report  # rare

        return report(argv)
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
        # The doctor says so itself, among the rest; help and version need no daemon.
        if parsed.command != "doctor" and not isinstance(parsed.plan, Text):
            check_runtime_dir(call.env)
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


def check_runtime_dir(env: Mapping[str, str]) -> None:
    """Refuse a place of the daemon that is another one in each folder.

    Raises:
        UsageError: `bad-value`.
    """
    chosen = env.get("RALLY_RUNTIME_DIR", "/")
    if chosen and not chosen.startswith("/"):
        raise UsageError(
            "bad-value", f"RALLY_RUNTIME_DIR is {chosen!a}; it must be an absolute path",
            hint="unset RALLY_RUNTIME_DIR", details={"variable": "RALLY_RUNTIME_DIR"},
        )  # fmt: skip


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


def _answer_hook(argv: list[str]) -> int:
    """A hook's host is answered in time and in its own way, whatever happens."""
    from rally.cli.hook.deadline import arm, write

    deadline = arm(argv, os.environ)
    try:
        call = own_call(argv)
        parsed = parse(client_root(), argv, columns=call.width)
        if isinstance(parsed.plan, Text):  # help, for people
            return tell(call, parsed.plan, command=parsed.command, wants_json=parsed.wants_json)
        return _in_loop(parsed, call, deadline.met)
    except Exception as error:
        if (code := deadline.is_met()) is not None:
            return code
        from rally.cli.hook.failing import failed
        from rally.cli.hook.request import request_in

        return write(failed(request_in(argv), f"{type(error).__name__}: {error}", os.environ))


def _in_loop(
    parsed: Parsed, call: ArgvCall, on_answer: Callable[[int], None] = lambda _: None
) -> int:
    asyncio = _asyncio()

    async def carry_out_and_close() -> int:
        rooms = OwnRooms()
        try:
            code = await carry_out(parsed, call, rooms)
            on_answer(code)
            return code
        finally:
            await rooms.close()

    code: int = asyncio.run(carry_out_and_close())
    return code


def _complete(instruction: str) -> int:
    """Answer the shell that asks what could come next."""
    from click.shell_completion import shell_complete

    return shell_complete(client_root(), {}, "rally", "_RALLY_COMPLETE", instruction)
