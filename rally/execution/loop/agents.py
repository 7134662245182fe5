"""The program that carries the task out: an agent that is known by name, or any command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rally.execution.child import Ended
from rally.execution.loop.programs import find_program
from rally.hosts.oneshot.known import ONE_SHOTS
from rally.hosts.oneshot.shape import (
    CONFIG,
    CRASH,
    Invocation,
    OneShot,
    Reading,
    Schema,
    failed,
    last_line,
)
from rally.model.errors import Failure, UsageError
from rally.model.text import nearest

# What a shell answers for a command that it cannot execute, or does not find.
_NOT_RUN = (126, 127)


@dataclass(slots=True, frozen=True)
class Agent:
    """An agent, ready to be called.

    Attributes:
        name: what answers call it.
        words: a known agent's further arguments; else the command's own.
        one_shot: what is known of it; None for a command of the caller's.
    """

    name: str
    program: str
    words: tuple[str, ...]
    one_shot: OneShot | None

    def call(self, prompt: str, schema: Schema) -> Invocation:
        """The whole command line, and what it reads.

        Raises:
            Failure: `agent-unusable`, the prompt cannot be handed over.
        """
        if self.one_shot is None:
            return Invocation((self.program, *self.words), prompt.encode())
        try:
            invocation = self.one_shot.invoke(prompt, schema)
        except ValueError as error:
            raise Failure(
                "agent-unusable", str(error), hint="put the long text into a file and name that"
            ) from None
        return Invocation((self.program, *invocation.words, *self.words), invocation.stdin)

    def read(self, ended: Ended) -> Reading:
        """What came of a call that ended by itself."""
        stdout = ended.stdout.decode(errors="replace")
        stderr = ended.stderr.decode(errors="replace")
        if self.one_shot is not None:
            return self.one_shot.read(ended.exit_code, stdout, stderr)
        if ended.exit_code == 0:
            return Reading(stdout)
        error = last_line(stderr) or last_line(stdout) or "it printed nothing"
        failure = CONFIG if ended.exit_code in _NOT_RUN else CRASH
        return failed(failure, f"it ended with {ended.exit_code}: {error}", stdout)


def find_agent(name: str | None, words: Sequence[str], *, folder: str, path: str) -> Agent:
    """The agent that is meant.

    Args:
        name: of a known one; None: `words` are a command.
        folder: where it is to run.
        path: the PATH.

    Raises:
        UsageError: `usage`, neither was given; `unknown-agent`.
        Failure: `agent-unusable`, it is not installed.
    """
    if name is None:
        if not words:
            raise UsageError(
                "usage", "loop needs an agent: --agent, or a command behind --",
                hint="--agent claude", details={"choices": list(ONE_SHOTS)},
            )  # fmt: skip
        program = find_program(words[:1], folder, path)
        if program is None:
            raise _unusable(words[0])
        return Agent(words[0].rpartition("/")[2], program, tuple(words[1:]), None)
    one_shot = ONE_SHOTS.get(name)
    if one_shot is None:
        near = nearest(name, list(ONE_SHOTS))
        raise UsageError(
            "unknown-agent", f"--agent is {name!a}; it must be one of {', '.join(ONE_SHOTS)}",
            hint=f"--agent {near}" if near else "-- COMMAND, any command that reads a prompt",
            details={"choices": list(ONE_SHOTS), "nearest": near},
        )  # fmt: skip
    program = find_program(one_shot.host.programs, folder, path)
    if program is None:
        raise _unusable(one_shot.host.programs[0])
    return Agent(name, program, tuple(words), one_shot)


def _unusable(program: str) -> Failure:
    return Failure(
        "agent-unusable", f"there is no program {program!a} that could be executed",
        hint="install it, or see that it is in PATH",
    )  # fmt: skip
