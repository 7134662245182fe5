"""What the words of a command line come to: the parser answers one of these, `run` carries it out.

Parsing is the same in the daemon and without it, and touches nothing; only carrying out does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rally.cli.call import ArgvCall
from rally.cli.envelope import json_line
from rally.cli.screen import Screen
from rally.model.clock import Clock

Warnings = list[dict[str, str]]
Answered = tuple[dict[str, Any], Warnings]
Show = Callable[[dict[str, Any], Screen], str]


class OutputClosedError(Exception):
    """Nobody reads standard output any more (`| head`); the command ends quietly (contract O4)."""


class RoomsPort(Protocol):
    """Where questions are answered; `facilitation.rooms.Rooms` in both the daemon and direct mode."""

    clock: Clock

    async def call(
        self, op: str, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> Answered:
        """See `Rooms.call`."""
        ...

    def subscribe(
        self, params: Mapping[str, Any], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """See `Rooms.subscribe`."""
        ...


@dataclass(slots=True)
class Session:
    """One command being carried out.

    Attributes:
        call: the surroundings in which it was typed.
        rooms: where questions are answered.
        command: the first word, which names the answer.
        wants_json: `--json` was given.
        room: the value of `--room`, None without one.
        screen: for text answers.
    """

    call: ArgvCall
    rooms: RoomsPort
    command: str
    wants_json: bool
    room: str | None
    screen: Screen

    def params(self, given: Mapping[str, Any], *, is_caller: bool) -> dict[str, Any]:
        """The parameters of an operation.

        Args:
            given: those that were typed.
            is_caller: `--tool` and `--session-id` say who calls, so the environment may say it
                where they are missing.
        """
        params = dict(given)
        if is_caller:
            for name, variable in (("tool", "RALLY_TOOL"), ("session_id", "RALLY_SESSION_ID")):
                if params.get(name) is None and self.call.env.get(variable):
                    params[name] = self.call.env[variable]
        if self.room is not None:
            params["room"] = self.room
        return params

    async def ask(self, op: str, params: Mapping[str, Any]) -> Answered:
        """Put one question to the room, in this process.

        Raises:
            RallyError: see the operation.
        """
        return await self.rooms.call(op, params, cwd=self.call.cwd, env=self.call.env)

    async def say_line(self, line: str | dict[str, Any]) -> None:
        """One line of a stream: text made visible already, or a JSON document (contract O1)."""
        if isinstance(line, str):
            self.call.out(f"{line}\n".encode(errors="backslashreplace"))
        else:
            self.call.out(json_line(line))
        await self.call.drain()


def done(_: dict[str, Any]) -> int:
    """The verdict of an answer that cannot be bad news."""
    return 0


@dataclass(slots=True)
class Ask:
    """One question to the room.

    Attributes:
        op: a name in `facilitation.rooms.OPERATIONS`, or `init` or `status`.
        params: as they were typed; the caller and the room are filled in later.
        show: draws the answer for people; ends in a line break.
        verdict: the exit code of an answer (contract O2: an answer, whatever it says, is no error).
        is_caller: whether `--tool` means who calls.
        reads: parameters in which `-` stands for standard input.
    """

    op: str
    params: dict[str, Any]
    show: Show
    verdict: Callable[[dict[str, Any]], int] = done
    is_caller: bool = False
    reads: tuple[str, ...] = ()


@dataclass(slots=True)
class Work:
    """Something that the client's process does itself and answers like a question."""

    run: Callable[[Session], Awaitable[Answered]]
    show: Show
    verdict: Callable[[dict[str, Any]], int] = done


@dataclass(slots=True)
class Stream:
    """Something that writes its own output as it goes, and answers the exit code."""

    run: Callable[[Session], Awaitable[int]]


@dataclass(slots=True)
class Takeover:
    """Something that takes the whole process, event loop included, and answers the exit code."""

    run: Callable[[], int]


@dataclass(slots=True)
class Text:
    """A finished answer: help, the version, a script.

    Attributes:
        text: what is printed, ending in a line break.
        data: the same for `--json`.
    """

    text: str
    data: dict[str, Any] = field(default_factory=dict)


Plan = Ask | Work | Stream | Takeover | Text


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were typed: absent ones left out, repeatable ones as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }
