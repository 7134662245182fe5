"""Manual pages, generated from the same commands as the help: `rally.1`, and one page a command.

Written for the `man` macros that groff and mandoc both have. All text goes through `escaped`: a line of
it can be no request, a hyphen that is to be pasted stays a hyphen, and the pages are ASCII, so that
they look the same under any locale.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence

import click

from rally import __version__
from rally.cli.command import Verb, VerbGroup
from rally.cli.help import COMMON, Row, option_row

# In roff these mean something, or are drawn as typographic signs.
_ESCAPES = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
    '"': "\\(dq",
    "…": "...",
}
# Lines that are no longer are what roff's own tools ask for.
_LINE_CHARS = 72
_ENVIRONMENT = (
    ("RALLY_TOOL", "Who calls, where --tool is not given."),
    ("RALLY_SESSION_ID", "One session of the tool, where --session-id is not given."),
    ("RALLY_ROOM", "The room's folder, where --room is not given."),
    ("RALLY_DAEMON", "`off`: no daemon is started or asked."),
    ("RALLY_RUNTIME_DIR", "The folder of the daemon's socket."),
    ("NO_COLOR", "No colours."),
)
_FILES = (
    (".rally/ledger.db", "The ledger of a room, in the root of its repository."),
    ("$XDG_RUNTIME_DIR/rally/", "The daemon's socket."),
    ("$XDG_STATE_HOME/rally/", "The daemon's log, and which rooms there are."),
)


def escaped(text: str) -> str:
    """Text that roff prints as it stands."""
    out = []
    for line in text.split("\n"):
        shown = "".join(_ESCAPES.get(char) or _ascii(char) for char in line)
        # A line that begins like a request is none behind a sign of no width.
        out.append(f"\\&{shown}" if shown.startswith((".", "\\(aq")) else shown)
    return "\n".join(out)


def _ascii(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else " "
    return f"\\[u{ord(char):04X}]"


def pages(root: VerbGroup) -> dict[str, str]:
    """Every page by its file name, such as `rally-check.1`; a group's commands are on its page."""
    context = _context(root, None, "rally")
    names = root.list_commands(context)
    found = {"rally.1": _whole(context, names)}
    for name in names:
        command = root.get_command(context, name)
        assert isinstance(command, Verb | VerbGroup)
        found[f"rally-{name}.1"] = _page(_context(command, context, name))
    return found


def _context(command: click.Command, parent: click.Context | None, name: str) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=80)


def _whole(context: click.Context, names: Sequence[str]) -> str:
    root = context.command
    assert isinstance(root, VerbGroup)
    lines = _head("rally", "let coding agents share a repository without colliding")
    lines += _synopsis(context)
    lines += [".SH DESCRIPTION", *_paragraphs(root.help or "")]
    sections: dict[str, list[Row]] = {}
    for entry in root.entries.values():
        row = (f"rally {entry.name}", entry.summary)
        sections.setdefault(entry.section or "Commands", []).append(row)
    lines.append(".SH COMMANDS")
    for title, rows in sections.items():
        lines += [f".SS {_argument(title)}", *_rows(rows)]
    lines += [".SH OPTIONS", *_rows(_options(context))]
    lines += _exits(root)
    lines += [".SH ENVIRONMENT", *_rows(_ENVIRONMENT), ".SH FILES", *_rows(_FILES)]
    lines += _example(root)
    others = [f".BR rally\\-{escaped(name)} (1)," for name in names]
    return _text([*lines, ".SH SEE ALSO", *others[:-1], others[-1].removesuffix(",")])


def _page(context: click.Context) -> str:
    command = context.command
    assert isinstance(command, Verb | VerbGroup)
    lines = _head(f"rally-{context.info_name}", _summary(command))
    lines += _synopsis(context)
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    if isinstance(command, VerbGroup):
        lines.append(".SH COMMANDS")
        for inner in _inner(context):
            lines += _section(inner)
    lines += [".SH OPTIONS", *_rows(_options(context))]
    lines += _exits(command) + _example(command)
    return _text([*lines, ".SH SEE ALSO", ".BR rally (1)"])


def _inner(context: click.Context) -> Iterator[click.Context]:
    group = context.command
    assert isinstance(group, VerbGroup)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert isinstance(command, Verb | VerbGroup)
        inner = _context(command, context, name)
        yield inner
        if isinstance(command, VerbGroup):
            yield from _inner(inner)


def _section(context: click.Context) -> list[str]:
    """One command of a group."""
    command = context.command
    assert isinstance(command, Verb | VerbGroup)
    lines = [f".SS {_argument(_usage(context))}", *_paragraphs(command.help or "")]
    return [
        *lines,
        *_rows(_options(context, common=False)),
        ".PP",
        f"Example: {_verbatim(command.example)}",
    ]


def _head(name: str, summary: str) -> list[str]:
    title = escaped(name.upper())
    about = summary.strip().rstrip(".")
    about = about[:1].lower() + about[1:]
    return [
        '.\\" Written by `make docs` from the program; changes here are lost.',
        f'.TH {title} 1 "" "rally {escaped(__version__)}" "rally"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(about)}",
    ]


def _synopsis(context: click.Context) -> list[str]:
    return [".SH SYNOPSIS", f"\\fB{escaped(context.command_path)}\\fR {escaped(_words(context))}"]


def _usage(context: click.Context) -> str:
    return f"{context.command_path} {_words(context)}"


def _words(context: click.Context) -> str:
    """What stands behind a command's name."""
    command = context.command
    if isinstance(command, VerbGroup):
        return "[OPTIONS] COMMAND ..."
    arguments = []
    for param in command.get_params(context):
        if isinstance(param, click.Argument):
            name = param.metavar or (param.name or "").upper()
            name = f"{name} ..." if param.nargs == -1 else name
            arguments.append(name if param.required else f"[{name}]")
    return " ".join(["[OPTIONS]", *arguments])


def _summary(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").partition("\n")[0]


def _paragraphs(text: str) -> list[str]:
    """The help's paragraphs; one that is indented is left as it is."""
    lines = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(" "):
            shown = [escaped(line.strip()) or "\\&" for line in paragraph.splitlines()]
            lines += [".PP", ".RS 4", ".nf", *shown, ".fi", ".RE"]
        else:
            lines += [".PP", *_flowing(paragraph)]
    return lines


def _options(context: click.Context, *, common: bool = True) -> list[Row]:
    rows = []
    for option in context.command.get_params(context):
        if not isinstance(option, click.Option) or option.hidden:
            continue
        if common or option.opts[-1] not in COMMON:
            rows.append(option_row(option))
    return rows


def _rows(rows: Sequence[Row]) -> list[str]:
    lines = []
    for term, meaning in rows:
        lines += [".TP", f"\\fB{escaped(term)}\\fR", *(_flowing(meaning) or ["\\&"])]
    return lines


def _flowing(text: str) -> list[str]:
    lines = textwrap.wrap(text, _LINE_CHARS, break_long_words=False, break_on_hyphens=False)
    return [escaped(line) for line in lines]


def _exits(command: Verb | VerbGroup) -> list[str]:
    rows = [(str(code), meaning) for code, meaning in command.exits.items()]
    return [".SH EXIT STATUS", *_rows(rows)]


def _example(command: Verb | VerbGroup) -> list[str]:
    return [".SH EXAMPLES", ".PP", _verbatim(command.example)]


def _verbatim(line: str) -> str:
    return f"\\fB{escaped(line)}\\fR"


def _argument(text: str) -> str:
    """Text as the one argument of a macro."""
    return f'"{escaped(text)}"'


def _text(lines: Sequence[str]) -> str:
    # A paragraph break at a section's beginning is one too many.
    kept = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if not (line == ".PP" and before.startswith((".SH", ".SS")))
    ]
    return "\n".join(kept) + "\n"
