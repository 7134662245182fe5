"""What is news, what makes a batch, and when the next one may begin: pure."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from rally.execution.activity import Batch, Pace, gathered, is_news, origin_of


def fact(seq: int, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": "note", **more}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"kind": "renew"}, False),
        ({"origin": "watch:mine"}, False),
        ({"origin": "watch:other"}, True),
        ({"origin": "laptop"}, True),
        ({"trust": "untrusted", "origin": "laptop"}, False),
    ],
)
def test_own_doings_lease_keeping_and_the_untrusted_are_no_news(
    more: dict[str, Any], expected: bool
) -> None:
    """Everything else is, the doings of other watchers included."""
    assert is_news(fact(1, **more), "mine") is expected


def test_a_batch_spans_the_first_to_the_last_fact_that_is_news() -> None:
    """What lies between and is none is not counted."""
    mine = origin_of("mine")
    batch = gathered(None, [fact(3, origin=mine), fact(4), fact(5, origin=mine), fact(6)], "mine")
    assert batch == Batch(4, 6, 2)
    assert gathered(batch, [fact(7, kind="renew")], "mine") == batch
    assert gathered(None, [fact(8, kind="renew")], "mine") is None


def test_the_first_batch_comes_at_once_and_a_quiet_room_keeps_pauses_short() -> None:
    """A batch long after the one before pays nothing for it."""
    pace = Pace(shortest_ms=1_000, longest_ms=60_000)
    assert pace.next_ms() == 0
    for now_ms in (0, 10_000, 20_000):
        pace.begin(now_ms)
        pace.end(now_ms + 100)
        assert pace.next_ms() == now_ms + 1_100


def test_watchers_that_answer_each_other_slow_down_to_the_ceiling() -> None:
    """Each batch right behind the pause doubles the next one (two agents that wake each other)."""
    pace = Pace(shortest_ms=1_000, longest_ms=60_000)
    starts = []
    for _ in range(12):
        starts.append(pace.next_ms())
        pace.begin(starts[-1])
        pace.end(starts[-1])
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses[:5] == [1_000, 2_000, 4_000, 8_000, 16_000]
    assert pauses[-1] == 60_000
