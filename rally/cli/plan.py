"""What the words of a command line come to: the parser answers one of these, `run` carries it out.

Parsing is the same in the daemon and without it, and touches nothing; only carrying out does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from rally.cli.envelope import json_line
from rally.cli.screen import Screen

if TYPE_CHECKING:
    from rally.cli.call import ArgvCall
    from rally.cli.port import RoomsPort
    from rally.facilitation.places import Place

Warnings = list[dict[str, str]]
Answered = tuple[dict[str, Any], Warnings]
Show = Callable[[dict[str, Any], Screen], str]
Verdict = Callable[[dict[str, Any]], int]


class OutputClosedError(Exception):
    """Nobody reads standard output any more (`| head`); the command ends quietly (contract O4)."""


class OutputFailedError(OSError):
    """Standard output is there and cannot be written, such as a file on a full disk."""


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

    __slots__ = ("call", "command", "room", "rooms", "screen", "wants_json")

    def __init__(self, call: ArgvCall, rooms: RoomsPort, parsed: Parsed, screen: Screen) -> None:
        self.call = call
        self.rooms = rooms
        self.command = parsed.command
        self.wants_json = parsed.wants_json
        self.room = parsed.room
        self.screen = screen

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

    @property
    def named_room(self) -> str | None:
        """The folder that was said to be the room (`--room`, RALLY_ROOM); None: it is looked for."""
        return self.room or self.call.env.get("RALLY_ROOM") or None

    def place(self) -> Place:
        """Where the command was typed, and of which room that is (contract R1).

        Raises:
            UsageError: `room-not-found`.
        """
        from rally.facilitation.places import find_place  # questions to the room need none of it

        return find_place(self.call.cwd, self.named_room)

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


class Ask:
    """One question to the room.

    Attributes:
        op: a name in `facilitation.rooms.OPERATIONS`, or `init` or `status`.
        params: as they were typed; the caller and the room are filled in later.
        show: draws the answer for people; ends in a line break.
        verdict: the exit code of an answer (contract O2: an answer, whatever it says, is no error).
        is_caller: whether `--tool` means who calls.
        reads: parameters in which `-` stands for standard input.
        only_shown: parts of the answer that are for `show` alone, where the contract says of which
            parts the JSON consists.
    """

    __slots__ = ("is_caller", "only_shown", "op", "params", "reads", "show", "verdict")

    def __init__(  # noqa: PLR0913 (a record)
        self,
        op: str,
        params: dict[str, Any],
        show: Show,
        *,
        verdict: Verdict = done,
        is_caller: bool = False,
        reads: tuple[str, ...] = (),
        only_shown: tuple[str, ...] = (),
    ) -> None:
        self.op = op
        self.params = params
        self.show = show
        self.verdict = verdict
        self.is_caller = is_caller
        self.reads = reads
        self.only_shown = only_shown


class Work:
    """Something that the client's process does itself and answers like a question."""

    __slots__ = ("run", "show", "verdict")

    def __init__(
        self,
        run: Callable[[Session], Awaitable[Answered]],
        show: Show,
        verdict: Verdict = done,
    ) -> None:
        self.run = run
        self.show = show
        self.verdict = verdict


class Stream:
    """Something that writes its own output as it goes, and answers the exit code."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Session], Awaitable[int]]) -> None:
        self.run = run


class Takeover:
    """Something that takes the whole process, event loop included, and answers the exit code."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[], int]) -> None:
        self.run = run


class Text:
    """A finished answer: help, the version, a script.

    Attributes:
        text: what is printed, ending in a line break.
        data: the same for `--json`.
    """

    __slots__ = ("data", "text")

    def __init__(self, text: str, data: dict[str, Any]) -> None:
        self.text = text
        self.data = data


Plan = Ask | Work | Stream | Takeover | Text


class Parsed:
    """A command line that was understood.

    Attributes:
        command: the first word.
        plan: what it comes to.
        wants_json, no_color, room: what was given of the options of every command.
    """

    __slots__ = ("command", "no_color", "plan", "room", "wants_json")

    def __init__(
        self, command: str, plan: Plan, *, wants_json: bool, no_color: bool, room: str | None
    ) -> None:
        self.command = command
        self.plan = plan
        self.wants_json = wants_json
        self.no_color = no_color
        self.room = room


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were typed: absent ones left out, repeatable ones as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }
