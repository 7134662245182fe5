"""What the ledger says about a standby's firings: pure, over facts."""

from __future__ import annotations

from typing import Any

import pytest

from rally.execution import attempts
from rally.execution.attempts import Begun, Failed, Fired, Untried

STANDBY = "standby-x"


def claim(number: int, **more: Any) -> dict[str, Any]:
    key = attempts.key_of(STANDBY, number)
    return {"kind": "claim", "event_id": f"claim-{number}", "key": key, "ref": STANDBY, **more}


def release(status: str | None) -> dict[str, Any]:
    return {"kind": "release", "status": status, "created_at": "1970-01-01T00:00:10.000Z"}


def test_a_standby_that_nobody_fired_is_untried() -> None:
    """Facts of others about it are no attempts."""
    wake = {"kind": "wake", "event_id": "wake-1", "ref": STANDBY}
    other = claim(1, key="something of mine")
    attempt, last = attempts.last_attempt(STANDBY, [wake, other])
    assert attempts.standing(attempt, last, []) == Untried()


def test_the_last_attempt_is_the_end_of_the_series_whatever_the_order() -> None:
    """Attempts are counted by their keys, 1, 2, 3, …; a gap ends the series."""
    assert attempts.last_attempt(STANDBY, [claim(2), claim(1), claim(4)]) == (2, claim(2))


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ([], Begun(2, "claim-2")),
        ([release("failed")], Failed(2, 10_000)),
        ([release("timed-out")], Failed(2, 10_000)),
        ([release(None)], Failed(2, 10_000)),
        ([{"kind": "retract", "created_at": "1970-01-01T00:00:10.000Z"}], Failed(2, 10_000)),
        ([{"kind": "note"}, release("succeeded")], Fired(2, 10_000)),
    ],
)
def test_how_the_last_attempt_ended_is_what_its_release_says(
    about: list[dict[str, Any]], expected: attempts.Standing
) -> None:
    """Without one it runs, or its watcher died; one without a word (a forced one) is a failure."""
    assert attempts.standing(2, claim(2), about) == expected


def test_an_attempt_and_the_success_before_it_compete_for_one_key() -> None:
    """So after a success no watcher, however late, can take another turn (contract F6)."""
    keys = {attempts.key_of(STANDBY, turn) for turn in range(1, attempts.ATTEMPTS_MAX + 2)}
    ends = {attempts.end_key_of(STANDBY, number) for number in range(1, 6)}
    assert len(keys) == attempts.ATTEMPTS_MAX + 1
    assert keys.isdisjoint(ends | {attempts.risk_key_of(STANDBY)})


def test_pauses_grow_from_a_second_and_stay_under_their_ceiling() -> None:
    """Contract X1: 1 s, doubling, at most 5 min; chance adds at most a quarter."""
    assert [attempts.pause_ms(number, 0) for number in (1, 2, 3, 4)] == [1_000, 2_000, 4_000, 8_000]
    assert attempts.pause_ms(1, 1) == 1_250
    assert attempts.pause_ms(60, 0) == attempts.PAUSE_MS_MAX
