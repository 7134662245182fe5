"""Cursor's CLI, and its hooks as its documentation gives them.

A hook denies with `permission` on standard output and exit 0, which also carries the reason to the
agent (exit 2 would block too, without a documented place for the reason). `permission: allow` would
approve the call, so it is never said: the neutral answer is `{}`. The names of the fields in
`tool_input` of preToolUse are not verified; those that are known from other tools are all tried.
"""

from __future__ import annotations

from rally.hosts.hooks import (
    Answer,
    Hooks,
    Moment,
    Payload,
    PayloadError,
    Write,
    absolute,
    file_write,
    json_answer,
    object_field,
    text_field,
)
from rally.hosts.host import Host
from rally.hosts.shell import shell_writes

# `agent` is its newer name, and too common a word to be tried first.
CURSOR = Host(name="cursor", programs=("cursor-agent", "agent"), facts_from="2026.07.09")
_PATH_FIELDS = ("file_path", "path", "filePath", "target_file", "target_notebook")
_FILE_TOOLS = frozenset(("Write", "Delete", "Edit", "StrReplace", "MultiEdit", "EditNotebook"))


def _writes(payload: Payload, event: str, folder: str) -> list[Write]:
    folder = _folder(payload, folder)
    if event == "afterFileEdit":
        return file_write(payload, folder, "file_path")
    if event in ("beforeShellExecution", "afterShellExecution"):
        return shell_writes(text_field(payload, "command"), folder)
    tool = text_field(payload, "tool_name")
    if tool in _FILE_TOOLS:
        return file_write(object_field(payload, "tool_input"), folder, *_PATH_FIELDS)
    if tool == "Shell":
        tool_input = object_field(payload, "tool_input")
        if tool_input.get("working_directory"):
            folder = absolute(text_field(tool_input, "working_directory"), folder)
        return shell_writes(text_field(tool_input, "command"), folder)
    return []


def _folder(payload: Payload, folder: str) -> str:
    """Not every event has a `cwd`; all have the roots of the workspace."""
    roots = payload.get("workspace_roots")
    if payload.get("cwd") or not roots:
        return folder
    if not isinstance(roots, list) or not isinstance(roots[0], str):
        raise PayloadError("workspace_roots is no list of texts")
    return roots[0]


def _tell(event: str, text: str) -> Answer:
    if event == "sessionStart":
        return json_answer({"additional_context": text})
    return NEUTRAL


def _block(_: str, reason: str) -> Answer:
    return json_answer({"permission": "deny", "user_message": reason, "agent_message": reason})


NEUTRAL = Answer(stdout=b"{}\n")
CURSOR_HOOKS = Hooks(
    host="cursor",
    events={
        "sessionStart": Moment.SESSION_START,
        "beforeSubmitPrompt": Moment.TURN_START,
        "preToolUse": Moment.BEFORE_WRITE,
        "beforeShellExecution": Moment.BEFORE_WRITE,
        "postToolUse": Moment.AFTER_WRITE,
        "afterFileEdit": Moment.AFTER_WRITE,
        "afterShellExecution": Moment.AFTER_WRITE,
        "stop": Moment.TURN_END,
        "sessionEnd": Moment.SESSION_END,
    },
    session_fields=("conversation_id", "session_id"),
    writes=_writes,
    tell=_tell,
    block=_block,
    neutral=NEUTRAL,
)
