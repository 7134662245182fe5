"""`rally task` (contract W5)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import NUMBER, Entry, VerbGroup, verb
from rally.cli.options import caller, fields, run_name
from rally.cli.plan import Ask, given
from rally.cli.text.task import show_task

EXITS = (0, 1, 2, 3)

ACTIONS = (
    Entry("add", f"{__name__}:add", "Register a task."),
    Entry("list", f"{__name__}:list_", "The tasks of a run, and how they stand."),
    Entry("take", f"{__name__}:take", "Get the next task that is ready, with its claim."),
    Entry("done", f"{__name__}:done", "Land your task: artifact and release in one."),
    Entry("drop", f"{__name__}:drop", "Give your task back; it can be taken again."),
)

task = VerbGroup(
    "task",
    entries=ACTIONS,
    help="""Tasks of a run: add, list, take, done, drop.

Of any number of takers each gets another task, with the paths that it owns claimed for it.""",
    example="rally task take --run api-2 --tool claude:1",
    exits=EXITS,
)

_run = run_name("The run.")
_id = click.option("--id", metavar="ID", help="The task.")


def _plan(action: str, options: dict[str, Any]) -> Ask:
    params = {"action": action, **given(options)}
    return Ask("task", params, show_task, is_caller=True, reads=("summary", "evidence"))


@verb(
    "add",
    example="rally task add --tool claude:1 --run api-2 --id users --intent 'port the users api' "
    "--owns src/api/users.py",
    exits=EXITS,
)
@caller
@_run
@_id
@click.option("--intent", metavar="TEXT", help="What is to be done.")
@click.option("--owns", metavar="PATH", multiple=True, help="A path that the task may write.")
@click.option("--read-only", is_flag=True, help="The task writes nothing.")
@click.option("--depends-on", metavar="ID", multiple=True, help="A task that must land first.")
@click.option("--priority", type=NUMBER, help="Lower is taken first (default: 100).")
@click.option("--validation", metavar="COMMAND", help="A shell command that proves it.")
@click.option("--output", metavar="TEXT", help="What the task is to produce.")
def add(**options: Any) -> Ask:
    """Register a task.

    It owns paths, or else is read-only. It can be taken when all that it depends on has landed.
    """
    return _plan("add", options)


@verb("list", example="rally task list --run api-2", exits=(0, 1, 2))
@_run
def list_(**options: Any) -> Ask:
    """The tasks of a run, and how they stand."""
    return _plan("list", options)


@verb(
    "take",
    example="rally task take --run api-2 --tool claude:1",
    exits={0: "", 1: "", 2: "", 3: "nothing is ready"},
)
@caller
@_run
@click.option("--id", metavar="ID", help="This task, and no other.")
@fields("ttl")
def take(**options: Any) -> Ask:
    """Get the next task that is ready, with its claim.

    Ready is a task whose dependencies have landed, which nobody holds, and whose paths are free.
    """
    return _plan("take", options)


@verb(
    "done",
    example="rally task done --run api-2 --id users --tool claude:1 --evidence 'pytest: 12 passed'",
    exits=EXITS,
)
@caller
@_run
@_id
@fields("uri", "evidence", "subject", "summary")
def done(**options: Any) -> Ask:
    """Land your task: artifact and release in one."""
    return _plan("done", options)


@verb(
    "drop",
    example="rally task drop --run api-2 --id users --tool claude:1 --reason 'out of context'",
    exits=EXITS,
)
@caller
@_run
@_id
@fields("reason")
def drop(**options: Any) -> Ask:
    """Give your task back; it can be taken again."""
    return _plan("drop", options)
