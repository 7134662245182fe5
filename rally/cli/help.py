"""The help texts (contract O6): laid out here, so that every version of click gives the same pages.

They hold nothing that an agent wrote.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Sequence

import click

from rally.cli.command import Verb, VerbGroup

WIDTH_DEFAULT = 80
_WIDTH_MIN, _WIDTH_MAX = 40, 100
_TERM_MAX = 30
_MEANING_MIN = 26
COMMON = ("--json", "--room", "--no-color", "--help")

Row = tuple[str, str]


def command_help(command: Verb, ctx: click.Context, *, only: Sequence[str] = ()) -> str:
    """Summary, usage, every argument and option, an example, the exit codes.

    Args:
        only: names of the options to list; empty for all.
    """
    width = _width(ctx)
    params = command.get_params(ctx)
    arguments = [p for p in params if isinstance(p, click.Argument)]
    options = [p for p in params if isinstance(p, click.Option) and not p.hidden]
    own = [p for p in options if p.opts[-1] not in COMMON and (not only or p.name in only)]
    usage = [ctx.command_path, *(["[OPTIONS]"] if options else []), *map(_metavar, arguments)]
    blocks = [
        _wrapped(f"Usage: {' '.join(usage)}", width, "", "  "),
        *_paragraphs(command.help or "", width),
        _definitions("Options:", [option_row(option) for option in own], width),
        _definitions("Common options:", _common_rows(options), width),
        _closing(command.example, command.exits, width),
    ]
    return _joined(blocks)


def group_help(group: VerbGroup, ctx: click.Context) -> str:
    """As `command_help`, with the commands of the group, under their sections."""
    width = _width(ctx)
    options = [p for p in group.get_params(ctx) if isinstance(p, click.Option)]
    own = [p for p in options if p.opts[-1] not in COMMON]
    blocks = [
        _wrapped(f"Usage: {ctx.command_path} [OPTIONS] COMMAND …", width, "", "  "),
        *_paragraphs(group.help or "", width),
    ]
    sections: dict[str, list[Row]] = {}
    for entry in group.entries.values():
        sections.setdefault(entry.section or "Commands", []).append((entry.name, entry.summary))
    term = max(len(name) for name in group.entries)
    blocks += [_definitions(f"{title}:", rows, width, term) for title, rows in sections.items()]
    blocks += [
        _definitions("Options:", [option_row(option) for option in own], width),
        _definitions("Common options:", _common_rows(options), width),
        _closing(group.example, group.exits, width),
    ]
    return _joined(blocks)


def _width(ctx: click.Context) -> int:
    return min(max(ctx.terminal_width or WIDTH_DEFAULT, _WIDTH_MIN), _WIDTH_MAX)


def _joined(blocks: Iterable[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _metavar(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    name = f"{name}…" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _paragraphs(text: str, width: int) -> list[list[str]]:
    """The docstring's paragraphs; one that is indented stays as it is."""
    blocks = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(" "):
            blocks.append([f"  {line}" for line in paragraph.splitlines()])
        else:
            blocks.append(_wrapped(paragraph, width, "  "))
    return blocks


def _wrapped(text: str, width: int, indent: str, hanging: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def option_row(option: click.Option) -> Row:
    """An option with its value, and what it means."""
    flags = ", ".join(option.opts)
    if not option.is_flag:
        flags += f" {option.metavar or option.type.name}"
    more = " (repeatable)" if option.multiple else ""
    return flags, f"{option.help or ''}{more}"


def _common_rows(options: Iterable[click.Option]) -> list[Row]:
    return [option_row(option) for option in options if option.opts[-1] in COMMON]


def _definitions(title: str, rows: Sequence[Row], width: int, term: int = 0) -> list[str]:
    """Terms on the left, what they mean on the right, below where a term is too long."""
    if not rows:
        return []
    column = term or max((len(name) for name, _ in rows if len(name) <= _TERM_MAX), default=0)
    if width - column - 4 < _MEANING_MIN:
        column = 2  # so narrow that all meanings go below
    lines = [title]
    for name, meaning in rows:
        start = " " * (column + 4)
        wrapped = _wrapped(meaning, width, start) or [start]
        if len(name) <= column:
            wrapped[0] = f"  {name.ljust(column)}  {wrapped[0].lstrip()}".rstrip()
            lines += wrapped
        else:
            lines += [f"  {name}", *wrapped]
    return lines


def _closing(example: str, exits: dict[int, str], width: int) -> list[str]:
    # The example is never wrapped: it is there to be pasted.
    codes = "; ".join(f"{code} {meaning}" for code, meaning in exits.items())
    return [f"Example: {example}", *_wrapped(f"Exit codes: {codes}", width, "", "  ")]
