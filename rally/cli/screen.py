"""What the reader of a text answer sees it on: width, colours, and the present moment."""

from __future__ import annotations

from collections.abc import Mapping

WIDTH_PIPED = 100
WIDTH_MIN = 20

# SGR parameters (ECMA-48), of the eight colours that every terminal has and its user chose.
_SGR = {
    "title": "1",
    "dim": "2",
    "ok": "32",
    "stop": "1;31",
    "warn": "33",
    "name": "36",
    # the statuses of a step, and the lines of a graph
    "landed": "32",
    "in_flight": "34",
    "stalled": "31",
    "planned": "2",
    "edge": "2",
}


class Screen:
    """Where a text answer is shown.

    Attributes:
        width: columns to stay within.
        is_piped: standard output is no terminal; long lines are then left whole where no table
            needs them short.
        colour: whether styles are written as terminal escapes.
        now_ms: the instant from which ages and remaining times are counted.
    """

    __slots__ = ("colour", "is_piped", "now_ms", "width")

    def __init__(self, width: int, *, is_piped: bool, colour: bool, now_ms: int) -> None:
        self.width = width
        self.is_piped = is_piped
        self.colour = colour
        self.now_ms = now_ms

    def paint(self, text: str, style: str) -> str:
        """The text in a style; what it says, and its width on the screen, stay the same.

        Args:
            text: made visible already.
            style: a key of the table above; empty for none.
        """
        if not self.colour or not style or not text:
            return text
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m"


def screen_for(
    columns: int, *, is_terminal: bool, no_color: bool, env: Mapping[str, str], now_ms: int
) -> Screen:
    """The screen behind a call (contract O4).

    Args:
        columns: of the terminal, 0 where there is none.
        is_terminal: whether standard output is one that takes colours.
        no_color: `--no-color` was given.
        env: the caller's `NO_COLOR` (any value that is not empty, after no-color.org) and `TERM`.
    """
    plain = no_color or bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb"
    return Screen(
        max(columns, WIDTH_MIN) if columns else WIDTH_PIPED,
        is_piped=not columns,
        colour=is_terminal and not plain,
        now_ms=now_ms,
    )
