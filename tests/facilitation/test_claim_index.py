"""The index answers what `overlap` answers, at the cost of the path and not of the claims."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rally.facilitation.state import claim_index
from rally.facilitation.state.claim_index import ClaimIndex
from rally.model.paths import overlap

SEGMENTS = ["a", "b", "ab", "*", "**", "a*", "?", "?b", "*b"]
paths = st.one_of(
    st.just("."), st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map("/".join)
)
changes = st.lists(
    st.tuples(st.booleans(), st.sampled_from("xyz"), st.lists(paths, max_size=3)), max_size=12
)


def replay(steps: list[tuple[bool, str, list[str]]]) -> tuple[ClaimIndex, dict[str, list[str]]]:
    """The same changes made to an index and to a plain dictionary of lists."""
    index, naive = ClaimIndex(), dict[str, list[str]]()
    for adding, holder, patterns in steps:
        if adding:
            index.add(holder, patterns)
            for pattern in patterns:
                held = naive.setdefault(holder, [])
                if pattern not in held:
                    held.append(pattern)
        else:
            index.remove(holder, patterns)
            kept = [pattern for pattern in naive.get(holder, []) if pattern not in patterns]
            if kept:
                naive[holder] = kept
            else:
                naive.pop(holder, None)
    return index, naive


@settings(max_examples=300)
@given(changes, paths)
def test_the_index_agrees_with_asking_every_holder(
    steps: list[tuple[bool, str, list[str]]], asked: str
) -> None:
    """Each overlapping (holder, pattern) comes once, oldest holder first, whatever the history."""
    index, naive = replay(steps)
    expected = [
        (holder, held) for holder, patterns in naive.items() for held in sorted(patterns)
        if overlap(asked, held)
    ]  # fmt: skip
    assert list(index.overlapping(asked)) == expected
    assert index.items() == list(naive.items())
    assert len(index) == len(naive)


@given(changes)
def test_an_emptied_index_keeps_nothing(steps: list[tuple[bool, str, list[str]]]) -> None:
    """Claims that came and went leave no node behind: memory follows what is live."""
    index, naive = replay(steps)
    for holder, patterns in naive.items():
        index.remove(holder, patterns)
    assert index._root.empty
    assert index == ClaimIndex()


@given(changes)
def test_equality_is_about_content_not_history(steps: list[tuple[bool, str, list[str]]]) -> None:
    """An index rebuilt from its items, in any order, equals the one that lived through it all."""
    index, _ = replay(steps)
    rebuilt = ClaimIndex()
    for holder, patterns in reversed(index.items()):
        rebuilt.add(holder, reversed(patterns))
    assert rebuilt == index
    rebuilt.add("another", ["a"])
    assert rebuilt != index
    assert index != "not an index"


def test_one_holder_may_hold_overlapping_patterns() -> None:
    """A claim on a folder and on a file in it is reported for both, each once."""
    index = ClaimIndex()
    index.add("c1", ["src", "src/**", "src/a.py", "src/a.py"])
    index.remove("c1", ["src/**"])
    assert list(index.overlapping("src/a.py")) == [("c1", "src"), ("c1", "src/a.py")]


def test_letting_go_of_what_is_not_held_changes_nothing() -> None:
    """Neither another holder's path nor another spelling of one's own is touched."""
    index = ClaimIndex()
    index.add("c1", ["src/*"])
    index.remove("c2", ["src/*"])
    index.remove("c1", ["src", "src/**", "src/*.py"])
    assert index.items() == [("c1", ["src/*"])]
    assert list(index.overlapping("src/a.py")) == [("c1", "src/*")]


def test_a_path_as_deep_as_paths_may_be_is_held_and_let_go() -> None:
    """2,048 segments need no recursion."""
    deep = "/".join("a" * 2048)
    index = ClaimIndex()
    index.add("c1", [deep])
    assert list(index.overlapping(".")) == [("c1", deep)]
    index.remove("c1", [deep])
    assert index._root.empty


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of the index's own code a piece of work executes: the same on any machine."""
    count = 0

    def within(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return within

    def entered(frame: FrameType, event: str, arg: Any) -> Any:
        return within if frame.f_code.co_filename == claim_index.__file__ else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def filled(claims: int, pattern: str) -> ClaimIndex:
    """An index of that many claims, besides one on `src/app/main.py` and one on two patterns."""
    index = ClaimIndex()
    index.add("mine", ["src/app/main.py"])
    index.add("wide", ["src/*/generated", "src/app/*_test.py"])
    for number in range(claims):
        index.add(f"c{number}", [pattern.format(number)])
    return index


@pytest.mark.parametrize(
    "pattern",
    ["src/app/file{}.py", "src/mod{}/**", "area{}/*.py", "src/app/part{}*", "src/app/p{}/q/r.py"],
)
def test_ten_thousand_claims_cost_a_check_no_more_than_ten(pattern: str) -> None:
    """A literal path costs its depth, and so does one more claim, not the number of claims."""
    few, many = filled(10, pattern), filled(10_000, pattern)

    def check(index: ClaimIndex) -> int:
        return lines_run(lambda: list(index.overlapping("src/app/main.py")))

    def claim(index: ClaimIndex) -> int:
        return lines_run(lambda: index.add("new", ["src/app/new.py"]))

    assert list(many.overlapping("src/app/main.py")) == [("mine", "src/app/main.py")]
    assert check(many) == check(few) < 100
    assert claim(many) == claim(few) < 100


def test_the_measure_sees_work_that_grows() -> None:
    """Asking for the whole room visits every claim, and the count of lines shows it."""
    few, many = filled(10, "src/f{}.py"), filled(1_000, "src/f{}.py")
    assert lines_run(lambda: list(many.overlapping("."))) > 20 * lines_run(
        lambda: list(few.overlapping("."))
    )
