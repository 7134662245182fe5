"""JSON as people keep it in configuration: with comments, trailing commas and a byte order mark.

The text becomes a tree of spans, so that a splice can leave every other byte alone. Grammar: RFC 8259,
and from "JSON with Comments" the comments and the trailing comma; nothing more.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

_DEPTH_MAX = 200
_SPACE = re.compile(r"[ \t\r\n]*")
_TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_BREAK = re.compile(r"\r\n|\n|\r")
_WORDS = {"true": True, "false": False, "null": None}


class Number(str):
    """A number, as it was written: none is ever computed with."""

    __slots__ = ()


class BrokenTextError(Exception):
    """The text is not what it should be.

    Attributes:
        line, column: where, counted from 1, in characters.
        what: what is wrong there.
    """

    def __init__(self, what: str, *, line: int, column: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.column = column


@dataclass(slots=True)
class Node:
    """A value in the text, at `text[start:end]`."""

    kind: Literal["object", "array", "string", "number", "word"]
    start: int
    end: int
    scalar: Any = None
    children: list[Child] = field(default_factory=list)

    def member(self, key: str) -> Child | None:
        """The member of this name; of several the last one, which is the one that readers take."""
        return next((one for one in reversed(self.children) if one.key == key), None)

    def plain(self) -> Any:
        """The value without its spans; numbers as they were written."""
        if self.kind == "object":
            return {one.key: one.node.plain() for one in self.children}
        if self.kind == "array":
            return [one.node.plain() for one in self.children]
        return self.scalar


@dataclass(slots=True)
class Child:
    """A member of an object, or an item of an array.

    Attributes:
        key: None in an array.
        start: where the key begins, or the item.
        comma: where the comma behind it is; None without one.
    """

    key: str | None
    start: int
    node: Node
    comma: int | None = None

    @property
    def end(self) -> int:
        """Where the value ends; the comma is behind it."""
        return self.node.end


def parse(text: str) -> Node | None:
    """The tree of a text; None where it holds nothing but space and comments.

    Raises:
        BrokenTextError: it is no JSON; the place is that of the first thing that cannot be.
    """
    scanner = _Scanner(text)
    at = scanner.skip(1 if text.startswith("\ufeff") else 0)
    if at == len(text):
        return None
    node = scanner.value(at, 0)
    rest = scanner.skip(node.end)
    if rest != len(text):
        raise scanner.broken(rest, "the document has ended before this")
    return node


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, counted from 1."""
    line, start = 1, 1 if text.startswith("\ufeff") else 0
    for found in _BREAK.finditer(text, 0, offset):
        line, start = line + 1, found.end()
    return line, offset - start + 1


def skip_space(text: str, at: int) -> int:
    """The first character from `at` on that is no white space."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text

    def broken(self, offset: int, what: str) -> BrokenTextError:
        line, column = place_of(self._text, offset)
        return BrokenTextError(what, line=line, column=column)

    def skip(self, at: int) -> int:
        found = _TRIVIA.match(self._text, at)
        assert found is not None
        end = found.end()
        if self._text.startswith("/*", end):
            raise self.broken(end, "the comment does not end")
        return end

    def value(self, at: int, depth: int) -> Node:
        text = self._text
        opening = text[at : at + 1]
        if depth > _DEPTH_MAX:
            raise self.broken(at, f"nested more than {_DEPTH_MAX} deep")
        if opening == "{":
            return self._container(Node("object", at, at), depth, "}")
        if opening == "[":
            return self._container(Node("array", at, at), depth, "]")
        if opening == '"':
            end = self._string_end(at)
            return Node("string", at, end, json.loads(text[at:end]))
        found = _WORD.match(text, at)
        if found:
            return Node("word", at, found.end(), _WORDS[found[0]])
        found = _NUMBER.match(text, at)
        if found:
            return Node("number", at, found.end(), Number(found[0]))
        raise self.broken(at, f"a value is expected, not {_said(opening)}")

    def _string_end(self, at: int) -> int:
        found = _STRING.match(self._text, at)
        if found is None:
            raise self.broken(at, "the string does not end, or holds what no string may")
        return found.end()

    def _container(self, node: Node, depth: int, closing: str) -> Node:
        text = self._text
        at = self.skip(node.start + 1)
        while text[at : at + 1] != closing:
            child = self._child(node.kind, at, depth)
            node.children.append(child)
            at = self.skip(child.end)
            if text[at : at + 1] == ",":
                child.comma = at
                at = self.skip(at + 1)
            elif text[at : at + 1] != closing:
                found = _said(text[at : at + 1])
                raise self.broken(at, f"a comma or {closing} is expected, not {found}")
        node.end = at + 1
        return node

    def _child(self, kind: str, at: int, depth: int) -> Child:
        if kind == "array":
            return Child(None, at, self.value(at, depth + 1))
        text = self._text
        if text[at : at + 1] != '"':
            found = _said(text[at : at + 1])
            raise self.broken(at, f"a name in double quotes is expected, not {found}")
        end = self._string_end(at)
        colon = self.skip(end)
        if text[colon : colon + 1] != ":":
            raise self.broken(colon, f"a colon is expected, not {_said(text[colon : colon + 1])}")
        value = self.value(self.skip(colon + 1), depth + 1)
        return Child(json.loads(text[at:end]), at, value)


def _said(character: str) -> str:
    return ascii(character) if character else "the end of the file"
