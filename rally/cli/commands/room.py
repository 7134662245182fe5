"""`rally room` and `rally status` (contract P2, P7)."""

from __future__ import annotations

from typing import Any

from rally.cli.command import verb
from rally.cli.options import limit, number, paths, run_name, tool_filter
from rally.cli.plan import Ask, given
from rally.cli.text.room import show_room
from rally.cli.text.status import show_status


@verb("room", example="rally room --path src/api/", exits=(0, 1, 2))
@tool_filter("Only what this tool said, or what is addressed to it.")
@paths("Only what concerns this path.")
@run_name("Only this run.")
@number("--since", "Only facts after this seq.")
@limit(50)
def room(**options: Any) -> Ask:
    """The whole room on one screen.

    Claims and how long they last, blockers, handoffs, standbys, decisions, risks, who is here, what
    was produced last. Reading writes nothing.
    """
    return Ask("room", given(options), show_room)


@verb("status", example="rally status", exits=(0, 1, 2))
def status(**options: Any) -> Ask:
    """All rooms of this user."""
    return Ask("status", given(options), show_status)
