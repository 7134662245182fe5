"""Where shells look for completions, and the scripts that go there.

Only files of rally's own are written, none of a person's: what a shell needs beside them is a line to
add, and that is printed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import click
from click.shell_completion import ShellComplete, get_completion_class

from rally.model.shell import word

SHELLS = ("bash", "zsh", "fish")
# The shell runs `rally` with this variable set to ask what could come next.
VARIABLE = "_RALLY_COMPLETE"
MARK = "# Written by `rally completion install`; `rally completion uninstall` removes it."
# Where the bash-completion package has what loads completions when they are first asked for.
_LOADERS = (
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/opt/homebrew/etc/profile.d/bash_completion.sh",
    "/usr/local/etc/profile.d/bash_completion.sh",
)


class Home(NamedTuple):
    """A person's folders, as the environment names them (XDG base directories)."""

    data: str
    config: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Home:
        """From the environment; what is no absolute path there does not count."""
        home = env.get("HOME", "")
        if not home.startswith("/"):
            home = os.path.expanduser("~")
        found = []
        for variable, usual in (("XDG_DATA_HOME", ".local/share"), ("XDG_CONFIG_HOME", ".config")):
            named = env.get(variable, "")
            found.append(named.rstrip("/") if named.startswith("/") else f"{home}/{usual}")
        return cls(*found)

    def path(self, shell: str) -> str:
        """The completion file of a shell."""
        if shell == "bash":
            return f"{self.data}/bash-completion/completions/rally"
        if shell == "zsh":
            return f"{self.data}/zsh/site-functions/_rally"
        return f"{self.config}/fish/completions/rally.fish"


def script(root: click.Command, shell: str) -> str:
    """The completion script of a shell, for `eval` or for a file."""
    kind = get_completion_class(shell)
    assert kind is not None
    # The base class's own: bash's first runs bash to see how old it is.
    return ShellComplete.source(kind(root, {}, "rally", VARIABLE)) + "\n"


def file_text(root: click.Command, shell: str) -> str:
    """The same, marked as rally's; zsh reads a file's first line."""
    text = script(root, shell)
    if shell != "zsh":
        return f"{MARK}\n{text}"
    first, _, rest = text.partition("\n")
    return f"{first}\n{MARK}\n{rest}"


def is_own(data: bytes) -> bool:
    """Whether a file was written by `install`."""
    return MARK.encode() in data.splitlines()[:2]


def lines_to_add(shell: str, path: str, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Which file needs which lines before the shell finds its completions; none: it does by itself.

    bash has a loader where the package bash-completion is installed. zsh has no folder of a person's
    own that it searches, and its list is known to zsh alone unless `FPATH` was exported.
    """
    if shell == "zsh":
        folder = os.path.dirname(path)
        if folder in env.get("FPATH", "").split(":"):
            return "", []
        return "~/.zshrc", [f"fpath=({word(folder)} $fpath)", "autoload -Uz compinit && compinit"]
    if shell == "bash" and not any(map(os.path.exists, _LOADERS)):
        return "~/.bashrc", [f". {word(path)}"]
    return "", []
