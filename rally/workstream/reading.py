"""A descriptor file as a JSON document, with the line on which each of its values stands.

The document itself is read by `json`, which knows what JSON is and where it is broken. What it does not
tell is where values stand and where a key was given twice (the last one would win silently), so where
that is asked, the parts that have a meaning to rally, down to the fields of tasks, are walked once more.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NoReturn

import orjson

from rally.model.errors import UsageError

# Two thousand tasks with all that a fact can hold would be more, and nobody reviews that.
DESCRIPTOR_BYTES_MAX = 16 * 1024 * 1024
_BLANKS = " \t\n\r"
# The document's fields, the tasks, the fields of a task, the entries of a list.
_DEPTH = 4
_NAME_CHARS_SHOWN = 100

Place = tuple[str | int, ...]


class Document:
    """What a descriptor file holds.

    Attributes:
        value: any JSON value.
    """

    def __init__(self, value: Any, find_lines: Callable[[], dict[Place, int]]) -> None:
        self.value = value
        self._find_lines = find_lines

    @cached_property
    def _lines(self) -> dict[Place, int]:
        return self._find_lines()

    def line(self, place: Place) -> int:
        """The line, 1..N, of the value at a place, or of what it is missing from."""
        while place not in self._lines and place:
            place = place[:-1]
        return self._lines.get(place, 1)


def field_name(place: Place) -> str:
    """`owns[2]` for `("owns", 2)`; `tasks[3]` for a task as a whole."""
    name = ""
    for part in place:
        name += f"[{part}]" if isinstance(part, int) else (f".{part}" if name else str(part))
    name = name.encode("ascii", "backslashreplace").decode()
    return name if len(name) <= _NAME_CHARS_SHOWN else f"{name[:_NAME_CHARS_SHOWN]}…"


def read_document(raw: bytes, name: str) -> Document:
    """Read a descriptor's bytes.

    Args:
        name: what the messages call the file.

    Raises:
        UsageError: `unreadable`; not UTF-8, not JSON, or a key given twice, with line and column.
    """
    if len(raw) > DESCRIPTOR_BYTES_MAX:
        raise UsageError(
            "unreadable", f"{name} is longer than {DESCRIPTOR_BYTES_MAX} bytes",
            hint="split the workstream",
        )  # fmt: skip
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            "unreadable", f"{name} is not valid UTF-8 at byte {error.start}",
            hint="iconv -t UTF-8",
        ) from None  # fmt: skip
    try:
        twice: list[bool] = []
        value = json.loads(
            text, parse_constant=_no_constant, object_pairs_hook=lambda pairs: _object(pairs, twice)
        )
    except json.JSONDecodeError as error:
        raise _broken(name, error.msg, error.lineno, error.colno) from None
    except _NoNumberError as error:
        raise _broken(name, str(error), *_position(text)) from None
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        what = "nested too deeply" if deep else "a number in it has thousands of digits"
        raise UsageError(
            "unreadable", f"{name} is no JSON: {what}", hint="python3 -m json.tool"
        ) from None
    if not twice:
        return Document(value, lambda: _Walk(text, name).lines)
    lines = _Walk(text, name).lines  # raises, unless it was where keys mean nothing
    return Document(value, lambda: lines)


def _object(pairs: list[tuple[str, Any]], twice: list[bool]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice.append(True)
    return found


class _NoNumberError(ValueError):
    """`NaN` and the like, which `json` takes for numbers. Nothing was read."""


def _no_constant(word: str) -> NoReturn:
    raise _NoNumberError(f"the number {word} is no JSON")


def _position(text: str) -> tuple[int, int]:
    """Line and column of the first thing that a stricter reader than `json` stumbles over."""
    try:
        orjson.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, error.colno
    return 1, 1


def _broken(name: str, what: str, line: int, column: int) -> UsageError:
    return UsageError(
        "unreadable", f"{name}, line {line}, column {column}: {what[:1].lower()}{what[1:]}",
        hint="mend that line", details={"line": line, "column": column},
    )  # fmt: skip


class _Walk:
    """One walk through a text that is known to be JSON."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._scan = json.JSONDecoder().raw_decode
        self._starts = [0, *(n + 1 for n, char in enumerate(text) if char == "\n")]
        self.lines: dict[Place, int] = {}
        self._value(self._skip(0), ())

    def _skip(self, at: int) -> int:
        while self._text[at] in _BLANKS:
            at += 1
        return at

    def _value(self, at: int, place: Place) -> int:
        """Note where the value that begins here stands; answers where it ends."""
        self.lines[place] = bisect_right(self._starts, at)
        opening = self._text[at]
        if len(place) >= _DEPTH or opening not in "{[":
            return int(self._scan(self._text, at)[1])
        seen: set[str] = set()
        for number, item in enumerate(self._items(at)):
            if opening == "[":
                self._end = self._value(item, (*place, number))
                continue
            key, behind = self._scan(self._text, item)
            if key in seen:
                line = bisect_right(self._starts, item)
                column = item - self._starts[line - 1] + 1
                raise _broken(self._name, f"the key {key!a} is given twice", line, column)
            seen.add(key)
            self._end = self._value(self._skip(self._skip(behind) + 1), (*place, key))
        return self._end + 1

    def _items(self, at: int) -> Iterator[int]:
        """Where each item of an array or object begins; `_end` is set to where each one ended."""
        self._end = self._skip(at + 1)
        while self._text[self._end] not in "}]":
            yield self._skip(self._end + (self._text[self._end] == ","))
            self._end = self._skip(self._end)
