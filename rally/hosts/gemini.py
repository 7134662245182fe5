"""Gemini CLI, and its hooks as its documentation and source give them.

Standard output must hold one JSON document and nothing else, so the neutral answer is `{}`. Exit 2
denies the tool with standard error as the reason, and then standard output stays empty: some versions
read it first. At BeforeTool there is no text for the agent, only one for the user.
"""

from __future__ import annotations

from rally.hosts.hooks import (
    Answer,
    Hooks,
    Moment,
    Payload,
    Write,
    absolute,
    blocked_by_exit_code,
    context_answer,
    file_write,
    json_answer,
    object_field,
    text_field,
)
from rally.hosts.host import Host
from rally.hosts.shell import shell_writes

GEMINI = Host(name="gemini", programs=("gemini",), facts_from="0.54")


def _writes(payload: Payload, _: str, folder: str) -> list[Write]:
    tool = text_field(payload, "tool_name")
    tool_input = object_field(payload, "tool_input")
    if tool in ("write_file", "replace"):
        return file_write(tool_input, folder, "file_path")
    if tool == "run_shell_command":
        # Which of the two names a version uses for the command's folder is not verified.
        if tool_input.get("dir_path") or tool_input.get("directory"):
            folder = absolute(text_field(tool_input, "dir_path", "directory"), folder)
        return shell_writes(text_field(tool_input, "command"), folder)
    return []


def _tell(event: str, text: str) -> Answer:
    if event == "BeforeTool":
        return json_answer({"systemMessage": text})
    return context_answer(event, text)


GEMINI_HOOKS = Hooks(
    host="gemini",
    events={
        "SessionStart": Moment.SESSION_START,
        "BeforeAgent": Moment.TURN_START,
        "BeforeTool": Moment.BEFORE_WRITE,
        "AfterTool": Moment.AFTER_WRITE,
        "AfterAgent": Moment.TURN_END,
        "SessionEnd": Moment.SESSION_END,
    },
    session_fields=("session_id",),
    writes=_writes,
    tell=_tell,
    block=blocked_by_exit_code,
    neutral=Answer(stdout=b"{}\n"),
)
