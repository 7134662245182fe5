"""opencode, whose hooks are functions of a plugin.

rally's plugin calls `rally hook opencode <hook>` with one object: `tool` and `sessionID` of the hook's
input, `args` of its output, and `cwd`. It throws what it reads on standard error when the command exits
2, which keeps the tool from running. That a started session's `context` reaches the agent is the
plugin's business. Ids begin with a clock.
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
    file_write,
    json_answer,
    object_field,
    text_field,
)
from rally.hosts.host import Host
from rally.hosts.patch import patch_writes
from rally.hosts.shell import shell_writes

OPENCODE = Host(name="opencode", programs=("opencode",), facts_from="1.18")


def _writes(payload: Payload, _: str, folder: str) -> list[Write]:
    tool = text_field(payload, "tool")
    args = object_field(payload, "args")
    if tool in ("write", "edit", "multiedit"):
        # Verified for `read`; the same name on the others is not.
        return file_write(args, folder, "filePath", "file_path")
    if tool in ("apply_patch", "patch"):
        return patch_writes(text_field(args, "patchText"), folder)
    if tool == "bash":
        if args.get("workdir"):
            folder = absolute(text_field(args, "workdir"), folder)
        return shell_writes(text_field(args, "command"), folder)
    return []


OPENCODE_HOOKS = Hooks(
    host="opencode",
    events={
        "session.created": Moment.SESSION_START,
        "chat.message": Moment.TURN_START,
        "tool.execute.before": Moment.BEFORE_WRITE,
        "tool.execute.after": Moment.AFTER_WRITE,
        "session.idle": Moment.TURN_END,
        "session.deleted": Moment.SESSION_END,
    },
    session_fields=("sessionID", "session_id"),
    writes=_writes,
    tell=lambda _, text: json_answer({"context": text}),
    block=blocked_by_exit_code,
    neutral=Answer(stdout=b"{}\n"),
    clocked_ids=True,
)
