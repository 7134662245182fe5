"""Aligned columns without lines around them, for people and for `grep` alike.

Drawn by hand: tables are drawn inside the daemon, where every other caller waits meanwhile. rich
takes 0.28 ms for a row, a full room of five hundred rows 140 ms, this some 20 µs a row.

Texts may be anything that an agent wrote; here they become visible (contract O5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rally.cli.screen import Screen
from rally.model.visible import cut_inside, display_width, one_line, pad, visible

_GAP = 2
_BELOW = "    "

Cell = str | tuple[str, str]  # a text, or a text and its style


class Column(NamedTuple):
    """One column.

    Attributes:
        title: its heading.
        floor: the fewest columns it may be cut to; 0: it is never cut (ids are there to be copied).
        right: numbers stand on the right.
        inside: it is cut in its middle: paths differ at their ends.
    """

    title: str
    floor: int = 0
    right: bool = False
    inside: bool = False


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], screen: Screen, *, indent: str = "  "
) -> list[str]:
    """The lines of a table with its headings; none without rows.

    What does not fit is cut with `…` where its column allows it; then the last columns go below
    their row, whole.
    """
    cells = [[_split(cell) for cell in row] for row in rows]
    if not cells:
        return []
    # A column in which nothing stands says nothing.
    kept = [n for n in range(len(columns)) if any(row[n][0] for row in cells)]
    shown = [columns[n] for n in kept]
    cells = [[row[n] for n in kept] for row in cells]
    widths = [
        max([display_width(column.title), *(display_width(row[n][0]) for row in cells)])
        for n, column in enumerate(shown)
    ]
    fitting = _fit(shown, widths, screen.width - len(indent))
    heads = [(column.title, "dim") for column in shown[:fitting]]
    lines = [indent + _line(heads, shown, widths, screen)]
    for row in cells:
        lines.append(indent + _line(row[:fitting], shown, widths, screen))
        below = _below(row[fitting:], shown[fitting:], screen.width - len(indent + _BELOW), screen)
        if below:
            lines.append(indent + _BELOW + below)
    return lines


def _split(cell: Cell) -> tuple[str, str]:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return visible(text), style


def _fit(columns: Sequence[Column], widths: list[int], room: int) -> int:
    """How many columns stand side by side within `room`; narrows `widths` to get there."""
    for fitting in range(len(columns), 0, -1):
        over = sum(widths[:fitting]) + _GAP * (fitting - 1) - room
        spare = [
            max(0, widths[n] - column.floor) if column.floor else 0
            for n, column in enumerate(columns[:fitting])
        ]
        if over > sum(spare) and fitting > 1:
            continue
        while over > 0 and any(spare):
            widest = max((n for n in range(fitting) if spare[n]), key=widths.__getitem__)
            widths[widest] -= 1
            spare[widest] -= 1
            over -= 1
        return fitting
    return 0


def _below(
    cells: Sequence[tuple[str, str]], columns: Sequence[Column], room: int, screen: Screen
) -> str:
    """The cells that found no room beside the others; those that may be cut share what is left."""
    there = [
        (text, style, column) for (text, style), column in zip(cells, columns, strict=True) if text
    ]
    fixed = sum(display_width(text) for text, _, column in there if not column.floor)
    shared = sum(1 for _, _, column in there if column.floor)
    each = (room - fixed - _GAP * (len(there) - 1)) // max(shared, 1)
    pieces = [
        screen.paint(_cut(text, column, max(each, column.floor)) if column.floor else text, style)
        for text, style, column in there
    ]
    return (" " * _GAP).join(pieces)


def _cut(text: str, column: Column, width: int) -> str:
    return cut_inside(text, width) if column.inside else one_line(text, width)


def _line(
    cells: Sequence[tuple[str, str]],
    columns: Sequence[Column],
    widths: Sequence[int],
    screen: Screen,
) -> str:
    pieces = []
    for n, (text, style) in enumerate(cells):
        padded = pad(_cut(text, columns[n], widths[n]), widths[n])
        if columns[n].right:
            padded = padded.strip().rjust(widths[n])
        if n == len(cells) - 1:
            padded = padded.rstrip()
        bare = padded.strip()
        pieces.append(padded.replace(bare, screen.paint(bare, style), 1) if bare else padded)
    return (" " * _GAP).join(pieces).rstrip()
