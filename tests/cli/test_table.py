"""Tables: aligned, within their width, nothing lost that may not be cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rally.cli.screen import Screen
from rally.cli.table import Column, table
from rally.model.durations import span
from rally.model.visible import display_width, visible

COLUMNS = (Column("owner", 8), Column("what", 10), Column("left"), Column("id"))
ROWS = [["a:1", "src/app.py", "12m", "claim-1"], ["codex:backend", "日本語.md", "3h", "claim-22"]]


def screen(width: int) -> Screen:
    return Screen(width, is_piped=False, colour=False, now_ms=0)


def test_columns_stand_under_their_headings() -> None:
    """Wide characters count for two columns."""
    assert table(COLUMNS, ROWS, screen(80)) == [
        "  owner          what        left  id",
        "  a:1            src/app.py  12m   claim-1",
        "  codex:backend  日本語.md   3h    claim-22",
    ]


def test_what_may_be_cut_is_cut_first_and_then_the_last_column_goes_below() -> None:
    """Ids stay whole on the narrowest screen."""
    assert table(COLUMNS, ROWS, screen(38)) == [
        "  owner     what        left  id",
        "  a:1       src/app.py  12m   claim-1",
        "  codex:b…  日本語.md   3h    claim-22",
    ]
    assert table(COLUMNS, ROWS, screen(28))[1:3] == [
        "  a:1       src/app.py  12m",
        "      claim-1",
    ]


def test_numbers_stand_on_the_right() -> None:
    """So that their size is seen."""
    columns = (Column("room"), Column("head", right=True))
    assert table(columns, [["a", "5"], ["b", "1200"]], screen(80)) == [
        "  room  head",
        "  a        5",
        "  b     1200",
    ]


def test_a_column_in_which_nothing_stands_is_left_out() -> None:
    """Nobody reads a heading over nothing."""
    assert table(COLUMNS, [["a", "", "", "x"]], screen(80)) == ["  owner  id", "  a      x"]


def test_no_rows_are_no_lines() -> None:
    """A heading alone would be a table of nothing."""
    assert table(COLUMNS, [], screen(80)) == []


@given(
    rows=st.lists(
        st.lists(st.text(max_size=60), min_size=4, max_size=4), min_size=1, max_size=6
    ),
    width=st.integers(20, 120),
)  # fmt: skip
def test_any_text_makes_a_table_that_keeps_its_promises(rows: list[list[str]], width: int) -> None:
    """Each row begins one line of its own; what may not be cut is whole; lines are harmless."""
    lines = table(COLUMNS, rows, screen(width))
    text = "\n".join(lines)
    assert all(char.isprintable() or char in "\n\u00a0\u202f\u3000" for char in text)
    for row in rows:
        assert visible(row[2]).strip() in text
        assert visible(row[3]).strip() in text
    if any(any(row) for row in rows):
        starts = [line for line in lines if not line.startswith("      ")]
        assert len(starts) <= len(rows) + 1
    fixed = max(display_width(visible(cell)) for row in rows for cell in row[2:])
    if fixed + 40 < width:
        assert max(map(display_width, lines)) <= width


def test_spans_are_short() -> None:
    """At most two units."""
    hour_ms = 3_600_000
    assert [span(ms) for ms in (-5, 0, 59_999, 60_000, hour_ms, 3 * hour_ms + 20 * 60_000)] == [
        "0s", "0s", "59s", "1m", "1h", "3h20m",
    ]  # fmt: skip
    assert [span(days * 24 * hour_ms) for days in (1, 30)] == ["1d", "30d"]
    assert span(52 * hour_ms) == "2d4h"
