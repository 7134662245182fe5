"""Carrying out a command line: words in, output and an exit code out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rally.cli import envelope
from rally.cli.parse import command_of, parse, says_json
from rally.cli.plan import (
    Answered,
    Ask,
    OutputClosedError,
    OutputFailedError,
    Parsed,
    Session,
    Stream,
    Takeover,
    Text,
    Work,
)
from rally.cli.screen import screen_for
from rally.cli.standard_input import fill
from rally.model.errors import Failure, RallyError, UsageError

if TYPE_CHECKING:
    from rally.cli.call import ArgvCall
    from rally.cli.command import VerbGroup
    from rally.cli.port import RoomsPort

_log = logging.getLogger("rally.cli")

# Checks fail closed, under one code (contract K0).
CHECKS = frozenset({"check", "check-ci"})


async def run(argv: list[str], call: ArgvCall, rooms: RoomsPort, root: VerbGroup) -> int:
    """Carry out one command line and answer its exit code.

    Args:
        argv: the words after `rally`.
        call: the surroundings in which they were typed.
        rooms: where questions are answered.
        root: the commands that there are.
    """
    try:
        parsed = parse(root, argv, columns=call.width)
    except RallyError as error:
        return fail(call, error, command=command_of(argv), wants_json=says_json(argv))
    except Exception as error:
        return fail(
            call, unknown_state(error), command=command_of(argv), wants_json=says_json(argv)
        )
    return await carry_out(parsed, call, rooms)


async def carry_out(parsed: Parsed, call: ArgvCall, rooms: RoomsPort) -> int:
    """Carry out a command line that was understood."""
    screen = screen_for(
        call.width, is_terminal=call.colour, no_color=parsed.no_color, env=call.env,
        now_ms=rooms.clock.now_ms(),
    )  # fmt: skip
    session = Session(call, rooms, parsed, screen)
    try:
        return await _perform(parsed, session)
    except OutputClosedError:
        return 0
    except OutputFailedError:
        raise  # an error envelope could not be written either
    except RallyError as error:
        return _refuse(session, error)
    except Exception as error:
        return _refuse(session, unknown_state(error))


def unknown_state(error: Exception) -> Failure:
    """What the caller is told of an exception that nobody foresaw; the traceback goes to the log."""
    _log.error("a command failed", exc_info=error)
    what = str(error).partition("\n")[0]
    return Failure(
        "internal",
        f"rally met a state that it does not know: {type(error).__name__}: {what}",
        hint="rally daemon logs",
    )


def fail(call: ArgvCall, error: RallyError, *, command: str, wants_json: bool) -> int:
    """Write an error in the form that was asked for; its exit code."""
    if wants_json:
        call.out(envelope.failure(command, error))
    else:
        call.err(envelope.failure_text(error))
    return error.exit_code


def tell(call: ArgvCall, plan: Text, *, command: str, wants_json: bool) -> int:
    """Write a finished answer in the form that was asked for; its exit code."""
    call.out(envelope.answer(command, plan.data) if wants_json else plan.text.encode())
    return 0


def _refuse(session: Session, error: RallyError) -> int:
    if session.command in CHECKS and isinstance(error, Failure):
        error = Failure(
            "unavailable",
            f"the check cannot be answered: {error.message}",
            hint=error.hint,
            details={**error.details, "cause": error.code},
        )
    try:
        return fail(session.call, error, command=session.command, wants_json=session.wants_json)
    except OutputClosedError:
        return 0


async def _perform(parsed: Parsed, session: Session) -> int:
    plan = parsed.plan
    match plan:
        case Ask():
            params = session.params(plan.params, is_caller=plan.is_caller)
            noted = fill(params, plan.reads, session.call.stdin)
            data, warnings = await session.ask(plan.op, params)
            if session.wants_json:
                data = {name: part for name, part in data.items() if name not in plan.only_shown}
            return _answer(session, plan, (data, [*warnings, *noted]))
        case Work():
            return _answer(session, plan, await plan.run(session))
        case Stream():
            return await plan.run(session)
        case Text():
            return tell(session.call, plan, command=session.command, wants_json=session.wants_json)
        case Takeover():
            raise UsageError(
                "usage", f"{session.command} cannot run inside the daemon",
                hint="RALLY_DAEMON=off rally …",
            )  # fmt: skip


def _answer(session: Session, plan: Ask | Work, answered: Answered) -> int:
    data, warnings = answered
    if session.wants_json:
        session.call.out(envelope.answer(session.command, data, warnings))
    else:
        text = plan.show(data, session.screen)
        session.call.out(text.encode(errors="backslashreplace"))
        if warnings:
            session.call.err(envelope.warning_text(warnings))
    return plan.verdict(data)
