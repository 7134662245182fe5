"""Text that agents wrote, made harmless for a terminal (contract O5).

Shown text holds nothing that moves the cursor, changes the reading direction or hides itself: such
characters appear as the escapes that programmers know (`\\x1b`, `\\u202e`). The same characters are
escaped inside printed JSON, where the escape means the character itself, so no value changes.

What counts as active: everything that Python does not call printable (controls, format characters,
separators of lines and paragraphs, surrogates, private and unassigned code points), except three
blanks that people do write, and further what is printable by category but invisible on a screen.
"""

from __future__ import annotations

from unicodedata import category, east_asian_width

# Blanks of French and Japanese text: no-break, narrow no-break, ideographic.
_PLAIN_BLANKS = frozenset("\u00a0\u202f\u3000")
# Letters and marks by category, nothing on the screen: joiners, fillers and variation selectors can
# smuggle whole sentences. VS15 and VS16 (text or emoji form of a sign) are in daily use and stay.
_INVISIBLE = frozenset(
    chr(code)
    for codes in (
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE0E),
        range(0xE0100, 0xE01F0),
    )
    for code in codes
)
_SHORT_ESCAPES = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
# Code points up to here are remembered; beyond, hostile text could grow the tables without end.
_REMEMBERED_MAX = 0x24FF
_WIDE = frozenset("WF")
_ZERO_WIDTH = frozenset(("Mn", "Me", "Cf"))
ELLIPSIS = "…"


def _is_active(char: str) -> bool:
    return char in _INVISIBLE or not (char.isprintable() or char in _PLAIN_BLANKS)


def _is_inert(text: str) -> bool:
    # Three passes in C clear nearly every text; the table costs a call for each rare character.
    return text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text))


class _Table(dict[int, str | int]):
    """A `str.translate` table that fills itself; a compiled pattern would cost importing `re`."""

    def __missing__(self, code: int) -> str | int:
        shown = self.escape(code) if _is_active(chr(code)) else code
        if code <= _REMEMBERED_MAX:
            self[code] = shown
        return shown

    def escape(self, code: int) -> str:
        if code <= 0xFF:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _JsonTable(_Table):
    def escape(self, code: int) -> str:
        if code <= 0xFFFF:
            return f"\\u{code:04x}"
        high, low = divmod(code - 0x10000, 0x400)  # JSON writes these as a surrogate pair
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


_LINE = _Table(_SHORT_ESCAPES)
_BLOCK = _Table({0x09: 0x09, 0x0A: 0x0A, 0x0D: "\\r"})
# Below 0x20 a JSON document holds only the line breaks and blanks between its tokens.
_JSON = _JsonTable({code: code for code in range(0x20)})


def visible(text: str, *, keep_newlines: bool = False) -> str:
    """The text with every active or hidden character written as an escape.

    Args:
        text: anything, lone surrogates included.
        keep_newlines: leave line feeds and tabs as they are, for text that is shown as a block.
    """
    if _is_inert(text):
        return text
    return text.translate(_BLOCK if keep_newlines else _LINE)


def json_safe(raw: bytes) -> bytes:
    """The same JSON document, with active and hidden characters as `\\uXXXX` escapes.

    Args:
        raw: one JSON document as orjson prints it (UTF-8, controls below 0x20 escaped already).
    """
    if raw.isascii() and b"\x7f" not in raw:
        return raw
    text = raw.decode()
    return raw if _is_inert(text) else text.translate(_JSON).encode()


def display_width(text: str) -> int:
    """How many columns of a terminal the text takes: wide East Asian characters two, marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if char.isascii():
        return 1
    if east_asian_width(char) in _WIDE:
        return 2
    # The vowels and tails of Hangul join the block of the consonant before them.
    joins = "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"
    return 0 if joins or category(char) in _ZERO_WIDTH else 1


def one_line(text: str, width: int) -> str:
    """The text made visible on one line, cut with `…` where it takes more than `width` columns.

    Args:
        text: anything.
        width: columns, at least 1.
    """
    # Four characters a column hold any honest text with its marks; the rest need not be looked at.
    shown = visible(text[: 4 * width + 1])
    if len(text) <= 4 * width and display_width(shown) <= width:
        return shown
    kept: list[str] = []
    used = 0
    for char in text[: 4 * width]:
        piece = visible(char)  # by characters, so that no escape is cut in two
        used += display_width(piece)
        if used > width - 1:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def cut_inside(text: str, width: int) -> str:
    """A visible text, cut in its middle where it takes more than `width` columns: the end of a path
    says most.

    Args:
        width: columns, at least 1.
    """
    if display_width(text) <= width:
        return text
    tail_room = (width - 1) * 2 // 3
    head = _fitting(text, width - 1 - tail_room)
    return head + ELLIPSIS + _fitting(text[::-1], tail_room)[::-1]


def _fitting(text: str, width: int) -> str:
    used = 0
    for number, char in enumerate(text):
        used += _char_width(char)
        if used > width:
            return text[:number]
    return text


def pad(text: str, width: int) -> str:
    """`one_line`, filled with blanks to exactly `width` columns: a cell of a table."""
    shown = one_line(text, width)
    return shown + " " * (width - display_width(shown))
