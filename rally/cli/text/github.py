"""Findings as commands of GitHub's workflow runner, which shows them beside the lines of a change.

    ::error title=…,file=…::message

The form is that of GitHub's "Workflow commands" page: `%`, carriage return and line feed are written
as `%25 %0D %0A` everywhere, `:` and `,` as `%3A %2C` in properties. What agents wrote is made visible
before, so no subject can begin a command of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally.cli.plan import Show
from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.paths import is_pattern
from rally.model.visible import visible


def show_github(names: Mapping[str, str]) -> Show:
    """The renderer of findings for GitHub.

    Args:
        names: for a finding's path the name of the file in the checkout, where it is another one.
    """

    def show(data: dict[str, Any], _: Screen) -> str:
        strict = data["mode"] == "strict"
        told = [one for one in data["findings"] if one["severity"] != "info"]
        lines = [_command(one, names, fails=strict and _fails(one, data)) for one in told]
        return joined([*lines, _verdict(data, len(told))])

    return show


def _fails(finding: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether this finding makes the strict check end with 4: a stop, or any of check-ci."""
    return "clean" in data or finding["severity"] == "stop"


def _verdict(data: dict[str, Any], count: int) -> str:
    if "clean" in data:
        return "clean" if data["clean"] else f"{count} finding{'s' if count > 1 else ''}"
    return "allow" if data["allow"] else "stop"


def _command(finding: dict[str, Any], names: Mapping[str, str], *, fails: bool) -> str:
    properties = {"title": f"rally: {finding['code']}"}
    path = finding.get("path")
    if path and path != "." and not is_pattern(path):
        properties["file"] = names.get(path, path)
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = visible(finding["message"])
    if finding.get("hint"):
        message += f"\n{visible(finding['hint'])}"
    return f"::{'error' if fails else 'warning'} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
