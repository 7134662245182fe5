"""click's complaints in rally's words: what was typed, and a flag or value that would work."""

from __future__ import annotations

import click

from rally.cli.command import Verb, VerbGroup
from rally.model.errors import UsageError
from rally.model.text import nearest

# Values that work, for options that were left without one.
_VALUES = {
    "--tool": "claude:1",
    "--target": "codex:1",
    "--to": "codex:1",
    "--path": "src/app.py",
    "--owns": "src/app.py",
    "--room": ".",
    "--run": "api-2",
    "--step": "users",
    "--id": "users",
    "--ref": "12",
    "--ref-standby": "12",
    "--subject": "'what it is about'",
    "--summary": "-",
    "--evidence": "'pytest: 12 passed'",
    "--ttl": "30m",
    "--wait": "60s",
    "--timeout": "10m",
    "--ack-within": "10m",
    "--wake-after": "+30m",
    "--data": "'{}'",
    "--format": "mermaid",
}


def as_usage_error(error: click.ClickException) -> UsageError:
    """The usage error behind a click exception.

    Only attributes that click documents are used; its texts change between versions.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "rally"
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error, path)
    if isinstance(error, click.MissingParameter):
        return _missing(error, path)
    if isinstance(error, click.BadOptionUsage):
        return _bad_option(error, path)
    return UsageError("usage", error.format_message(), hint=f"{path} --help")


def _no_such_option(error: click.NoSuchOption, path: str) -> UsageError:
    flags: list[str] = []
    if error.ctx is not None:
        params = error.ctx.command.get_params(error.ctx)
        flags = [flag for param in params for flag in param.opts if flag.startswith("--")]
    # Without the dashes: all options have those, and --tool is not meant by --room.
    near = nearest(error.option_name.lstrip("-"), [flag.lstrip("-") for flag in flags])
    near = f"--{near}" if near else None
    return UsageError(
        "usage",
        f"{path} has no option {error.option_name!a}",
        hint=near or f"{path} --help",
        details={"nearest": near},
    )


def _missing(error: click.MissingParameter, path: str) -> UsageError:
    param = error.param
    name = "an argument"
    if isinstance(param, click.Option):
        name = param.opts[-1]
    elif param is not None:
        name = (param.metavar or param.name or "").upper()
    command = error.ctx.command if error.ctx else None
    example = command.example if isinstance(command, Verb | VerbGroup) else f"{path} --help"
    return UsageError("usage", f"{path} needs {name}", hint=example)


def _bad_option(error: click.BadOptionUsage, path: str) -> UsageError:
    option = None
    for param in error.ctx.command.get_params(error.ctx) if error.ctx else ():
        if error.option_name in (*param.opts, *param.secondary_opts):
            option = param
    if not isinstance(option, click.Option):
        return UsageError("usage", error.format_message(), hint=f"{path} --help")
    if option.is_flag:
        return UsageError(
            "usage", f"{error.option_name} takes no value", hint=str(error.option_name)
        )
    value = _VALUES.get(error.option_name) or option.metavar or "10"
    return UsageError(
        "usage", f"{error.option_name} needs a value", hint=f"{error.option_name} {value}"
    )
