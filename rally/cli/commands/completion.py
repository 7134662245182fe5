"""`rally completion`: the script that makes a shell complete rally's words."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from rally.cli.command import verb
from rally.cli.plan import Text
from rally.model.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
# The shell runs `rally` with this variable set to ask what could come next.
VARIABLE = "_RALLY_COMPLETE"


@verb("completion", example='eval "$(rally completion bash)"', exits=(0, 2))
@click.argument("shell", metavar="bash|zsh|fish")
def completion(*, shell: str) -> Text:
    """Print a shell's completion script.

    bash: eval "$(rally completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; fish: rally
    completion fish > ~/.config/fish/completions/rally.fish
    """
    if shell not in SHELLS:
        raise UsageError(
            "usage", f"completion knows {', '.join(SHELLS)}, not {shell!a}",
            hint="rally completion bash", details={"choices": list(SHELLS)},
        )  # fmt: skip
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    # The base class's own: bash's first runs bash to see how old it is.
    script = ShellComplete.source(kind(root, {}, "rally", VARIABLE))
    return Text(script + "\n", {"shell": shell, "script": script})
