"""Hostile text in terminals and JSON (contract O5)."""

from __future__ import annotations

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.model.visible import cut_inside, display_width, json_safe, one_line, pad, visible

BLANKS = "\u00a0\u202f\u3000"
# Plain text rarely holds what this is about: half of the characters come from the hostile ranges.
HOSTILE = "".join(
    chr(code)
    for first, last in (
        (0x00, 0x1F), (0x7F, 0xA0), (0xAD, 0xAD), (0x61C, 0x61C), (0x200B, 0x200F),
        (0x2028, 0x202F), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xD800, 0xD805),
        (0xDC80, 0xDC85), (0xE0001, 0xE0001), (0xE0020, 0xE0030), (0xE0100, 0xE0105),
        (0x115F, 0x1160), (0x3164, 0x3164), (0xFFF9, 0xFFFF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
TEXT = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)))
ENCODABLE = TEXT.map(lambda text: text.encode("utf-8", "ignore").decode())


def is_harmless(char: str) -> bool:
    return char in BLANKS or char.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ASCII, ümläut, 日本語, ⚠\ufe0f", "plain ASCII, ümläut, 日本語, ⚠\ufe0f"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\tb\r\nc", "a\\tb\\r\\nc"),
        ("\x00\x7f\x85", "\\x00\\x7f\\x85"),
        ("abc\u202efdp.exe", "abc\\u202efdp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "\\u2066x\\u2069\\u200e\\u200f\\u061c"),
        ("a\u200bb\u200d\ufeff\u2060", "a\\u200bb\\u200d\\ufeff\\u2060"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\udc80\ud83d", "\\udc80\\ud83d"),
        ("\U000e0041\U000e0100", "\\U000e0041\\U000e0100"),
        (
            "soft\u00adhyphen \u3164 \ufffe",
            "soft\\u00adhyphen \\u3164 \\ufffe".replace("\\u00", "\\x"),
        ),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
    ],
)
def test_active_characters_become_escapes(text: str, shown: str) -> None:
    """Everything that would act or hide is written out; what people write stays."""
    assert visible(text) == shown


def test_a_block_keeps_line_feeds_and_tabs_only() -> None:
    """A carriage return could write over the line, so it is shown."""
    assert visible("a\n\tb\r\n\x1bc", keep_newlines=True) == "a\n\tb\\r\n\\x1bc"


@given(TEXT)
def test_visible_text_holds_nothing_but_printable_characters(text: str) -> None:
    """Whatever comes in, and the text of a block but for its line feeds and tabs."""
    assert all(map(is_harmless, visible(text)))
    block = visible(text, keep_newlines=True)
    assert all(is_harmless(char) or char in "\n\t" for char in block)
    assert not any(unicodedata.category(char) == "Cf" for char in block)


@given(TEXT)
def test_visible_text_can_be_shown_again(text: str) -> None:
    """What is visible stays as it is."""
    assert visible(visible(text)) == visible(text)


@given(TEXT, st.integers(1, 30))
def test_one_line_fits_its_width(text: str, width: int) -> None:
    """Never wider, never active; a text that fits is not touched."""
    line = one_line(text, width)
    assert display_width(line) <= width
    assert all(map(is_harmless, line))
    if display_width(visible(text)) <= width and len(text) <= 4 * width:
        assert line == visible(text)
    assert display_width(pad(text, width)) == width


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("日本語", 6, "日本語"),
        ("日本語x", 6, "日本…"),
        ("ab\x1bcd", 6, "ab…"),
        ("a" + "\u0301" * 50, 6, "a" + "\u0301" * 23 + "…"),
        ("x", 1, "x"),
        ("xy", 1, "…"),
    ],
)
def test_one_line_cuts_between_characters(text: str, width: int, line: str) -> None:
    """No half escape, no half wide character, no tower of marks."""
    assert one_line(text, width) == line


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("ｱ", 1),
        ("Ａ", 2),
        ("🚀", 2),
        ("각", 2),
        ("\u1100\u1161", 2),
    ],
)
def test_width_counts_columns(text: str, width: int) -> None:
    """East Asian wide characters take two columns, marks none."""
    assert display_width(text) == width


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | ENCODABLE,
    lambda children: st.lists(children) | st.dictionaries(ENCODABLE, children),
    max_leaves=8,
)


@given(JSON, st.booleans())
def test_json_keeps_its_value_and_shows_nothing_active(value: object, indented: bool) -> None:
    """Only line breaks between tokens remain; the parsed value is the same."""
    raw = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0)
    safe = json_safe(raw)
    assert orjson.loads(safe) == value
    assert all(is_harmless(char) or char == "\n" for char in safe.decode())


def test_json_without_such_characters_is_passed_on_as_it_is() -> None:
    """No copy for the usual answer, in any script."""
    for value in ({"a": "plain"}, {"a": "日本語 ümläut"}):
        raw = orjson.dumps(value)
        assert json_safe(raw) is raw


@pytest.mark.parametrize(
    ("width", "cut"),
    [(30, "src/users/handlers.py"), (21, "src/users/handlers.py"), (13, "src/…dlers.py"), (1, "…")],
)
def test_a_text_that_is_cut_inside_keeps_its_end(width: int, cut: str) -> None:
    """Files of one folder differ there."""
    assert cut_inside("src/users/handlers.py", width) == cut


@given(st.text(), st.integers(1, 40))
def test_a_text_that_is_cut_inside_fits(text: str, width: int) -> None:
    """Whatever its characters take."""
    assert display_width(cut_inside(visible(text), width)) <= width
