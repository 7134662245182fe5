"""lint's findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines they are about."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from rally import __version__
from rally.workstream.lint import CODES, Report, Violation

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(report: Report, file: str) -> dict[str, Any]:
    """The report as one SARIF log.

    Args:
        file: the descriptor's path as it was typed.
    """
    found = [(one, "error") for one in report.violations]
    found += [(one, "warning") for one in report.warnings]
    used = {one.code for one, _ in found}
    rules = [
        {"id": code, "shortDescription": {"text": text}}
        for code, text in CODES.items()
        if code in used
    ]
    driver = {"name": "rally", "version": __version__, "rules": rules}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "results": [_result(one, level, file) for one, level in found],
            }
        ],
    }


def _result(one: Violation, level: str, file: str) -> dict[str, Any]:
    text = f"{one.message}. {one.hint}" if one.hint else one.message
    place = ".".join(part for part in (one.task, one.field) if part)
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(file)},
            "region": {"startLine": one.line},
        }
    }
    if place:
        location["logicalLocations"] = [{"fullyQualifiedName": place}]
    return {
        "ruleId": one.code,
        "level": level,
        "message": {"text": text},
        "locations": [location],
    }
