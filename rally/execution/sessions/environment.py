"""The two environments of managed agents: that of tmux, and that of the agent in it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rally.execution.surroundings import OF_ONE_COMMAND, path_with_rally
from rally.hosts.known import MARKS

SOCKET_VARIABLE = "RALLY_TMUX_SOCKET"
_ENV = "/usr/bin/env"
# What brings the agent's own rally to the same daemon, and marks what a watcher's command started.
_PASSED_ON = (
    *("RALLY_RUNTIME_DIR", "RALLY_DAEMON", "RALLY_WATCH", SOCKET_VARIABLE),
    *("XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
)


def server_flags(env: Mapping[str, str]) -> tuple[str, ...]:
    """The flags that name the tmux server to start agents in.

    `RALLY_TMUX_SOCKET` (a name as for `tmux -L`, or a path as for `-S`), else the server that the
    caller sits in, else the user's usual one.
    """
    chosen = env.get(SOCKET_VARIABLE)
    if chosen:
        return ("-S", os.path.abspath(chosen)) if "/" in chosen else ("-L", chosen)
    around = env.get("TMUX", "").partition(",")[0]
    return ("-S", around) if around else ()


def tmux_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of tmux itself; a server that is started by it hands it to every pane.

    Without what belongs to the caller alone: its place in tmux, its identity in rally, the git hook
    it may run in (contract R5), the agent it may be.
    """
    own = ("TMUX", "TMUX_PANE", *MARKS)
    return {
        name: value
        for name, value in env.items()
        if name not in own and not name.startswith(("GIT_", "RALLY_"))
    }


def agent_words(env: Mapping[str, str], *, room: str, tool: str, session_id: str) -> list[str]:
    """The words before an agent's command that give it its environment.

    env(1) and not tmux's own variables: those reach every later pane of the session too, and the
    options for them differ between versions of tmux. Nothing secret may stand here, for command
    lines can be read by every user of the machine.

    Args:
        env: the caller's.
        room: the room's root.
        tool, session_id: what the agent is called in the room.
    """
    words = [_ENV]
    for name in (*MARKS, *OF_ONE_COMMAND):
        words += ["-u", name]
    passed = {name: env[name] for name in _PASSED_ON if env.get(name)}
    given = {
        **passed,
        "PATH": path_with_rally(env),
        "RALLY_TOOL": tool,
        "RALLY_SESSION_ID": session_id,
        "RALLY_ROOM": room,
    }
    return [*words, *(f"{name}={value}" for name, value in given.items())]
