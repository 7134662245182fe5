"""`rally wait` (contract P8)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import verb
from rally.cli.options import caller, run_name
from rally.cli.plan import Ask, given
from rally.cli.text.wait import show_wait


@verb(
    "wait",
    example="rally wait --tool claude:1 --until free:src/api/ --timeout 10m",
    exits={0: "they hold", 1: "", 2: "", 3: "the time is over", 130: ""},
)
@caller
@click.option("--until", metavar="CONDITION", multiple=True, help="step:ID, fact:ID or free:PATH.")
@click.option("--any", is_flag=True, help="One of the conditions is enough.")
@run_name("The run of a step:ID.")
@click.option("--timeout", metavar="DURATION", help="How long to wait (default: 10m).")
def wait(**options: Any) -> Ask:
    """Sleep until conditions hold.

    step:ID when that step of the run has landed, fact:ID when that fact was resolved, answered or
    released, free:PATH when nobody else claims the path. Nothing is polled.
    """
    return Ask("wait", given(options), show_wait, is_caller=True)
