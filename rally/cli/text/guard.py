"""The answer of a check in git's hooks: nothing as long as there is nothing to say."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.check import findings_lines
from rally.cli.text.facts import joined
from rally.model.visible import visible

# A commit may touch thousands of files; whoever wants to see all asks without --quiet.
_SHOWN_MAX = 20


def show_quiet(data: dict[str, Any], screen: Screen) -> str:
    """Stops and, for a commit, warnings, stops first; empty without any.

    A range is mostly work of others, about which the caller's own claims say nothing.
    """
    order = {"stop": 0} if data["phase"] == "range" else {"stop": 0, "warn": 1}
    told = [one for one in data["findings"] if one["severity"] in order]
    if not told:
        return ""
    told.sort(key=lambda one: order[one["severity"]])
    lines = findings_lines(told[:_SHOWN_MAX], screen)
    if len(told) > _SHOWN_MAX:
        lines.append(f"  … and {len(told) - _SHOWN_MAX} more")
    stops = sum(one["severity"] == "stop" for one in told)
    verdict = screen.paint("stop", "stop") if stops else screen.paint("warning", "warn")
    return joined([f"rally: {verdict} for {visible(data['tool'])}", *lines])
