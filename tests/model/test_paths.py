"""Paths as text: one form (contract C1), one overlap rule (contract C2)."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rally.model.errors import UsageError
from rally.model.paths import canonical_text, covers, is_pattern, overlap, segments_meet

# -- an independent reading of contract C2: enumerate every path of a tiny world ------------------

NAMES = ["".join(name) for size in (1, 2) for name in product("ab", repeat=size)]
LONG_NAMES = ["".join(name) for size in range(1, 7) for name in product("ab", repeat=size)]
WORLD = [path for depth in range(5) for path in product(NAMES, repeat=depth)]


def name_fits(pattern: str, name: str) -> bool:
    """Glob matching of one name, by trying everything."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(name_fits(pattern[1:], name[cut:]) for cut in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and name_fits(pattern[1:], name[1:])


def path_fits(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Glob matching of one whole path, by trying everything."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(path_fits(pattern[1:], path[cut:]) for cut in range(len(path) + 1))
    return bool(path) and name_fits(pattern[0], path[0]) and path_fits(pattern[1:], path[1:])


@cache
def stands_for(pattern: str) -> frozenset[tuple[str, ...]]:
    """Every path of the world that matches or has an ancestor that matches."""
    segments = () if pattern == "." else tuple(pattern.split("/"))
    matched = {path for path in WORLD if path_fits(segments, path)}
    return frozenset(
        path for path in WORLD if any(path[:depth] in matched for depth in range(len(path) + 1))
    )


SEGMENTS = ["a", "b", "ab", "*", "?", "**", "a*", "*b", "?b", "a?", "*?", "??"]
tiny_patterns = st.one_of(
    st.just("."), st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=2).map("/".join)
)
tiny_paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
globs = st.text("ab*?", min_size=1, max_size=4).filter(lambda glob: glob != "**")
any_path = st.lists(
    st.text("aé*?.ß", min_size=1, max_size=4).filter(lambda s: s not in (".", "..")),
    min_size=1, max_size=5,
).map("/".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(tiny_patterns, tiny_patterns)
@example("a/**", "a")
@example("**/b", "a/b")
@example("a/*", "a")
def test_overlap_is_a_common_path_in_the_enumerated_world(a: str, b: str) -> None:
    """Two patterns overlap exactly when some path is under both."""
    assert overlap(a, b) == bool(stands_for(a) & stands_for(b))


@settings(max_examples=300, deadline=None)
@given(globs, globs)
def test_two_segments_meet_when_some_name_matches_both(x: str, y: str) -> None:
    """Character-level intersection of two wildcard segments agrees with enumeration."""
    expected = any(name_fits(x, name) and name_fits(y, name) for name in LONG_NAMES)
    assert segments_meet(x, y) == expected == overlap(x, y)


@given(any_path, any_path)
def test_overlap_is_symmetric(a: str, b: str) -> None:
    """Who holds and who asks makes no difference."""
    assert overlap(a, b) == overlap(b, a)


@given(any_path)
@example("?**/?.a")
@example("**/?.a")
@example("x/**/y.a")
def test_everything_overlaps_itself_the_whole_room_and_what_lies_under_it(path: str) -> None:
    """A path is under itself, under `.`, and above its children."""
    assert overlap(path, path)
    assert overlap(path, ".")
    assert overlap(path, "**")
    assert overlap(path, f"{path}/x")
    assert overlap(f"{path}/x", path)


@settings(max_examples=300, deadline=None)
@given(tiny_patterns, tiny_patterns)
@example("*", "**")
@example("**/*", "a/**")
@example("?", "*")
@example("**/a", "a/b")
def test_covers_never_says_yes_when_a_path_is_left_out(outer: str, inner: str) -> None:
    """`covers` may miss a yes; its yes is always true."""
    if covers(outer, inner):
        assert stands_for(inner) <= stands_for(outer)


@settings(max_examples=300, deadline=None)
@given(tiny_patterns, tiny_paths)
def test_covers_is_exact_for_a_literal_path(outer: str, path: str) -> None:
    """For a path without wildcards `covers` is the enumerated answer."""
    expected = tuple(path.split("/")) in stands_for(outer)
    assert covers(outer, path) is expected


@given(any_path)
def test_a_pattern_covers_itself_and_what_lies_under_it(path: str) -> None:
    """No claim is outside itself."""
    assert covers(path, path)
    assert covers(path, f"{path}/x")
    assert covers(".", path)
    assert covers("**", path)


@given(any_path, any_path)
def test_what_is_covered_overlaps(outer: str, inner: str) -> None:
    """The two questions never contradict each other."""
    if covers(outer, inner):
        assert overlap(outer, inner)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("src/a", "src/ab", False),
        ("src/a", "src/a/b.py", True),
        ("src/**", "src/a.py", True),
        ("src/**", "src", True),
        ("src/*", "src", True),
        ("src/*", "src/lib/deep.py", True),
        ("src/*.py", "src/a.ts", False),
        ("src/*.py", "src/a*", True),
        ("src/*_test.py", "src/a?.ts", False),
        ("**/x.py", "src/lib/x.py", True),
        ("src/**/x.py", "docs", False),
        # The text does not tell that a.md is no folder, and below a folder may lie a .py.
        ("src/**/*.py", "src/a.md", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/sub", True),
        ("**/*.py", "**/*.md", False),
        ("**/*.py", "docs/a.py/b.md", False),
        ("**/test_*", "docs/x.py", False),
        ("**/test_*", "docs", True),
        ("**/*.py", "v1.2", True),
        ("conf.d", "conf.d/x.py", True),
        ("*/a", "b/*", True),
        ("a**b/c", "axb/c", True),
        ("a**b/c", "a/b/c", False),
        (".", "anything/at/all", True),
        ("[id].tsx", "i.tsx", False),
    ],
)
def test_overlap_of_everyday_patterns(a: str, b: str, expected: bool) -> None:
    """The cases that people meet, both ways round."""
    assert overlap(a, b) is expected
    assert overlap(b, a) is expected


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("src", "src/a.py", True),
        ("src/a", "src/ab", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src", False),
        ("src/**/*.py", "src/lib/a.py", True),
        ("src/**/*.py", "src/lib", False),
        ("src/**/*.py", "src/lib/a.md", False),
        ("**/*.py", "src/**/*.py", True),
        ("src", "src/**/x", True),
        ("*", "**", False),
        ("src/*", "src/**", False),
        ("src/?", "src/*", False),
        ("src/*", "src/?", True),
        (".", "**", True),
        ("**", ".", True),
        ("a", ".", False),
    ],
)
def test_covers_of_everyday_patterns(outer: str, inner: str, expected: bool) -> None:
    """What a claim covers and what it does not."""
    assert covers(outer, inner) is expected


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("*a" * 2048, "a*" * 2048),
        ("*a" * 2047 + "b", "a" * 4096),
        ("?*" * 2048, "*?" * 2048),
        ("/".join(["**"] * 1365), "/".join(["**", "a"] * 800)),
        ("/".join(["**", "?a"] * 700), "/".join(["ab"] * 1365)),
        ("/".join(["**", "a"] * 800) + "/z", "/".join("a" * 2048)),
    ],
)
def test_hostile_patterns_are_answered(a: str, b: str) -> None:
    """4096 bytes of wildcards take a bounded number of steps, where backtracking would not end."""
    assert overlap(a, b) == overlap(b, a)
    assert covers(a, a)
    assert covers(a, b) <= overlap(a, b)


# -- the one form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py/", "src/a.py"),
        ("src/../docs", "docs"),
        ("src/..", "."),
        (".", "."),
        ("./", "."),
        ("a\\b", "a\\b"),
        ("src/**/", "src/**"),
        ("src/*/./x", "src/*/x"),
        ("...", "..."),
        (" ", " "),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_text_is_brought_to_one_form(raw: str, expected: str) -> None:
    """Dots, slashes and Unicode composition have one spelling."""
    assert canonical_text(raw) == expected


@given(st.text(min_size=1, max_size=40), st.booleans())
def test_the_form_is_stable(raw: str, ignore_case: bool) -> None:
    """Bringing a path to its form twice is bringing it once."""
    try:
        text = canonical_text(raw, ignore_case=ignore_case)
    except UsageError:
        return
    assert canonical_text(text, ignore_case=ignore_case) == text
    assert unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("SRC/A.py", "src/a.PY"), ("STRASSE", "straße"), ("\u212a", "k"), ("É", "e\u0301")],
)
def test_case_is_folded_only_where_it_is_ignored(one: str, other: str) -> None:
    """A repository that ignores case sees one file where others see two."""
    assert canonical_text(one, ignore_case=True) == canonical_text(other, ignore_case=True)
    assert canonical_text(one) != canonical_text(other)


@pytest.mark.parametrize("raw", ["..", "../x", "a/../../x", "/etc/passwd", "/", "./../a"])
def test_a_path_that_leaves_the_room_is_refused(raw: str) -> None:
    """Leading dots are never dropped, and the error says what paths are relative to."""
    with pytest.raises(UsageError) as caught:
        canonical_text(raw, root="/home/me/shop")
    assert caught.value.code == "path-outside-room"
    assert caught.value.details == {"path": raw}
    assert caught.value.hint == "paths are relative to the room's root, /home/me/shop"
    assert ascii(raw) in caught.value.message


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "bad-path"),
        ("src/*/../x", "bad-path"),
        ("src/**/../x", "bad-path"),
        ("a\0b", "bad-text"),
        ("a\udcffb", "bad-text"),
        ("x" * 4097, "too-long"),
        ("é" * 2049, "too-long"),
        # Composition exclusions: NFC makes this character three times as long.
        ("\ufb2c" * 1300, "too-long"),
    ],
)
def test_what_can_be_no_path_is_an_ordinary_error(raw: str, code: str) -> None:
    """Each has its code, and no text is echoed at length."""
    with pytest.raises(UsageError) as caught:
        canonical_text(raw)
    assert caught.value.code == code
    assert len(caught.value.message) < 200


def test_a_path_of_exactly_4096_bytes_is_accepted() -> None:
    """The limit is inclusive."""
    assert canonical_text("é" * 2048) == "é" * 2048


def test_a_wildcard_is_a_star_or_a_question_mark_and_nothing_else() -> None:
    """Square brackets and braces are names: `[id].tsx` is a file."""
    assert is_pattern("a*")
    assert is_pattern("a/?/b")
    assert not is_pattern("app/[id]/{x}.tsx")
