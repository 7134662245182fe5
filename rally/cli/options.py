"""Options that several commands share, each said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rally.cli.command import NUMBER
from rally.model.errors import UsageError
from rally.model.kinds import FIELD_BY_NAME, Field
from rally.model.text import check_identity

F = TypeVar("F", bound=Callable[..., Any])

_METAVARS = {
    "text": "TEXT",
    "identity": "NAME",
    "duration": "DURATION",
    "instant": "TIME",
    "json": "JSON",
    "path": "PATH",
    "condition": "CONDITION",
    "tool": "ID",
}


def field_option(field: Field) -> Callable[[F], F]:
    """The option of one field of `say`, as the table of fields describes it.

    Its values are checked at the door (`facilitation.intake`), not by click: whatever way they come
    in, the answer is the same.
    """
    goes_with = f" ({', '.join(field.kinds)})" if field.kinds else ""
    text = f"{_sentence(field.help)}{goes_with}."
    if field.form == "switch":
        return click.option(field.flag, field.name, is_flag=True, help=text)
    metavar = "|".join(field.choices) if field.choices else _METAVARS[field.form]
    if field.name in ("ref", "claim", "ref_standby"):
        metavar = "ID"
    return click.option(field.flag, field.name, metavar=metavar, multiple=field.many, help=text)


def _sentence(text: str) -> str:
    """A capital at the beginning, unless what begins is to be typed (`step:ID`)."""
    return text[0].upper() + text[1:] if text.split(" ", maxsplit=1)[0].isalpha() else text


def fields(*names: str) -> Callable[[F], F]:
    """The options of these fields, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = field_option(FIELD_BY_NAME[name])(function)
        return function

    return decorate


def caller(function: F) -> F:
    """`--tool` and `--session-id`: who calls."""
    function = click.option(
        "--session-id", metavar="ID", help="One session of the tool (default: RALLY_SESSION_ID)."
    )(function)
    return click.option(
        "--tool", metavar="ID", help="Who calls, such as claude:1 (default: RALLY_TOOL)."
    )(function)


def tool_filter(text: str) -> Callable[[F], F]:
    """`--tool` where it selects and does not say who calls."""
    return click.option("--tool", metavar="ID", help=text)


def paths(text: str) -> Callable[[F], F]:
    """`--path`, repeatable."""
    return click.option("--path", "paths", metavar="PATH", multiple=True, help=text)


def run_name(text: str) -> Callable[[F], F]:
    """`--run`."""
    return click.option("--run", metavar="RUN", help=text)


def needed_run(run: str | None) -> str:
    """The value of `--run`, where there has to be one.

    Raises:
        UsageError: `missing-field`, or what is wrong with it.
    """
    if not run:
        raise UsageError("missing-field", "--run is missing", hint="--run RUN")
    return check_identity(run, "--run")


def shell_command(text: str | None, flag: str, example: str) -> str | None:
    """The value of an option that takes a command for `sh`; None where it was not given.

    Raises:
        UsageError: `bad-value`, it is empty; `bad-text`.
    """
    if text is None:
        return None
    if not text.strip():
        raise UsageError("bad-value", f"{flag} is empty", hint=f"{flag} {example}")
    if "\0" in text:
        raise UsageError("bad-text", f"{flag} holds a NUL byte", hint="send it without NUL bytes")
    return text


def strict(text: str) -> Callable[[F], F]:
    """`--strict`."""
    return click.option("--strict", is_flag=True, help=text)


def number(flag: str, text: str) -> Callable[[F], F]:
    """A whole number, such as a seq or a limit."""
    return click.option(flag, type=NUMBER, help=text)


def limit(default: int) -> Callable[[F], F]:
    """`--limit`."""
    return number("--limit", f"Most entries of a list; 0 for all (default: {default}).")
