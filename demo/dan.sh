#!/bin/sh
# dan adds a test, and asks eve to look at it, if there is an eve.
. "$(dirname "$0")/agents.sh"
quiet rally enter --role tester --path tests
quiet rally say claim --path tests/test_demo_weeks.py --run demo --step test --parent-step weeks \
    --subject "a test for weeks"
say "claimed tests/test_demo_weeks.py, waiting for weeks to land"
quiet rally wait --until step:weeks --run demo --timeout 60s
may_write tests/test_demo_weeks.py || exit 1
cat >tests/test_demo_weeks.py <<'TEST'
from rally.model.durations import parse_duration_ms


def test_a_week_has_seven_days() -> None:
    assert parse_duration_ms("1w") == parse_duration_ms("7d")
TEST
land test tests/test_demo_weeks.py python3 -m pytest -q --no-header -p no:cacheprovider tests/test_demo_weeks.py
if [ "${DEMO_REVIEWER:-}" ]; then
    quiet rally say handoff --target "$DEMO_REVIEWER" --intent review --run demo --step test \
        --path tests/test_demo_weeks.py --subject "does the test for weeks say enough?"
    say "asked $DEMO_REVIEWER for a review"
fi
quiet rally leave
