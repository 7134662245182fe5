"""`rally lead` and `rally mission` (contract P10)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import Entry, VerbGroup, verb
from rally.cli.options import caller
from rally.cli.plan import Ask, given
from rally.cli.text.lead import show_lead, show_mission

EXITS = (0, 1, 2, 3)

ACTIONS = (
    Entry("show", f"{__name__}:show", "Who leads."),
    Entry("take", f"{__name__}:take", "Take the seat, when it is free or its holder is gone."),
    Entry("give", f"{__name__}:give", "Give your seat to another."),
    Entry("drop", f"{__name__}:drop", "Leave your seat."),
)


def _plan(action: str, options: dict[str, Any]) -> Ask:
    return Ask("lead", {"action": action, **given(options)}, show_lead, is_caller=True)


lead = VerbGroup(
    "lead",
    entries=ACTIONS,
    help="""The lead's seat: show, take, give, drop.

There is one in a room. Its holder may end the claims of others with --force, and freezes the room
with a blocker that names no path. Nothing else depends on it. Alone it shows who leads.""",
    example="rally lead take --tool claude:1",
    exits=EXITS,
    default=lambda context: _plan("show", {}),
)


@verb("show", example="rally lead show", exits=(0, 1, 2))
@caller
def show(**options: Any) -> Ask:
    """Who leads."""
    return _plan("show", options)


@verb("take", example="rally lead take --tool claude:1", exits=EXITS)
@caller
def take(**options: Any) -> Ask:
    """Take the seat, when it is free or its holder is gone.

    Gone is who has left, or was silent for two hours.
    """
    return _plan("take", options)


@verb("give", example="rally lead give --tool claude:1 --to codex:1", exits=EXITS)
@caller
@click.option("--to", metavar="ID", help="The tool that leads from now on.")
def give(**options: Any) -> Ask:
    """Give your seat to another."""
    return _plan("give", options)


@verb("drop", example="rally lead drop --tool claude:1", exits=EXITS)
@caller
def drop(**options: Any) -> Ask:
    """Leave your seat."""
    return _plan("drop", options)


@verb(
    "mission", example="rally mission --tool claude:1 --set 'ship 1.0 this week'", exits=(0, 1, 2)
)
@caller
@click.option("--set", "text", metavar="TEXT", help="The room's goal from now on.")
def mission(**options: Any) -> Ask:
    """Show or set the room's goal."""
    return Ask("mission", given(options), show_mission, is_caller=True)
