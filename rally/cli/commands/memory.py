"""`rally memory`: named values."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import NUMBER, Entry, VerbGroup, verb
from rally.cli.options import caller
from rally.cli.plan import Ask, given
from rally.cli.text.memory import show_memory

EXITS = (0, 1, 2, 3)

ACTIONS = (
    Entry("set", f"{__name__}:set_", "Give a key a value; - reads it from standard input."),
    Entry("get", f"{__name__}:get", "The value of a key."),
    Entry("list", f"{__name__}:list_", "All keys with their values."),
)


def _plan(action: str, options: dict[str, Any]) -> Ask:
    params = {"action": action, **given(options)}
    return Ask("memory", params, show_memory, is_caller=action == "set", reads=("value",))


memory = VerbGroup(
    "memory",
    entries=ACTIONS,
    help="""Named values: set, get, list.

The latest value of a key wins; who set it is kept, and so are all earlier ones, in the ledger. To
remove one, withdraw its fact with `rally say retract`. Alone it lists all keys.""",
    example="rally memory list",
    exits=EXITS,
    default=lambda context: _plan("list", {}),
)


@verb(
    "set",
    example="rally memory set --tool claude:1 test-command 'make test' --if-version 0",
    exits={0: "", 1: "", 2: "", 3: "the value has another version by now"},
)
@click.argument("key", metavar="KEY")
@click.argument("value", metavar="VALUE")
@caller
@click.option(
    "--if-version", type=NUMBER, metavar="N",
    help="Only if this is the value's version still; 0: only if there is none.",
)  # fmt: skip
def set_(**options: Any) -> Ask:
    """Give a key a value; - reads it from standard input.

    At most 60 KiB of text. A value's version is the seq of its fact.
    """
    return _plan("set", options)


@verb("get", example="rally memory get test-command", exits=(0, 1, 2))
@click.argument("key", metavar="KEY")
def get(**options: Any) -> Ask:
    """The value of a key."""
    return _plan("get", options)


@verb("list", example="rally memory list", exits=(0, 1, 2))
def list_(**options: Any) -> Ask:
    """All keys with their values."""
    return _plan("list", options)
