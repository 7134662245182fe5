"""Codex CLI, and its hooks as its source reads them.

It took claude's form over, with these differences: exit 2 blocks only with a reason on standard error;
`permissionDecision: allow` and any unknown field make the hook a failed one, and then the tool
runs. A shell command and a raw patch both come as `tool_input.command`. Its session ids are UUIDs of
version 7, whose first half is the time.
"""

from __future__ import annotations

from shlex import join

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
from rally.hosts.patch import patch_writes
from rally.hosts.shell import shell_writes

CODEX = Host(name="codex", programs=("codex",), facts_from="0.154")
# `Edit` and `Write` are names under which a matcher may know `apply_patch`; `shell` and
# `exec_command` are not verified.
_PATCH_TOOLS = frozenset(("apply_patch", "Edit", "Write"))
_SHELL_TOOLS = frozenset(("Bash", "shell", "exec_command"))


def _writes(payload: Payload, _: str, folder: str) -> list[Write]:
    tool = text_field(payload, "tool_name")
    if tool not in _PATCH_TOOLS | _SHELL_TOOLS:
        return []
    tool_input = object_field(payload, "tool_input")
    if tool in _SHELL_TOOLS:
        return shell_writes(_command(tool_input), folder)
    if "command" not in tool_input and "file_path" in tool_input:
        return file_write(tool_input, folder, "file_path")
    return patch_writes(_command(tool_input), folder)


def _command(tool_input: Payload) -> str:
    words = tool_input.get("command")
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        return join(words)
    return text_field(tool_input, "command")


CODEX_HOOKS = Hooks(
    host="codex",
    events={
        "SessionStart": Moment.SESSION_START,
        "UserPromptSubmit": Moment.TURN_START,
        "PreToolUse": Moment.BEFORE_WRITE,
        "PostToolUse": Moment.AFTER_WRITE,
        "Stop": Moment.TURN_END,
    },
    session_fields=("session_id",),
    writes=_writes,
    tell=context_answer,
    block=blocked_by_exit_code,
    neutral=Answer(),
    clocked_ids=True,
)
