"""`rally completion`: the script that makes a shell complete rally's words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from rally.cli.command import Entry, VerbGroup, verb
from rally.cli.plan import Answered, Session, Text, Work
from rally.cli.shells import SHELLS, Home, file_text, is_own, lines_to_add, script
from rally.cli.text.completion import show_installed
from rally.model.errors import Refused, UsageError

ACTIONS = (
    *(Entry(shell, f"{__name__}:{shell}", f"Print the script for {shell}.") for shell in SHELLS),
    Entry("install", f"{__name__}:install", "Put the script where the shell finds it."),
    Entry("uninstall", f"{__name__}:uninstall", "Remove what install wrote."),
)

completion = VerbGroup(
    "completion",
    entries=ACTIONS,
    help="""Make a shell complete rally's words.

`install` writes one file of rally's own, and no file of yours: where the shell needs a line more, it
says which one and where. The others print the script, for those who keep such files themselves.""",
    example="rally completion install bash",
    exits=(0, 1, 2, 3),
)


def _root() -> click.Command:
    return click.get_current_context().find_root().command


def _print(shell: str) -> Text:
    text = script(_root(), shell)
    return Text(text, {"action": "print", "shell": shell, "script": text})


@verb("bash", example='eval "$(rally completion bash)"', exits=(0, 2))
def bash() -> Text:
    """Print the script for bash."""
    return _print("bash")


@verb("zsh", example='eval "$(rally completion zsh)"', exits=(0, 2))
def zsh() -> Text:
    """Print the script for zsh."""
    return _print("zsh")


@verb("fish", example="rally completion fish", exits=(0, 2))
def fish() -> Text:
    """Print the script for fish."""
    return _print("fish")


_shell = click.argument("shell", metavar="bash|zsh|fish", required=False)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@verb(
    "install",
    example="rally completion install bash",
    exits={0: "", 1: "", 2: "", 3: "a file that is not rally's is in the way"},
)
@_shell
@_dry_run
def install(*, shell: str | None, dry_run: bool) -> Work:
    """Put the script where the shell finds it.

    bash: ~/.local/share/bash-completion/completions/rally. zsh:
    ~/.local/share/zsh/site-functions/_rally, with the two lines to add where zsh does not look there.
    fish: ~/.config/fish/completions/rally.fish. XDG_DATA_HOME and XDG_CONFIG_HOME are honoured. Done
    again it changes nothing.

    Without an argument for the shell that SHELL names.
    """
    root = _root()

    async def work(session: Session) -> Answered:
        env = session.call.env
        chosen = _chosen(shell, env, "install")
        text = file_text(root, chosen)
        return _change("install", chosen, text.encode(), env, dry_run=dry_run), []

    return Work(work, show_installed)


@verb("uninstall", example="rally completion uninstall bash", exits=(0, 1, 2))
@_shell
@_dry_run
def uninstall(*, shell: str | None, dry_run: bool) -> Work:
    """Remove what install wrote.

    A file that rally did not write stays. Lines that you added to files of yours are yours to remove.
    """

    async def work(session: Session) -> Answered:
        env = session.call.env
        chosen = _chosen(shell, env, "uninstall")
        return _change("uninstall", chosen, None, env, dry_run=dry_run), []

    return Work(work, show_installed)


def _chosen(shell: str | None, env: Mapping[str, str], action: str) -> str:
    """The shell that was named, else the one that SHELL names.

    Raises:
        UsageError: `usage`; neither is one that rally has a script for.
    """
    chosen = shell or os.path.basename(env.get("SHELL", ""))
    if chosen not in SHELLS:
        if shell or chosen:
            what = f"{'' if shell else 'SHELL names '}{chosen!a}"
        else:
            what = "none was named, and SHELL is not set"
        raise UsageError(
            "usage", f"completion knows {', '.join(SHELLS)}: {what}",
            hint=f"rally completion {action} bash", details={"choices": list(SHELLS)},
        )  # fmt: skip
    return chosen


def _change(
    action: str, shell: str, after: bytes | None, env: Mapping[str, str], *, dry_run: bool
) -> dict[str, Any]:
    from rally.setup.files import applied, read  # nothing else here writes
    from rally.setup.surface import FileChange

    path = Home.of(env).path(shell)
    before = read(path)
    if before is not None and not is_own(before):
        if after is not None:
            raise Refused(
                "foreign-file", f"{path} is there and was not written by rally",
                hint="move it away, then run the command again", details={"file": path},
            )  # fmt: skip
        before = None
    changed = before != after
    if changed and not dry_run:
        with applied([FileChange(path, before, after)]):
            pass  # written, or raised with nothing changed
    file, lines = ("", []) if after is None else lines_to_add(shell, path, env)
    return {
        "action": action,
        "shell": shell,
        "path": path,
        "changed": changed,
        "dry_run": dry_run,
        "add_to": file,
        "add_lines": lines,
    }
