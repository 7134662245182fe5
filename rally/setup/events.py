"""Which hooks are installed into which host, and how rally's own are recognised.

The names and matchers are the hosts' own, as their versions of autumn 2026 document them
(docs/hooks.md has the table).
"""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import NamedTuple

from rally.setup.surface import Wish

# A hook answers within five seconds; what takes longer is not worth an agent's waiting.
TIMEOUT_S = 10
_CLAUDE_WRITES = "Edit|Write|MultiEdit|NotebookEdit|Bash"
_CODEX_WRITES = "^(Bash|apply_patch|Edit|Write)$"
_GEMINI_WRITES = "write_file|replace|run_shell_command"
_UNREADABLE_COMMAND = re.compile(r"(?:^|[\s/])rally\s+hook\s")


class HookEvent(NamedTuple):
    """One event of a host.

    Attributes:
        name: the host's own.
        matcher: which tools it is for; None where the event knows none.
        is_before: it is asked before a write, and may block it.
    """

    name: str
    matcher: str | None = None
    is_before: bool = False


EVENTS: dict[str, tuple[HookEvent, ...]] = {
    "claude": (
        HookEvent("SessionStart"),
        HookEvent("UserPromptSubmit"),
        HookEvent("PreToolUse", _CLAUDE_WRITES, is_before=True),
        HookEvent("PostToolUse", _CLAUDE_WRITES),
        HookEvent("Stop"),
        HookEvent("SessionEnd"),
    ),
    "codex": (
        HookEvent("SessionStart"),
        HookEvent("UserPromptSubmit"),
        HookEvent("PreToolUse", _CODEX_WRITES, is_before=True),
        HookEvent("PostToolUse", _CODEX_WRITES),
        HookEvent("Stop"),
    ),
    "gemini": (
        HookEvent("SessionStart"),
        HookEvent("BeforeAgent"),
        HookEvent("BeforeTool", _GEMINI_WRITES, is_before=True),
        HookEvent("AfterTool", _GEMINI_WRITES),
        HookEvent("AfterAgent"),
        HookEvent("SessionEnd"),
    ),
    "cursor": (
        HookEvent("sessionStart"),
        HookEvent("beforeSubmitPrompt"),
        # beforeShellExecution stays out: preToolUse with Shell fires for the same command.
        HookEvent("preToolUse", "Write|Delete|Shell", is_before=True),
        HookEvent("afterFileEdit"),
        HookEvent("stop"),
        HookEvent("sessionEnd"),
    ),
    "opencode": (
        HookEvent("session.created"),
        HookEvent("chat.message"),
        HookEvent("tool.execute.before", is_before=True),
        HookEvent("tool.execute.after"),
        HookEvent("session.idle"),
        HookEvent("session.deleted"),
    ),
}


def command_of(host: str, event: HookEvent, wish: Wish) -> str:
    """The command of a hook; what it may do beyond asking is told where it may block only."""
    return " ".join(("rally hook", host, event.name, *(wish.flags() if event.is_before else ())))


def is_rally_hook(command: object) -> bool:
    """Whether a command runs `rally hook`, also with a path or variables before it."""
    if not isinstance(command, str):
        return False
    try:
        words = shlex.split(command)
    except ValueError:
        return _UNREADABLE_COMMAND.search(command) is not None
    return any(
        word.rpartition("/")[2] == "rally" and then == "hook" for word, then in pairwise(words)
    )


def wish_of(commands: list[str]) -> Wish:
    """The wish with which hooks were installed, read from their commands."""
    words = {word for command in commands for word in command.split()}
    return Wish(auto_claim="--auto-claim" in words, fail_closed="--fail-closed" in words)
