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
        elif word in ("-", "--", "--interactive", "-i"):
            continue
        elif word in ("--command", "-Command", "-File") or not word.startswith(("-", "+")):
            return False
        elif not word.startswith("--") and "c" in word[1:]:  # -c, -lc
            return False
    return True


def foreground_argv(pid: int, env: Mapping[str, str]) -> list[str]:
    """The command line in the foreground of a process's terminal; empty where it cannot be told."""
    if os.path.isdir("/proc/self"):
        return _from_proc(pid)
    group = _ps("tpgid", pid, env)
    return _ps("args", int(group[0]), env) if group and group[0].isdecimal() else []


def _from_proc(pid: int) -> list[str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # pid (name) state ppid pgrp session tty tpgid …; the name may hold anything
        group = int(stat.rpartition(")")[2].split()[5])
        raw = Path(f"/proc/{group}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return []
    return [os.fsdecode(word) for word in raw.split(b"\0")[:-1]]


def _ps(column: str, pid: int, env: Mapping[str, str]) -> list[str]:
    """A column of ps, by words; where arguments end it does not tell, and here it does not matter."""
    try:
        _, out, _ = run_captured(
            ["ps", "-o", f"{column}=", "-p", str(pid)], cwd="/", env=env, timeout_s=_TIMEOUT_S
        )
    except OSError:
        return []
    return os.fsdecode(out).split()
