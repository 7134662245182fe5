"""Putting values into JSON text and taking them out, in the style in which the text is written.

Each function answers the whole new text and leaves every byte alone that it does not have to touch.
Taking out what was put in gives the same text again, but where an empty container was written with
space inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally.setup.jsonc import Child, Node, skip_space

_INDENT_DEFAULT = "  "
_BREAKS = ("\n", "\r")

Edit = tuple[int, int, str]  # from, to, what stands there instead


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is written.

    Attributes:
        newline: its line break.
        indent: what one level is indented by.
        is_flat: it is written on one line.
        is_tight: no space follows its commas and colons.
    """

    newline: str = "\n"
    indent: str = _INDENT_DEFAULT
    is_flat: bool = False
    is_tight: bool = False


def style_of(text: str, root: Node | None) -> Style:
    """The style of a text; that of an empty one is two spaces."""
    found = re.search(r"\r\n|\n|\r", text)
    newline = found[0] if found else "\n"
    if root is None or not root.children:
        return Style(newline)
    indent = next(filter(None, _steps(text, root)), None)
    colon = text.find(":", root.start)
    return Style(
        newline,
        _INDENT_DEFAULT if indent is None else indent,
        is_flat=not _has_break(text[root.start : root.end]),
        is_tight=colon >= 0 and text[colon + 1 : colon + 2] not in (" ", "\t", *_BREAKS),
    )


def _steps(text: str, node: Node) -> list[str]:
    """By how much the children of a container, and theirs, are indented deeper than it is."""
    outer = _line_indent(text, node.start)
    steps = []
    for child in node.children:
        inner = _own_line_indent(text, child.start)
        if inner is not None and inner.startswith(outer):
            steps.append(inner[len(outer) :])
        if not any(steps) and child.node.children:
            steps += _steps(text, child.node)
    return steps


def insert(text: str, into: Node, key: str | None, value: Any, style: Style) -> str:
    """Put a value behind the last one of a container.

    Args:
        into: the container.
        key: the member's name; None for an item of an array.
        value: plain data, keys in the order in which they are written.
    """
    last = into.children[-1] if into.children else None
    if last is None:
        new, start, end = _alone(text, into, partial(_member, key, value, style), style)
        return _edited(text, [(start, end, new)])
    behind = last.end if last.comma is None else last.comma + 1
    own = _child_indent(text, into)
    if own is None:
        tail = behind  # a comment behind the last child may take the rest of its line
        base = _line_indent(text, into.start)
        is_spread = _has_break(text[last.start : last.end])
        new = _member(key, value, style, base if is_spread else None)
        new = new if style.is_tight else f" {new}"
    else:
        tail = _content_end(text, behind, into.end - 1)
        new = style.newline + own + _member(key, value, style, own)
    if last.comma is not None:
        return _edited(text, [(tail, tail, f"{new},")])
    return _edited(text, [(last.end, last.end, ","), (tail, tail, new)])


def _alone(
    text: str, into: Node, render: Callable[[str | None], str], style: Style
) -> tuple[str, int, int]:
    """The text of the first child of an empty container, and the span that it replaces."""
    close = into.end - 1
    tail = _content_end(text, into.start + 1, close)
    if style.is_flat:
        return render(None), tail, close
    base = _line_indent(text, into.start)
    own = base + style.indent
    new = style.newline + own + render(own)
    # The line break in front of the closing bracket is there already, or comes with the child.
    if _has_break(text[tail:close]):
        return new, tail, tail
    return new + style.newline + base, tail, close


def replace(text: str, child: Child, value: Any, style: Style) -> str:
    """Put another value in the place of a child's."""
    is_spread = _has_break(text[child.node.start : child.end])
    base = _line_indent(text, child.node.start) if is_spread else None
    return _edited(text, [(child.node.start, child.end, rendered(value, style, base))])


def remove(text: str, container: Node, index: int) -> str:
    """Take a child out, and the comma that it needed."""
    child = container.children[index]
    before = container.children[index - 1] if index else None
    floor = container.start + 1 if before is None else before.end
    if before is not None and before.comma is not None:
        floor = before.comma + 1
    start = _space_start(text, child.start, floor)
    end = child.end if child.comma is None else child.comma + 1
    edits: list[Edit] = []
    if child.comma is None and before is not None and before.comma is not None:
        edits.append((before.comma, before.comma + 1, ""))
    if len(container.children) == 1 and skip_space(text, end) == container.end - 1:
        if start == container.start + 1:
            end = container.end - 1  # nothing else is in it: not even a comment
    elif before is None and not _has_break(text[start : child.start]):
        start, end = child.start, _inline_space_end(text, end)
    if text[start - 1] not in "{[" and not _may_join(text, start, end):
        start = child.start  # what follows would become part of a comment
    return _edited(text, [*edits, (start, end, "")])


def _may_join(text: str, start: int, end: int) -> bool:
    """Whether what is behind a removed piece may follow what is before it on one line."""
    line = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    rest = text[end : end + 1]
    return "//" not in text[line:start] or rest in ("", *_BREAKS)


def rendered(value: Any, style: Style, base: str | None) -> str:
    """A value as text: on one line where `base` is None, else with its lines indented below it."""
    if base is None or not isinstance(value, dict | list) or not value:
        separators = (",", ":") if style.is_tight else (", ", ": ")
        return json.dumps(value, ensure_ascii=False, separators=separators)
    inner = base + style.indent
    if isinstance(value, dict):
        parts = [_member(key, one, style, inner) for key, one in value.items()]
    else:
        parts = [rendered(one, style, inner) for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = f",{style.newline}{inner}".join(parts)
    return f"{opening}{style.newline}{inner}{lines}{style.newline}{base}{closing}"


def _member(key: str | None, value: Any, style: Style, base: str | None) -> str:
    text = rendered(value, style, base)
    if key is None:
        return text
    return f"{json.dumps(key, ensure_ascii=False)}:{'' if style.is_tight else ' '}{text}"


def _edited(text: str, edits: list[Edit]) -> str:
    parts, at = [], 0
    for start, end, new in edits:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _has_break(text: str) -> bool:
    return any(mark in text for mark in _BREAKS)


def _line_start(text: str, at: int) -> int:
    return max(text.rfind(mark, 0, at) for mark in _BREAKS) + 1


def _line_indent(text: str, at: int) -> str:
    """The white space at the beginning of the line on which something is."""
    start = _line_start(text, at)
    line = text[start:at].lstrip("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _own_line_indent(text: str, at: int) -> str | None:
    """The white space before what begins its line; None for what does not."""
    start = _line_start(text, at)
    before = text[start:at]
    return before if start and not before.strip(" \t") else None


def _child_indent(text: str, container: Node) -> str | None:
    """The indentation of children that have lines of their own; None where they share lines."""
    own = [_own_line_indent(text, child.start) for child in container.children]
    return own[-1] if own[-1] is not None else next((one for one in own if one is not None), None)


def _content_end(text: str, start: int, close: int) -> int:
    """Behind the last comment between two places; the first place where there is none."""
    return start + len(text[start:close].rstrip(" \t\r\n"))


def _space_start(text: str, at: int, floor: int) -> int:
    while at > floor and text[at - 1] in " \t\r\n":
        at -= 1
    return at


def _inline_space_end(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at
