"""Whether a pane shows a shell's prompt: text put there would be carried out, not read.

What counts is the leader of the terminal's foreground process group. tmux knows its name, but not
whether `bash` is a prompt or a script; its arguments tell.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rally.execution.process import run_captured

SHELLS = frozenset(
    "sh bash zsh dash ash ksh mksh oksh yash fish csh tcsh nu pwsh xonsh elvish".split()
)
# Options of these shells whose value is a word of its own.
_WITH_VALUE = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file", "-C", "--init-command"})
_TIMEOUT_S = 5.0


def is_prompt(argv: Sequence[str]) -> bool:
    """Whether this command line is a shell that reads its commands from the terminal."""
    if not argv or os.path.basename(argv[0]).removeprefix("-") not in SHELLS:
        return False
    words = iter(argv[1:])
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word in ("-", "--"):
            continue
        elif _names_commands(word):
            return False
    return True


def _names_commands(word: str) -> bool:
    """Whether an argument of a shell is a script, or the option before commands (`-c`, `-lc`)."""
    if word.startswith("--"):
        return word == "--command"
    return not word.startswith(("-", "+")) or "c" in word[1:] or word == "-File"


def foreground_argv(pid: int, env: Mapping[str, str]) -> list[str]:
    """The command line in the foreground of a process's terminal; empty where it cannot be told."""
    group = foreground_group(pid, env)
    if group == 0:
        return []
    if not _has_proc():
        return _ps("args", group, env)
    try:
        raw = Path(f"/proc/{group}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(word) for word in raw.split(b"\0")[:-1]]


def foreground_group(pid: int, env: Mapping[str, str]) -> int:
    """The process group in the foreground of a process's terminal; 0 where it cannot be told."""
    try:
        if not _has_proc():
            return max(0, int(_ps("tpgid", pid, env)[0]))
        return max(0, int(_stat(pid)[5]))
    except (OSError, ValueError, IndexError):
        return 0


def group_runs(group: int) -> bool:
    """Whether anything of a process group runs; what has ended and waits for its parent does not.

    In containers whose first process collects nobody, such remains stay for ever.
    """
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    if not _has_proc():
        return True
    return any(
        _is_running_member(int(name), group) for name in os.listdir("/proc") if name.isdecimal()
    )


def _is_running_member(pid: int, group: int) -> bool:
    try:
        state, _, its_group = _stat(pid)[:3]
    except (OSError, ValueError, IndexError):
        return False
    return its_group == str(group) and state not in ("Z", "X")


def _stat(pid: int) -> list[str]:
    # pid (name) state ppid pgrp session tty tpgid …; the name may hold anything
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _has_proc() -> bool:
    return os.path.exists("/proc/self/stat")


def _ps(column: str, pid: int, env: Mapping[str, str]) -> list[str]:
    """A column of ps, by words; where arguments end it does not tell, and here it does not matter."""
    try:
        _, out, _ = run_captured(
            ["ps", "-o", f"{column}=", "-p", str(pid)], cwd="/", env=env, timeout_s=_TIMEOUT_S
        )
    except OSError:
        return []
    return os.fsdecode(out).split()
