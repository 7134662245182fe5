"""The answer of `doctor`: a line for each thing, and below it the command to paste."""

from __future__ import annotations

import textwrap
from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.visible import visible

_STYLES = {"ok": "ok", "info": "dim", "warn": "warn", "problem": "stop", "fixed": "ok"}
_MARK_WIDTH = 7


def show_doctor(data: dict[str, Any], screen: Screen) -> str:
    """The findings, the worst first, and one line that sums them up."""
    findings = data["findings"]
    width = max(len(one["subject"]) for one in findings)
    lines: list[str] = []
    for finding in findings:
        lines += _lines(finding, width, screen, is_dry=data["dry_run"])
    return joined([*lines, "", _summary(data, screen)])


def _lines(finding: dict[str, Any], width: int, screen: Screen, *, is_dry: bool) -> list[str]:
    mark = "fixed" if finding["fixed"] else finding["severity"]
    head = (
        f"{screen.paint(mark.ljust(_MARK_WIDTH), _STYLES[mark])}  {finding['subject']:<{width}}  "
    )
    indent = " " * (_MARK_WIDTH + 2 + width + 2)
    message = visible(finding["message"])
    if is_dry and finding["fixable"]:
        message += "; --fix would put it right"
    pieces = [message]
    if not screen.is_piped:
        room = max(screen.width - len(indent), 30)
        pieces = textwrap.wrap(message, room, break_long_words=False, break_on_hyphens=False)
    lines = [head + (pieces[0] if pieces else ""), *(indent + piece for piece in pieces[1:])]
    if finding["fix"] and not finding["fixed"]:
        # On a line of its own and never cut: it is to be pasted as it is.
        lines.append(" " * (_MARK_WIDTH + 2) + screen.paint(visible(finding["fix"]), "name"))
    return lines


def _summary(data: dict[str, Any], screen: Screen) -> str:
    totals = data["totals"]
    counted = [
        f"{totals[key]} {word}{'' if totals[key] == 1 else 's'}"
        for key, word in (("problem", "problem"), ("warn", "warning"))
    ]
    if totals["fixed"]:
        counted.append(f"{totals['fixed']} fixed")
    word = screen.paint("healthy", "ok") if data["healthy"] else screen.paint("not healthy", "stop")
    left = sum(one["fixable"] and not one["fixed"] for one in data["findings"])
    advice = f"; rally doctor --fix puts {left} right" if left and not data["dry_run"] else ""
    return f"{word}: {', '.join(counted)}{advice}"
