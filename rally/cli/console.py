"""What a runner's command knows of the terminal it was typed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import click

from rally.cli import command as words
from rally.cli.call import ArgvCall
from rally.cli.envelope import answer, json_line
from rally.cli.plan import OutputClosedError, OutputFailedError
from rally.cli.run import fail, unknown_state
from rally.cli.screen import Screen, screen_for
from rally.cli.terminal import own_call
from rally.facilitation.places import find_place
from rally.model.clock import Clock, SystemClock
from rally.model.errors import RallyError


@dataclass(slots=True)
class Console:
    """The surroundings of one runner.

    Attributes:
        command: the verb.
        wants_json: `--json` was given.
        room: the value of `--room`, None without one.
        screen: for text.
    """

    command: str
    call: ArgvCall
    wants_json: bool
    room: str | None
    screen: Screen
    clock: Clock

    @classmethod
    def of(cls, context: click.Context, clock: Clock | None = None) -> Console:
        """The console behind a click command that is being parsed."""
        clock = clock or SystemClock()
        call = own_call(())
        return cls(
            command=str(context.info_name),
            call=call,
            wants_json=bool(context.meta.get(words.JSON)),
            room=context.meta.get(words.ROOM),
            screen=screen_for(
                call.width, is_terminal=call.colour,
                no_color=bool(context.meta.get(words.NO_COLOR)), env=call.env,
                now_ms=clock.now_ms(),
            ),
            clock=clock,
        )  # fmt: skip

    def root(self) -> str:
        """The root of the room that was meant (contract R1).

        Raises:
            UsageError: `room-not-found`.
        """
        return find_place(self.call.cwd, self.room or self.call.env.get("RALLY_ROOM") or None).root

    @property
    def can_draw(self) -> bool:
        """Whether standard output is a terminal whose cursor can be moved, and text is wished for."""
        return (
            self.call.colour and not self.wants_json and self.call.env.get("TERM", "dumb") != "dumb"
        )

    def line(self, line: str | dict[str, Any]) -> None:
        """Write one line of a stream: text that is safe to show, or a JSON document.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        if isinstance(line, str):
            self.call.out(line.encode(errors="backslashreplace"))
        else:
            self.call.out(json_line(line))

    def answer(self, data: dict[str, Any], warnings: Sequence[dict[str, str]] = ()) -> None:
        """Write the JSON envelope of a result.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        self.call.out(answer(self.command, data, warnings))

    def fail(self, error: RallyError) -> int:
        """Write an error in the form that was asked for; its exit code."""
        try:
            return fail(self.call, error, command=self.command, wants_json=self.wants_json)
        except OutputClosedError:
            return error.exit_code

    def guarded(self, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """Run a coroutine in an event loop of its own; its exit code, errors written out."""
        try:
            return asyncio.run(work())
        except RallyError as error:
            return self.fail(error)
        except OutputClosedError:
            return 0
        except OutputFailedError:
            raise  # an error envelope could not be written either
        except Exception as error:
            return self.fail(unknown_state(error))
