"""tmux, asked through its command line.

Not through libtmux: it starts tmux without a time limit, cannot hand it standard input (which is how
64 KiB of text get into a buffer) and tells errors by the text on standard error. What rally needs of
tmux is a dozen commands.

Several commands in one call are carried out by the server in one go. That is what keeps promises here:
no agent can exit between its start and the option that keeps its pane, nobody can enter copy mode
between the look and the paste.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from rally.execution.process import run_captured
from rally.execution.sessions.environment import tmux_env
from rally.model.errors import Failure
from rally.model.visible import visible

TIMEOUT_S = 10.0
Command = Sequence[str]


class TimedOut(Failure):
    """tmux did not answer in time; what was asked of it may have been done."""


class Refusal(Failure):
    """tmux ended with an error."""


class Tmux:
    """One tmux server, running or not.

    Args:
        flags: those that name it, such as `("-L", "name")`.
        env: the caller's environment.
    """

    def __init__(self, flags: Sequence[str], env: Mapping[str, str]) -> None:
        self._flags = tuple(flags)
        self._env = tmux_env(env)

    def program(self) -> str:
        """The tmux command, absolute.

        Raises:
            Failure: `no-tmux`.
        """
        found = shutil.which("tmux", path=self._env.get("PATH"))
        if found is None:
            raise Failure(
                "no-tmux", "tmux is not installed, or not in PATH",
                hint="apt install tmux, or brew install tmux",
            )  # fmt: skip
        return found

    def argv(self, *commands: Command) -> list[str]:
        """The command line for some commands in a row.

        Raises:
            Failure: `no-tmux`.
        """
        # -u: what comes back is UTF-8, whatever the locale.
        argv = [self.program(), "-u", *self._flags]
        for number, command in enumerate(commands):
            argv += [";"] if number else []
            argv += [escaped(word) for word in command]
        return argv

    @property
    def env(self) -> dict[str, str]:
        """The environment that tmux is called in."""
        return dict(self._env)

    def run(self, *commands: Command, stdin: bytes = b"", timeout_s: float | None = None) -> str:
        """Carry out commands in one go; what they print.

        Args:
            stdin: what a command that reads standard input finds there.
            timeout_s: how long they may take; `TIMEOUT_S` where it is not said.

        Raises:
            Failure: `no-tmux`.
            TimedOut: `tmux-failed`.
            Refusal: `tmux-failed`; those before the one that failed were carried out, and
                `details.printed` is what they printed.
        """
        argv = self.argv(*commands)
        name = commands[0][0]
        timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        try:
            code, out, err = run_captured(
                argv, cwd="/", env=self._env, timeout_s=timeout_s, stdin=stdin
            )
        except TimeoutError:
            raise TimedOut(
                "tmux-failed", f"tmux did not answer `{name}` within {timeout_s:g} s",
                hint="tmux list-sessions",
            ) from None  # fmt: skip
        except OSError as error:
            raise Refusal("tmux-failed", f"tmux cannot be run: {error}", hint="tmux -V") from error
        printed = out.decode(errors="replace")
        if code != 0:
            said = visible(err.decode(errors="replace").strip()) or f"exit code {code}"
            raise Refusal(
                "tmux-failed", f"tmux {name}: {said}", hint="tmux list-sessions",
                details={"printed": printed, "exit_code": code},
            )  # fmt: skip
        return printed


def escaped(word: str) -> str:
    """A word such that tmux takes it for a word: a `;` at its end would end the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word
