"""The answer of `loop`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import block, joined
from rally.model.visible import visible

_STYLES = {"pass": "ok", "fail": "stop", "unknown": "warn"}
_VERDICTS = {"passed": "ok", "undecided": "warn", "stopped": "warn"}


def show_loop(data: dict[str, Any], screen: Screen) -> str:
    """The checks of each attempt, the verdict, and what was said in the room."""
    if data["dry_run"]:
        lines = [f"would take {visible(data['task'])} and run in {visible(data['folder'])}:"]
        for one in data["would_run"]:
            lines += [f"  {one['what']}", *block(one["command"], indent="    ")]
        return joined(lines)
    lines = []
    for attempt in data["attempts"]:
        lines += _attempt(data["agent"], attempt, screen)
    verdict = screen.paint(data["verdict"], _VERDICTS.get(data["verdict"], "stop"))
    task = screen.paint(visible(data["task"]), "name")
    lines.append(f"{task} {verdict}: {visible(data['why'])}")
    for name in ("artifact", "blocker", "logs"):
        if data[name]:
            lines.append(f"  {name:<8}  {visible(data[name])}")
    return joined(lines)


def _attempt(agent: str, attempt: dict[str, Any], screen: Screen) -> list[str]:
    call = attempt["agent"]
    took = f"{call['duration_ms'] / 1_000:.1f} s"
    lines = [f"attempt {attempt['attempt']}: {visible(agent)}, {took}"]
    if call["failure"]:
        lines.append(f"  {screen.paint(call['failure'], 'stop')}  {visible(call['why'])}")
    for check in attempt["checks"]:
        status = screen.paint(f"{check['status']:<7}", _STYLES[check["status"]])
        first, *more = map(visible, check["evidence"])
        lines.append(f"  {check['check']:<10}  {status}  {first}")
        lines += [f"  {'':<10}  {'':<7}  {one}" for one in more]
    return lines
