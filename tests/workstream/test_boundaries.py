"""Boundaries: the pairs that overlap, found without asking every pair (contract W2, C2)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from plan_desk import plan, report_on, task

from rally.facilitation.state import claim_index
from rally.model.paths import overlap
from rally.workstream.boundaries import CONFLICTS_MAX, Conflict, Owned, conflicts

SEGMENTS = ["a", "b", "*", "**", "a*", "x.py", "*.py"]
paths = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map("/".join)


def owned(tasks: Sequence[Sequence[str]]) -> list[list[Owned]]:
    return [
        [Owned(number, entry, path) for entry, path in enumerate(one)]
        for number, one in enumerate(tasks)
    ]


@settings(max_examples=300)
@given(st.lists(st.lists(paths, max_size=3, unique=True), max_size=5))
def test_exactly_the_pairs_that_overlap_are_found(tasks: list[list[str]]) -> None:
    """The same answer as asking each pair of paths of each pair of tasks."""
    expected = {
        (n, m): sum(overlap(x, y) for x in tasks[n] for y in tasks[m])
        for n in range(len(tasks))
        for m in range(n)
        if any(overlap(x, y) for x in tasks[n] for y in tasks[m])
    }
    found: dict[tuple[int, int], int] = {}
    for one in conflicts(owned(tasks)):
        assert one.mine is not None
        assert one.theirs is not None
        assert overlap(one.mine.path, one.theirs.path)
        found[one.mine.task, one.theirs.task] = one.pairs
    assert found == expected


def calls_made(work: Callable[[], Any]) -> int:
    """How many functions the work calls, the index's own and those of paths it asks."""
    files = {claim_index.__file__, overlap.__code__.co_filename}
    number = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal number
        number += event == "call" and frame.f_code.co_filename in files

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return number


def big_plan(tasks: int) -> dict[str, Any]:
    """Tasks of five paths each: files, folders, and patterns that begin with the task's name."""
    return plan(
        *(
            task(
                f"t{n}",
                owns=[
                    f"src/mod{n % 40}/part{n}.py", f"src/pkg{n}/", f"tests/test_mod{n}_*.py",
                    f"docs/part{n}/**", f"data/part{n}-?.json",
                ],
                depends_on=[f"t{n - 1}"] if n else [],
            )
            for n in range(tasks)
        )
    )  # fmt: skip


def test_the_work_grows_with_the_plan_and_not_with_its_pairs() -> None:
    """2,000 tasks with 10,000 paths cost ten times what 200 tasks with 1,000 paths cost."""
    reports = []
    few = calls_made(lambda: reports.append(report_on(big_plan(200))))
    many = calls_made(lambda: reports.append(report_on(big_plan(2_000))))
    assert [one.clean for one in reports] == [True, True]
    assert many < 15 * few


def test_a_plan_of_conflicts_only_is_cut_short() -> None:
    """Two thousand tasks that own everything are two million pairs: the first thousand will do."""
    tasks = owned([["."]] * 2_000)
    found: list[Conflict] = []
    work = calls_made(lambda: found.extend(conflicts(tasks)))
    assert len(found) == CONFLICTS_MAX + 1
    assert found[-1] == Conflict(None, None, 0)
    assert work < 10_000


def test_a_cut_report_says_so() -> None:
    """More than is listed must not look like all there is."""
    report = report_on(plan(*(task(f"t{n}", owns=["src"]) for n in range(60))))
    assert len(report.violations) == CONFLICTS_MAX + 1
    assert [one for one in report.violations if "more tasks than" in one.message]
