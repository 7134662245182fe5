"""Help: every command and flag, an example that works, the exit codes (contract O6)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest
from cli_terminal import Terminal

from rally.cli import reference
from rally.cli.app import client_root
from rally.cli.command import Entry, Verb, VerbGroup
from rally.cli.commands.say import EXAMPLES
from rally.cli.parse import parse
from rally.cli.registry import CLIENT, FACILITATION
from rally.model.errors import CODES
from rally.model.kinds import KINDS, SAY_FIELDS, SAYABLE
from rally.wire.names import FORWARDED


def contexts(
    command: click.Command, parent: click.Context | None = None, name: str = "rally"
) -> Iterator[click.Context]:
    """A context of each command, groups first."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=80)
    yield context
    if isinstance(command, VerbGroup):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from contexts(found, context, inner)


EVERY = list(contexts(client_root()))


@pytest.mark.parametrize("context", EVERY, ids=lambda context: context.command_path)
def test_every_command_explains_itself(context: click.Context) -> None:
    """O6: summary, all flags, an example that can be pasted, exit codes."""
    text = context.get_help()
    command = context.command
    assert isinstance(command, Verb | VerbGroup)
    assert text.startswith(f"Usage: {context.command_path} ")
    for param in command.get_params(context):
        if isinstance(param, click.Option):
            assert all(flag in text for flag in param.opts)
            assert param.help, param.opts
    assert f"\nExample: {command.example}\n" in text
    assert "\nExit codes: 0 done" in text or "\nExit codes: 0 " in text
    assert 2 in command.exits or context.info_name == "run"
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("Example:"))


@pytest.mark.parametrize("context", EVERY, ids=lambda context: context.command_path)
def test_every_example_is_understood(context: click.Context) -> None:
    """The example line parses as what it explains; it is not prose."""
    example = context.command.example  # type: ignore[attr-defined]
    words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))
    assert words[0] == "rally"
    assert parse(client_root(), words[1:], columns=80).command in context.command_path or (
        context.command_path == "rally"
    )


@pytest.mark.parametrize("entry", [*FACILITATION, *CLIENT], ids=lambda entry: entry.name)
def test_the_list_of_commands_says_what_their_help_says(entry: Entry) -> None:
    """The list is kept without loading the commands; it must not drift from their first words."""
    root = client_root()
    command = root.get_command(click.Context(root, info_name="rally"), entry.name)
    assert command is not None
    assert command.name == entry.name
    assert (command.help or "").startswith(entry.summary.removesuffix("."))


def test_inner_lists_say_what_their_help_says() -> None:
    """The same for commands inside groups."""
    for context in EVERY:
        if isinstance(context.command, VerbGroup) and context.parent is not None:
            for name, entry in context.command.entries.items():
                found = context.command.get_command(context, name)
                assert found is not None
                assert found.name == name
                assert (found.help or "").startswith(entry.summary.removesuffix(".")), name


def test_the_daemon_answers_what_the_relay_forwards() -> None:
    """A verb that is forwarded and unknown there could never work."""
    known = {entry.name for entry in FACILITATION}
    assert known <= FORWARDED
    # `memory` is forwarded for the version that has it.
    assert FORWARDED - known <= {"memory"}
    assert not {entry.name for entry in CLIENT} & FORWARDED


@pytest.mark.parametrize("width", [0, 20, 40, 80, 200])
async def test_help_keeps_to_the_terminal(rally: Terminal, width: int) -> None:
    """O4: wrapped to the terminal's width, between 40 and 100 columns; examples are left whole."""
    for argv in (
        ("--help",),
        ("say", "-h"),
        ("check", "before-write", "--help"),
        ("task", "--help"),
    ):
        result = await rally(*argv, width=width)
        assert result.code == 0
        wide = min(max(width or 80, 40), 100)
        # Lines to be pasted are left whole, and so are long words (flags with their choices).
        pasted = ("Example:", "    rally")
        lines = [line for line in result.out.splitlines() if not line.startswith(pasted)]
        assert all(len(line) <= wide or " " not in line.strip() or "|" in line for line in lines)


@pytest.mark.parametrize("kind", SAYABLE)
async def test_each_kind_has_a_help_of_its_own(rally: Terminal, kind: str) -> None:
    """`rally say KIND --help` lists the flags that go with the kind, and no others."""
    result = await rally("say", kind, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: rally say {kind} [OPTIONS]\n")
    assert f"Example: {EXAMPLES[kind]}\n" in result.out
    for field in SAY_FIELDS:
        goes = not field.kinds or kind in field.kinds
        assert (f"\n  {field.flag} " in result.out or f"\n  {field.flag}\n" in result.out) is goes


async def test_words_to_be_typed_keep_their_case(rally: Terminal) -> None:
    """A condition is written `step:ID`, also at the beginning of a sentence."""
    assert "step:ID of --run, fact:ID or free:PATH" in (await rally("say", "standby", "--help")).out


def test_say_takes_every_field_of_the_table() -> None:
    """The flags are made from the table, so none can be missing or spelled otherwise."""
    say = next(context for context in EVERY if context.command_path == "rally say")
    options = {param.name: param for param in say.command.params if isinstance(param, click.Option)}
    for field in SAY_FIELDS:
        assert options[field.name].opts == [field.flag]
        assert options[field.name].multiple is field.many
        assert options[field.name].is_flag is (field.form == "switch")
    assert all(f"{kind}," in say.get_help() or f"{kind}." in say.get_help() for kind in SAYABLE)


async def test_help_and_version_are_json_where_json_is_asked_for(rally: Terminal) -> None:
    """O1 has no exception for help."""
    assert (await rally("--json", "check", "--help")).data["help"].startswith("Usage: rally check")
    assert (await rally("--version", "--json")).data["version"]
    assert (await rally("--json")).data["help"].startswith("Usage: rally [OPTIONS]")
    assert (await rally("--version")).out.startswith("rally ")


async def test_rally_alone_shows_its_help(rally: Terminal) -> None:
    """Somebody who has just installed it sees what there is."""
    result = await rally()
    assert result.code == 0
    assert "rally enter" in result.out


def test_the_generated_pages_hold_everything() -> None:
    """Commands, kinds, errors and findings are all there; a pipe sign does not break a table."""
    commands, errors = reference.cli_markdown(), reference.errors_markdown()
    for context in EVERY[1:]:
        assert f"## {context.command_path}\n" in commands
    assert all(f"| `{kind.name}` |" in commands for kind in KINDS)
    assert all(f"| `{code}` |" in errors for code in CODES)
    for page in (commands, errors):
        tables = [line for line in page.splitlines() if line.startswith("| ")]
        assert all(line.endswith(" |") for line in tables)


def test_the_pages_can_be_written_and_compared(tmp_path: object) -> None:
    """`make docs` and `make lint` go through these two ways."""
    folder = str(tmp_path)
    assert reference.main(["--check", folder]) == 1
    assert reference.main([folder]) == 0
    assert reference.main(["--check", folder]) == 0


@pytest.mark.parametrize("words", [(), ("say",), ("say", "claim"), ("task", "take")])
async def test_help_may_be_asked_for_as_a_command(rally: Terminal, words: tuple[str, ...]) -> None:
    """O6: `rally help say` is what other programs taught people to type."""
    asked, shown = await rally("help", *words), await rally(*words, "--help")
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == shown.out
