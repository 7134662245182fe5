"""What one call of an agent is made of, and what can become of it.

An exit code of 0 is never enough: agents end with 0 after they have failed. A call succeeded when the
program ended with 0, its own record says that the turn was completed, and nothing in it is fatal.

Failures are told apart by the record's types and codes, and by exit codes. Some agents have neither for
a login that is missing or a limit that is reached; only there, and only in text that the agent marked as
an error, a few words decide (`by_words`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rally.hosts.host import Host

TRANSIENT, QUOTA, AUTH, CONFIG = "transient", "quota", "auth", "config"
SCHEMA, TIMEOUT, CRASH, POLICY = "schema", "timeout", "crash", "policy"

Record = dict[str, Any]

_STATUS = re.compile(r"\b[45]\d\d\b")
_BY_STATUS = {"401": AUTH, "403": AUTH, "429": TRANSIENT, "529": TRANSIENT}
# In this order: "usage limit reached, log in to another account" is about the limit.
_WORDS = (
    (QUOTA, ("usage limit", "quota", "billing", "credit balance", "budget")),
    (AUTH, ("/login", "log in", "logged in", "login", "api key", "unauthorized", "authenticat")),
    (CONFIG, ("unknown option", "unexpected argument", "unsupported model", "unknown model",
              "invalid model", "not supported", "invalid value")),
    (TRANSIENT, ("rate limit", "overloaded", "capacity", "unavailable", "reconnect", "timed out",
                 "connection", "network")),
    (POLICY, ("permission", "not allowed", "refused by", "policy")),
)  # fmt: skip
_MESSAGE_CHARS_MAX = 400
_BEGIN = re.compile(r'\{\s*["}]')
# Whoever prints this many broken ones prints no long whole one behind them.
_WHOLE_TRIES = 64
_OBJECT_CHARS_MAX = 256 * 1024
# What is nested deeper than Python follows begins with so many characters of openings at least.
_DEEP_CHARS_MIN = 500


class Schema(NamedTuple):
    """The JSON Schema of the last message: its text, and the file in which it stands."""

    text: str
    file: str


@dataclass(slots=True, frozen=True)
class Invocation:
    """How to call it.

    Attributes:
        words: what stands behind the program's name.
        stdin: what it reads; empty: nothing.
    """

    words: tuple[str, ...]
    stdin: bytes = b""


@dataclass(slots=True, frozen=True)
class Reading:
    """What came of a call.

    Attributes:
        said: its last message; empty where there is none.
        failure: one of the words above, `transient` to `policy`; None: it succeeded.
        why: what the failure was, one line.
    """

    said: str = ""
    failure: str | None = None
    why: str = ""


@dataclass(slots=True, frozen=True)
class OneShot:
    """One agent, called once.

    Attributes:
        host: whose command line it is.
        invoke: from the prompt and the schema of the last message. ValueError: the prompt cannot be
            handed over, and why.
        read: from the exit code (128 + n for signal n), standard output and standard error.
    """

    host: Host
    invoke: Callable[[str, Schema], Invocation]
    read: Callable[[int, str, str], Reading]


def failed(failure: str, why: str, said: str = "") -> Reading:
    """A reading of a call that failed."""
    line = " ".join(why.split())
    return Reading(said, failure, line[:_MESSAGE_CHARS_MAX] or "it gave no reason")


def by_words(text: str) -> str:
    """The class of a failure of which only an error text is known; `crash` when it says nothing."""
    folded = text.casefold()
    for failure, words in _WORDS:
        if any(word in folded for word in words):
            return failure
    for status in _STATUS.findall(folded):
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if status.startswith("5"):
            return TRANSIENT
    return CRASH


def without_record(exit_code: int, stdout: str, stderr: str) -> Reading:
    """The reading of a program that ended without the record that marks a success."""
    if exit_code > 128:
        return failed(CRASH, f"signal {exit_code - 128} ended it")
    error = last_line(stderr) or last_line(stdout)
    if exit_code == 0:
        return failed(CRASH, f"it ended with 0 and without a result record: {error}")
    return failed(by_words(error), f"it ended with {exit_code}: {error}")


def last_line(text: str) -> str:
    """The last line that is not blank, where programs put what went wrong."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def records(stdout: str) -> list[Record]:
    """The JSON objects of an output of JSON lines; other lines are passed over."""
    found = []
    for line in stdout.splitlines():
        if line.lstrip()[:1] == "{":
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                found.append(record)
    return found


def objects(text: str) -> Iterator[Record]:
    """The JSON objects in a text that are not inside another one, in their order."""
    decoder = json.JSONDecoder()
    at = tried = 0
    while (begin := _BEGIN.search(text, at)) is not None:
        tried += 1
        # A piece, because an error counts the lines before it, each time from the beginning.
        most = len(text) if tried <= _WHOLE_TRIES else _OBJECT_CHARS_MAX
        piece = text[begin.start() : begin.start() + most]
        try:
            found, length = decoder.raw_decode(piece)
        except RecursionError:
            at = begin.start() + _DEEP_CHARS_MIN
        except ValueError:
            at = begin.start() + 1
        else:
            at = begin.start() + length
            if isinstance(found, dict):
                yield found


def last_of(found: Sequence[Record] | Iterator[Record], kind: str) -> Record | None:
    """The last record of a `type`."""
    last = None
    for record in found:
        if record.get("type") == kind:
            last = record
    return last


def text_of(record: Record | None, *names: str) -> str:
    """A text inside nested objects; empty where it is not there."""
    value: Any = record
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
