"""Claude Code, and its hooks as its documentation gives them.

A hook blocks by exit 2 with its reason on standard error; exit 1 and every other code does not. With
exit 0, standard output is empty or one JSON document. `additionalContext` reaches the agent at
SessionStart; at PreToolUse in newer versions, since when is not verified. Exit 2 at Stop would keep the
agent from stopping, so nothing but PreToolUse is ever answered with it.
"""

from __future__ import annotations

from rally.hosts.hooks import (
    Answer,
    Hooks,
    Moment,
    Payload,
    Write,
    blocked_by_exit_code,
    context_answer,
    file_write,
    object_field,
    text_field,
)
from rally.hosts.host import Host
from rally.hosts.shell import shell_writes

CLAUDE = Host(
    name="claude",
    programs=("claude",),
    facts_from="2.1.295",
    marks=("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS"),
)
_FILE_TOOLS = frozenset(("Edit", "Write", "MultiEdit"))


def _writes(payload: Payload, _: str, folder: str) -> list[Write]:
    tool = text_field(payload, "tool_name")
    tool_input = object_field(payload, "tool_input")
    if tool in _FILE_TOOLS:
        return file_write(tool_input, folder, "file_path")
    if tool == "NotebookEdit":
        return file_write(tool_input, folder, "notebook_path")
    if tool == "Bash":
        return shell_writes(text_field(tool_input, "command"), folder)
    return []


CLAUDE_HOOKS = Hooks(
    host="claude",
    events={
        "SessionStart": Moment.SESSION_START,
        "UserPromptSubmit": Moment.TURN_START,
        "PreToolUse": Moment.BEFORE_WRITE,
        "PostToolUse": Moment.AFTER_WRITE,
        "Stop": Moment.TURN_END,
        "SessionEnd": Moment.SESSION_END,
    },
    session_fields=("session_id",),
    writes=_writes,
    tell=context_answer,
    block=blocked_by_exit_code,
    neutral=Answer(),
)
