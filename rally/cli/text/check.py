"""The answers of `check` and `check-ci`: the verdict first, then why and what to do about it."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.visible import visible

_STYLES = {"stop": "stop", "warn": "warn", "info": "dim"}


def show_check(data: dict[str, Any], screen: Screen) -> str:
    """`allow` or `stop` alone on the first line, then the findings."""
    allow = data["allow"]
    lines = [screen.paint("allow", "ok") if allow else screen.paint("stop", "stop")]
    return joined([*lines, *findings_lines(data["findings"], screen)])


def show_ci(data: dict[str, Any], screen: Screen) -> str:
    """`clean`, or how many findings, then the findings."""
    findings = data["findings"]
    if not findings:
        return joined([screen.paint("clean", "ok")])
    count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    return joined([screen.paint(count, "warn"), *findings_lines(findings, screen)])


def findings_lines(findings: list[dict[str, Any]], screen: Screen) -> list[str]:
    """Severity, code, message; below it the hint. Nothing is cut: ids and commands are copied."""
    width = max((len(visible(one["code"])) for one in findings), default=0)
    lines = []
    for one in findings:
        severity = screen.paint(f"{visible(one['severity']):<4}", _STYLES.get(one["severity"], ""))
        lines.append(f"  {severity}  {visible(one['code']):<{width}}  {visible(one['message'])}")
        if one.get("hint"):
            lines.append(f"        {screen.paint(visible(one['hint']), 'dim')}")
    return lines
