"""click, made rally's: commands that answer plans, errors in rally's words, help without printing.

click parses and nothing else. It never writes, exits or reads the environment here: the same parser
runs inside the daemon, for callers with other terminals than its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from rally.model.errors import UsageError
from rally.model.text import nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

ROOM, JSON, NO_COLOR = "rally.room", "rally.json", "rally.no_color"
_TYPED = "rally.typed"
# Larger numbers do not fit every JSON reader, nor twice itself SQLite's integers.
WHOLE_NUMBER_MAX = 2**53 - 1

F = TypeVar("F", bound=Callable[..., Any])

EXITS = {
    0: "done",
    1: "rally or the machine failed",
    2: "usage error",
    3: "refused",
    4: "a stop, with --strict",
    130: "interrupted",
}


class HelpAsked(Exception):  # no error: the answer is the help
    """Somebody typed --help.

    Args:
        context: of the command that is to be explained.
    """

    def __init__(self, context: click.Context) -> None:
        super().__init__()
        self.context = context


class Entry(NamedTuple):
    """One command that is loaded when it is called.

    Attributes:
        at: `module:attribute`. A name and not an import, because the daemon must not be able to
            load what starts processes, and because a command pays only for itself.
        summary: the first line of its help.
        section: the heading under which `rally --help` lists it.
        is_client: it runs in its caller's process only; the daemon must not even load it (law 1).
    """

    name: str
    at: str
    summary: str
    section: str = ""
    is_client: bool = False


class WholeNumber(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A whole number, of either sign; what it means is checked by whoever takes it."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number.

        Raises:
            UsageError: `usage`.
        """
        text = str(value)
        digits = text[1:] if text[:1] in ("-", "+") else text
        if digits.isascii() and digits.isdigit() and len(digits) < 20:
            number = int(text)
            if abs(number) <= WHOLE_NUMBER_MAX:
                return number
        flag = param.opts[-1] if param else "the value"
        raise UsageError("usage", f"{flag} takes a whole number, not {text!a}", hint=f"{flag} 10")


NUMBER = WholeNumber()


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            ctx.meta[key] = value

    return callback


def _show_help(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        raise HelpAsked(ctx)


def common_options() -> list[click.Parameter]:
    """The options of every command, before or after the verb (contract O1, O4, R1)."""
    return [
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_remember(JSON),
            help="Answer with one JSON object.",
        ),
        click.Option(
            ["--room"], metavar="DIR", expose_value=False, callback=_remember(ROOM),
            help="The room's folder (default: RALLY_ROOM, else found from here).",
        ),
        click.Option(
            ["--no-color"], is_flag=True, expose_value=False, callback=_remember(NO_COLOR),
            help="No colours, also on a terminal.",
        ),
    ]  # fmt: skip


_HELP = click.Option(
    ["-h", "--help"], is_flag=True, is_eager=True, expose_value=False, callback=_show_help,
    help="Show this text.",
)  # fmt: skip


def _check_values(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    """Refuse an option whose value is an option of the same command: its value was forgotten.

    click would take it: `say note --subject --json` would be a note about `--json`, and answer in
    text. Whoever means it writes `--subject=--json`.

    Raises:
        BadOptionUsage: naming the option without a value.
    """
    if not any(word[:2] == "--" for word in args[1:]):
        return
    takes = {
        flag: isinstance(param, click.Option) and not param.is_flag
        for param in command.params
        for flag in param.opts
        if flag[:2] == "--"
    }
    words = iter(args)
    for word in words:
        if word == "--" or (isinstance(command, click.Group) and word[:1] != "-"):
            return
        if takes.get(word) and next(words, "") in takes:
            raise click.BadOptionUsage(word, "it needs a value", ctx=ctx)


class Verb(click.Command):
    """A command.

    Args:
        example: a line that can be pasted.
        exits: its exit codes, or codes with a meaning of their own.
        is_sparse: its function takes only the options that were typed. click looks at every option
            of a command at every call, 20 µs each; for `say` that is a tenth of the whole command.
    """

    def __init__(
        self,
        *args: Any,
        example: str,
        exits: Iterable[int] | dict[int, str] = (0, 1, 2),
        is_sparse: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.params = [*self.params, *common_options()]
        self.is_sparse = is_sparse
        self.example = example
        meanings = exits if isinstance(exits, dict) else {}
        self.exits = {code: meanings.get(code) or EXITS[code] for code in exits}
        self.takes_words = self.allow_extra_args
        # Words too many are refused here, where the words themselves are at hand.
        self.allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a word that no argument takes is a usage error that names it."""
        if not ctx.resilient_parsing:
            _check_values(self, ctx, args)
        if self.is_sparse:
            ctx.meta[_TYPED] = {word.partition("=")[0] for word in args if word[:1] == "-"}
        try:
            with _in_context(ctx):
                rest = super().parse_args(ctx, args)
        finally:
            ctx.meta.pop(_TYPED, None)
        if ctx.args and not self.takes_words and not ctx.resilient_parsing:
            raise _surplus(ctx)
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its parameters; while a sparse command is parsed, those that were typed."""
        params = super().get_params(ctx)
        typed = ctx.meta.get(_TYPED)
        if typed is None:
            return params
        return [
            param
            for param in params
            if isinstance(param, click.Argument) or not typed.isdisjoint(param.opts)
        ]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, which prints nothing by itself."""
        return _HELP

    def get_help(self, ctx: click.Context) -> str:
        """The whole help text."""
        from rally.cli.help import command_help  # only who asks for help

        return command_help(self, ctx)


class VerbGroup(click.Group):
    """A command with commands inside.

    Args:
        entries: those that are loaded when they are called.
        example, exits: as for `Verb`.
        default: answers the plan when none is named; without it that is a usage error.
    """

    def __init__(
        self,
        name: str,
        *,
        entries: Sequence[Entry],
        example: str,
        exits: Iterable[int] | dict[int, str] = (0, 1, 2),
        default: Callable[[click.Context], Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(name, callback=self._without_command, invoke_without_command=True, **more)
        self.params += common_options()
        self.entries = {entry.name: entry for entry in entries}
        self.example = example
        meanings = exits if isinstance(exits, dict) else {}
        self.exits = {code: meanings.get(code) or EXITS[code] for code in exits}
        # Whether its commands run in their caller's own process; asked of the root.
        self.is_client = False
        self._default = default

    def _without_command(self) -> Any:
        context = click.get_current_context()
        if context.invoked_subcommand is not None:
            return None
        if self._default is not None:
            return self._default(context)
        raise UsageError(
            "usage",
            f"{context.command_path} needs one of: {', '.join(self.entries)}",
            hint=self.example,
            details={"choices": list(self.entries)},
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the command's name."""
        if not ctx.resilient_parsing:
            _check_values(self, ctx, args)
        with _in_context(ctx):
            return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they are explained."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command.

        Raises:
            UsageError: `usage`; it is a client's, and this is the daemon.
        """
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if entry.is_client and not getattr(ctx.find_root().command, "is_client", False):
            raise UsageError(
                "usage",
                f"{ctx.command_path} {cmd_name} does not run inside the daemon",
                hint=f"RALLY_DAEMON=off {ctx.command_path} {cmd_name}",
            )
        if cmd_name not in self.commands:
            module, _, attribute = entry.at.partition(":")
            command = getattr(importlib.import_module(module), attribute)
            assert isinstance(command, click.Command)
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What could come next; no command is loaded for it."""
        from click.shell_completion import CompletionItem  # only a shell asks

        named = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named first.

        Raises:
            UsageError: `usage`; there is none of this name.
        """
        command = self.get_command(ctx, args[0])
        if command is not None or ctx.resilient_parsing:
            return args[0] if command else None, command, args[1:]
        from rally.model.kinds import SAYABLE  # only who mistypes needs it

        names = list(self.entries)
        near = nearest(args[0], names)
        if ctx.parent is None and args[0] in SAYABLE:
            near = f"say {args[0]}"  # not `leave`, which looks like `release` and ends every claim
        elif ctx.parent is None and args[0] == "version":
            near = "--version"
        what = "option" if args[0].startswith("-") else "command"
        path = ctx.command_path
        raise UsageError(
            "usage",
            f"{path} has no {what} {args[0]!a}"
            + ("" if ctx.parent is None else f"; it has: {', '.join(names)}"),
            hint=f"{path} {near}" if near else f"{path} --help",
            details={"choices": names, "nearest": near},
        )

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, which prints nothing by itself."""
        return _HELP

    def get_help(self, ctx: click.Context) -> str:
        """The whole help text."""
        from rally.cli.help import group_help  # only who asks for help

        return group_help(self, ctx)


def verb(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a command; its docstring is the help, the first line its summary."""
    return click.command(name, cls=Verb, **settings)


@contextmanager
def _in_context(ctx: click.Context) -> Iterator[None]:
    """Complaints of click's parser do not say of which command they are."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


# The option that was probably meant by a bare word behind a command.
_MEANT = {
    **dict.fromkeys(("dag", "list"), "--run"),
    **dict.fromkeys(("enter", "leave", "whoami", "next", "inbox", "wake-due"), "--tool"),
    **dict.fromkeys(("add", "take", "done", "drop"), "--id"),
    "log": "--kind",
    "wait": "--until",
    "give": "--to",
    "mission": "--set",
    "inject": "--text",
}


def _surplus(ctx: click.Context) -> UsageError:
    """A word too many, with the option that it was probably meant for."""
    from rally.model import shell  # errors are rare

    word = ctx.args[0]
    flags = {flag for param in ctx.command.params for flag in param.opts}
    meant = _MEANT.get(str(ctx.info_name), "--path")
    if "--subject" in flags and " " in word:
        meant = "--subject"
    elif "--path" in flags and "/" in word:
        meant = "--path"
    return UsageError(
        "usage",
        f"{ctx.command_path} takes no argument {word!a}",
        hint=f"{meant} {shell.word(word)}" if meant in flags else f"{ctx.command_path} --help",
    )
