"""`rally dag` (contract P5)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import JSON, verb
from rally.cli.options import run_name
from rally.cli.plan import Ask, given
from rally.cli.text.dag import FORMATS, show_in
from rally.model.text import check_choice


@verb("dag", example="rally dag --run api-2 --format mermaid", exits=(0, 1, 2))
@run_name("The run to draw.")
@click.option("--format", "form", metavar="|".join(FORMATS), help="How to draw it (default: text).")
def dag(*, form: str | None, **options: Any) -> Ask:
    """Draw a run: what landed, moves, is stalled, is planned."""
    form = check_choice(form or "text", "--format", FORMATS)
    if form == "json":
        click.get_current_context().meta[JSON] = True
    return Ask("dag", given(options), show_in(form))
