"""One quiet line on standard error, for people who wait at a terminal; it is gone at the end.

Only on a terminal, and never with --json: whatever reads an answer must not find it in there. rich is
loaded only then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rally.model.visible import one_line

if TYPE_CHECKING:
    from rich.progress import Progress as Rich

    from rally.cli.plan import Session

_WIDTH = 60


class Line(Protocol):
    """What is shown."""

    def say(self, text: str) -> None:
        """What happens now."""
        ...

    def count(self, done: int, total: int, text: str) -> None:
        """How far it is, and what came last."""
        ...


class _Silent:
    def say(self, text: str) -> None:
        """Nobody watches."""

    def count(self, done: int, total: int, text: str) -> None:
        """Nobody watches."""


def is_watched(session: Session) -> bool:
    """Whether somebody sits at a terminal and waits for text."""
    return not session.wants_json and os.isatty(2) and session.call.env.get("TERM") != "dumb"


@contextmanager
def progress(session: Session, *, bar: bool) -> Iterator[Line]:
    """The line, as long as the block runs.

    Args:
        bar: things are counted.
    """
    if not is_watched(session):
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    # Texts are others' words: made visible, and never read as markup.
    text = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), text) if bar else (SpinnerColumn(), text)
    console = Console(stderr=True, no_color=not session.screen.colour, highlight=False)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as shown:
        yield _Shown(shown)


class _Shown:
    def __init__(self, shown: Rich) -> None:
        self._shown = shown
        self._task = shown.add_task("", total=None)

    def say(self, text: str) -> None:
        self._shown.update(self._task, description=one_line(text, _WIDTH), refresh=True)

    def count(self, done: int, total: int, text: str) -> None:
        self._shown.update(
            self._task, completed=done, total=total, description=one_line(text, _WIDTH),
            refresh=True,
        )  # fmt: skip
