"""The answer of `dag`, in the form that was asked for."""

from __future__ import annotations

from typing import Any

from rally.cli.plan import Show
from rally.cli.screen import Screen

FORMATS = ("text", "json", "mermaid", "dot", "svg")


def show_in(form: str) -> Show:
    """The renderer of a format; `json` is the envelope and never comes here."""

    def show(data: dict[str, Any], screen: Screen) -> str:
        from rally.cli.dag_text import render  # the layout of graphs, 10 ms

        return render(data, form, width=screen.width, paint=screen.paint)

    return show
