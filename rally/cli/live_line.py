"""The last line of a terminal, which tells how things stand while the lines above tell what happened."""

from __future__ import annotations

import os

from rally.cli.console import Console
from rally.model.visible import one_line

_CLEAR = "\r\x1b[K"


class LiveLine:
    """One line below everything that is written.

    It is drawn anew only when something happens: whoever watches for days must not wake up to count
    seconds.

    Args:
        console: a terminal that can move its cursor.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = ""

    def above(self, lines: str) -> None:
        """Write whole lines; the live line stays below them.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        self._console.line(f"{_CLEAR}{lines}{self._drawn()}")

    def show(self, text: str) -> None:
        """What the line says from now on; empty for no line.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        if text != self._text:
            self._text = text
            self._console.line(f"{_CLEAR}{self._drawn()}")

    def _drawn(self) -> str:
        if not self._text:
            return ""
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 0
        # The last column stays free: some terminals go to the next line when it is filled.
        fitting = one_line(self._text, max(1, (columns or self._console.screen.width) - 1))
        return self._console.screen.paint(fitting, "dim")
