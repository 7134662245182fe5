"""A fenced block in a file that is otherwise somebody else's: bytes in, bytes out.

The block begins and ends with a line of its own. What is outside stays as it is, whatever encoding it
has, and taking the block out gives the file as it was: an empty line before the block is the block's,
and a file that ends without a line break ends without one behind the block too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rally.setup.jsonc import BrokenTextError

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)?")
_BOM = b"\xef\xbb\xbf"
_NOTE = "rally:begin (managed; edits inside are replaced)"


@dataclass(frozen=True, slots=True)
class Marks:
    """The two lines around a block.

    Attributes:
        before, after: how a comment begins and ends in this kind of file.
    """

    before: str
    after: str = ""

    def begin(self) -> str:
        """The first line."""
        return f"{self.before}{_NOTE}{self.after}"

    def end(self) -> str:
        """The last line."""
        return f"{self.before}rally:end{self.after}"

    def starts(self, line: bytes) -> str:
        """`begin` or `end` for a line that is one of the two, also of an older form; else empty."""
        for word in ("begin", "end"):
            mark = f"{self.before}rally:{word}".encode()
            rest = line.removeprefix(mark)
            if rest != line and rest[:1] in (b"", b" ") and line.endswith(self.after.encode()):
                return word
        return ""


MARKDOWN = Marks("<!-- ", " -->")
HASH = Marks("# ")


def find(data: bytes, marks: Marks) -> tuple[int, int] | None:
    """From where to where the block goes, its lines whole; None without one.

    Raises:
        BrokenTextError: a begin without its end, an end without its begin, or a second block.
    """
    begun: tuple[int, int] | None = None
    found: tuple[int, int] | None = None
    for number, line in enumerate(_LINE.finditer(data), start=1):
        kind = marks.starts(line[0].removeprefix(_BOM).strip())
        if kind == "begin":
            if begun:
                raise _damaged(begun[1], f"the block of rally does not end before line {number}")
            if found:
                raise _damaged(number, "a second block of rally begins")
            start = line.start() + (len(_BOM) if line[0].startswith(_BOM) else 0)
            begun = (start, number)
        elif kind == "end":
            if begun is None:
                raise _damaged(number, "a block of rally ends that did not begin")
            found, begun = (begun[0], line.end()), None
    if begun:
        raise _damaged(begun[1], "the block of rally does not end")
    return found


def with_block(data: bytes, body: str, marks: Marks) -> bytes:
    """The file with the block: in the place of the one it has, else at its end.

    Args:
        body: the lines between the marks, each with its line break; the file's own is used.

    Raises:
        BrokenTextError: see `find`.
    """
    newline = newline_of(data)
    text = f"{marks.begin()}\n{body}{marks.end()}"
    block = text.encode().replace(b"\n", newline)
    span = find(data, marks)
    if span is not None:
        old = data[span[0] : span[1]]
        return data[: span[0]] + block + _ending(old) + data[span[1] :]
    if not data.removeprefix(_BOM):
        return data + block + newline
    if _is_ended(data, newline):
        return data + newline + block + newline
    return data + newline + newline + block


def without_block(data: bytes, marks: Marks) -> bytes:
    """The file without the block.

    Raises:
        BrokenTextError: see `find`.
    """
    span = find(data, marks)
    if span is None:
        return data
    newline = newline_of(data)
    before, rest = data[: span[0]], data[span[1] :]
    is_unended = not rest and not _ending(data[span[0] : span[1]])
    if is_unended:
        return before.removesuffix(newline).removesuffix(newline)
    above = before.removesuffix(newline)
    return (above if above != before and _is_ended(above, newline) else before) + rest


def newline_of(data: bytes) -> bytes:
    """The line break of a file: its first one."""
    found = re.search(rb"\r\n|\n|\r", data)
    return found[0] if found else b"\n"


def _is_ended(data: bytes, newline: bytes) -> bool:
    """Whether a text ends with a line break; files of several kinds of them end their lines with LF."""
    return data.endswith(b"\r" if newline == b"\r" else b"\n")


def _ending(line: bytes) -> bytes:
    return next((one for one in (b"\r\n", b"\n", b"\r") if line.endswith(one)), b"")


def _damaged(line: int, what: str) -> BrokenTextError:
    return BrokenTextError(what, line=line, column=1)
