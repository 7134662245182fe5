"""The hooks of an agent's command line, as rally understands them: when, what is written, how to answer.

A host (the agent's program) runs `rally hook <host> <event>` with one JSON object on standard input and
reads the exit code, standard output and standard error. Each host's own file says how its payloads
are read and how it wants to be answered; nothing here touches a file or a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

EXIT_BLOCKED = 2
# claude cuts what a hook says at 10,000 characters; what is shorter is read.
TEXT_CHARS_MAX = 6_000

Payload = Mapping[str, Any]


class Moment(Enum):
    """What an event means to rally, whatever the host calls it."""

    SESSION_START = "session-start"
    TURN_START = "turn-start"
    BEFORE_WRITE = "before-write"
    AFTER_WRITE = "after-write"
    TURN_END = "turn-end"
    SESSION_END = "session-end"


class PayloadError(ValueError):
    """A payload that lacks a field, or has it in another form than the host documents."""


class Write(NamedTuple):
    """One path that a tool call is about to write.

    Attributes:
        path: absolute, as the host or the command named it; links and `..` are not followed.
        into: names that come into `path` if that is a folder on the disk (`cp a b dir`); None where
            `path` itself is written in any case.
        if_there: it only counts if it is on the disk (`git checkout WORD`, which may be a branch).
    """

    path: str
    into: tuple[str, ...] | None = None
    if_there: bool = False


class Answer(NamedTuple):
    """What the host is given."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int = 0


@dataclass(slots=True, frozen=True, kw_only=True)
class Hooks:
    """The hook protocol of one host.

    Attributes:
        host: its name in `rally hook <host>`.
        events: the host's own event names that rally answers.
        session_fields: where a payload names the session; the first that is there counts.
        writes: what a tool call writes, of a before or after event: payload, event and working
            folder in, paths out; raises PayloadError.
        tell: the answer that gives the agent a text at an event, where the host has a place for it;
            else the neutral answer.
        block: the answer that keeps the tool from running and says why.
        neutral: the answer that neither allows nor denies anything.
        clocked_ids: its session ids begin with a clock, so that their end tells them apart.
    """

    host: str
    events: Mapping[str, Moment]
    session_fields: tuple[str, ...]
    writes: Callable[[Payload, str, str], list[Write]]
    tell: Callable[[str, str], Answer]
    block: Callable[[str, str], Answer]
    neutral: Answer
    clocked_ids: bool = False


def json_answer(document: dict[str, Any]) -> Answer:
    """Exit 0 with one JSON document on standard output."""
    import orjson  # the answer is neutral nearly always, and then there is none to write

    return Answer(stdout=orjson.dumps(document) + b"\n")


def blocked_by_exit_code(_: str, reason: str) -> Answer:
    """Exit 2 with the reason on standard error, which must not be empty; nothing on standard output."""
    return Answer(stderr=f"{reason}\n".encode(errors="backslashreplace"), code=EXIT_BLOCKED)


def context_answer(event: str, text: str) -> Answer:
    """The form that claude brought in and others took over: a text for the agent beside the event."""
    return json_answer({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})


def text_field(payload: Payload, *names: str) -> str:
    """The first of some fields that is there.

    Raises:
        PayloadError: none is, or it is no text, or empty.
    """
    for name in names:
        value = payload.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise PayloadError(f"{name} is no text")
        return value
    raise PayloadError(f"no {' or '.join(names)}")


def object_field(payload: Payload, name: str) -> Payload:
    """A field that is an object.

    Raises:
        PayloadError: it is missing, or something else.
    """
    value = payload.get(name)
    if not isinstance(value, dict):
        raise PayloadError(f"{name} is no object" if name in payload else f"no {name}")
    return value


def absolute(path: str, folder: str) -> str:
    """A path as seen from a folder, as text.

    Raises:
        PayloadError: it is relative, and so is the folder.
    """
    if path.startswith("/"):
        return path
    if not folder.startswith("/"):
        raise PayloadError("a relative path, and no cwd")
    return f"{folder.rstrip('/')}/{path}"


def file_write(tool_input: Payload, folder: str, *names: str) -> list[Write]:
    """The one file that an edit tool names.

    Raises:
        PayloadError: it names none.
    """
    return [Write(absolute(text_field(tool_input, *names), folder))]
