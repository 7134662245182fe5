"""The answer of `verify`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.text.facts import joined
from rally.model.visible import visible


def show_verify(data: dict[str, Any], screen: Screen) -> str:
    """How much was proven; damage is an error and not shown here."""
    whole = screen.paint("whole", "ok")
    facts = f"{data['facts']} fact{'' if data['facts'] == 1 else 's'}"
    return joined([f"{whole}  {facts}  hash {data['hash'][:16]}", visible(data["file"])])
