"""`rally next`, `rally inbox`, `rally wake-due`: what asks for attention (contract P3, P4, P6)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import verb
from rally.cli.options import caller, limit, run_name, tool_filter
from rally.cli.plan import Ask, given
from rally.cli.text.inbox import show_inbox, show_wake_due
from rally.cli.text.next_action import show_next


@verb("next", example="rally next --tool claude:1", exits=(0, 1, 2))
@caller
@run_name("Look for tasks in this run only.")
def next_(**options: Any) -> Ask:
    """The one thing to do now.

    Answers to others come first, then what you can go on with, then what you hold, then a task that
    is ready, then a review; each with commands that can be pasted.
    """
    return Ask("next", given(options), show_next, is_caller=True)


@verb("inbox", example="rally inbox --tool claude:1", exits=(0, 1, 2))
@caller
@click.option("--sent", is_flag=True, help="What you asked of others, and what became of it.")
@limit(50)
def inbox(**options: Any) -> Ask:
    """What others asked of you, or you of others.

    Open handoffs, oldest first. Answer with `rally say receipt`.
    """
    return Ask("inbox", given(options), show_inbox, is_caller=True)


@verb("wake-due", example="rally wake-due --json", exits=(0, 1, 2))
@tool_filter("Only standbys of this tool.")
def wake_due(**options: Any) -> Ask:
    """Standbys that should be woken now.

    Those whose time has passed or whose conditions hold. Nothing is woken and nothing is written:
    that is for a runner (`rally watch`, cron, you).
    """
    return Ask("wake-due", given(options), show_wake_due)
