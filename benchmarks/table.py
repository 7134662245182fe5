"""One row of the table, and how it is printed."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One measured figure.

    Attributes:
        what: what was measured.
        measured: the figure that the bar is for.
        bar: what it must be at most, or at least where `least`.
        sides: the two sides as measured, with their unit.
        form: how the figure is written, such as `{:.2f} x`.
    """

    what: str
    measured: float
    bar: float
    sides: str
    least: bool = False
    form: str = "{:.2f} x"

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bar, as measured."""
        return self.measured >= self.bar if self.least else self.measured <= self.bar


def ratio(what: str, side: float, against: float, unit: str, *, bar: float) -> Row:
    """A row for `side` over `against`."""
    return Row(what, side / against, bar, f"{side:.2f} / {against:.2f} {unit}")


def show(row: Row) -> str:
    """The row as one aligned line."""
    sign = "≥" if row.least else "≤"
    figure, bar = row.form.format(row.measured), row.form.format(row.bar)
    verdict = "ok" if row.holds else "MISSED"
    return f"{row.what:<58} {figure:>10}  {sign} {bar:<9} {verdict:<7} {row.sides}"
