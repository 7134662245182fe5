"""From the words of a command line to a plan."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rally import __version__
from rally.cli import command as words
from rally.cli.command import HelpAsked, VerbGroup
from rally.cli.plan import Parsed, Text
from rally.cli.registry import VersionAsked
from rally.cli.usage import as_usage_error
from rally.wire.names import verb_of

PROGRAM = "rally"


def command_of(argv: Sequence[str]) -> str:
    """The name under which the answer to these words stands (contract O1)."""
    word = verb_of(list(argv))
    return PROGRAM if not word or word.startswith("-") else word


def says_json(argv: Sequence[str]) -> bool:
    """Whether JSON is wished for, of words that may not be understood. Behind `--` they are not
    rally's."""
    own = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in own


def parse(root: VerbGroup, argv: Sequence[str], *, columns: int) -> Parsed:
    """Understand a command line; nothing is read or written.

    Args:
        columns: of the terminal, for a help text; 0 where there is none.

    Raises:
        UsageError: `usage`, or what the command itself finds wrong.
    """
    command = command_of(argv)
    asked = list(argv)
    if command == "help":  # `rally help say`, as git and cargo have it
        asked.remove("help")
        asked.append("--help")
    try:
        context = root.make_context(PROGRAM, asked, terminal_width=columns or None)
        with context:
            plan = root.invoke(context)
    except HelpAsked as helped:
        text = helped.context.get_help()
        plan = Text(text, {"help": text})
        return Parsed(command, plan, wants_json=says_json(argv), no_color=True, room=None)
    except VersionAsked:
        plan = Text(f"rally {__version__}\n", {"version": __version__})
        return Parsed(command, plan, wants_json=says_json(argv), no_color=True, room=None)
    except click.ClickException as error:
        raise as_usage_error(error) from None
    return Parsed(
        command,
        plan,
        wants_json=bool(context.meta.get(words.JSON)),
        no_color=bool(context.meta.get(words.NO_COLOR)),
        room=context.meta.get(words.ROOM),
    )
