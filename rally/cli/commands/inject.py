"""`rally inject`, `capture` and `attach` (contract X2): reaching into a managed agent's terminal."""

from __future__ import annotations

import os
from typing import Any

import click

from rally.cli import envelope
from rally.cli.command import NUMBER, verb
from rally.cli.commands.sessions import book_of
from rally.cli.plan import Answered, Session, Stream, Work
from rally.cli.standard_input import text_of
from rally.cli.text.sessions import show_capture, show_inject
from rally.execution.sessions.inject import inject as inject_message
from rally.execution.sessions.inject import message
from rally.execution.sessions.life import look_at
from rally.execution.sessions.watch_pane import attach as become_terminal
from rally.execution.sessions.watch_pane import attach_words
from rally.execution.sessions.watch_pane import capture as capture_screen
from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError

TIMEOUT_DEFAULT = "60s"
_TIMEOUT_MS_MAX = 86_400_000


@verb(
    "inject",
    example="rally inject claude-01 --text 'the tests of src/api fail on main; please look'",
    exits={0: "done, also where it is queued or not acknowledged", 1: "", 2: "", 3: ""},
)
@click.argument("target", metavar="TARGET")
@click.option(
    "--text", metavar="TEXT", help="What to put into its terminal; - reads standard input."
)
@click.option("--handoff", metavar="ID", help="Put a handoff to it there, and how to answer it.")
@click.option("--require-ack", is_flag=True, help="Wait for its receipt.")
@click.option(
    "--timeout", metavar="DURATION", help=f"How long to wait (default: {TIMEOUT_DEFAULT})."
)
@click.option("--no-enter", is_flag=True, help="Leave the text in its input line.")
@click.option("--tool", metavar="ID", help="Who speaks (default: RALLY_TOOL, else operator).")
def inject(
    *, target: str, text: str | None, handoff: str | None, require_ack: bool, **options: Any
) -> Work:
    """Put a text into an agent's terminal, and say how far it came.

    The text is pasted, never typed: control characters are taken out, at most 64 KiB go through,
    and Enter follows. TARGET is a session's name or a tool id. The answer tells apart what reached
    the terminal, what is queued (a handoff in the target's inbox, because its pane is gone, dead,
    in copy mode, or at a shell's prompt), and what was acknowledged.
    """
    timeout = options["timeout"]
    if timeout is not None and not require_ack:
        raise UsageError("usage", "--timeout goes with --require-ack", hint="--require-ack")
    timeout_ms = parse_duration_ms(
        timeout or TIMEOUT_DEFAULT, max_ms=_TIMEOUT_MS_MAX, name="--timeout"
    )
    ack_timeout_ms = timeout_ms if require_ack else None
    enter = not options["no_enter"]

    async def carry_out(session: Session) -> Answered:
        words = text_of(session.call.stdin or b"", "--text") if text == "-" else text
        wanted = message(text=words, handoff=handoff, enter=enter, ack_timeout_ms=ack_timeout_ms)
        async with book_of(session, options["tool"]) as book:
            return await inject_message(book, target, wanted)

    if text != "-":  # what can be refused at once is
        message(text=text, handoff=handoff, enter=enter, ack_timeout_ms=ack_timeout_ms)
    return Work(carry_out, show_inject)


@verb("capture", example="rally capture claude-01 --lines 100", exits=(0, 1, 2))
@click.argument("target", metavar="TARGET")
@click.option("--lines", type=NUMBER, help="So many of the last lines (default: the screen).")
def capture(*, target: str, lines: int | None) -> Work:
    """Print what an agent's terminal shows."""
    if lines is not None and lines < 1:
        raise UsageError(
            "bad-value", f"--lines is {lines}; it must be 1 or more", hint="--lines 100"
        )

    async def carry_out(session: Session) -> Answered:
        async with book_of(session) as book:
            live = await book.live(target)
        return capture_screen(look_at(live, session.call.env), lines), []

    return Work(carry_out, show_capture)


@verb("attach", example="rally attach claude-01", exits=(0, 1, 2))
@click.argument("target", metavar="TARGET")
def attach(*, target: str) -> Stream:
    """Show an agent's terminal in yours.

    tmux's own key leaves it (Ctrl-b d). Inside tmux it switches to it. With --json it only
    answers the command that would do so.
    """

    async def carry_out(session: Session) -> int:
        async with book_of(session) as book:
            live = await book.live(target)
        env = session.call.env
        life = look_at(live, env)
        words = attach_words(life, env)
        if session.wants_json:
            data = {"name": live["name"], "tool": live["tool"], "command": words}
            session.call.out(envelope.answer("attach", data))
            return 0
        if not (os.isatty(0) and os.isatty(1)):
            raise UsageError(
                "usage", "attach needs a terminal", hint=f"rally capture {live['name']}"
            )
        become_terminal(words, life, env)
        return 0

    return Stream(carry_out)
