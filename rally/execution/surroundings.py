"""What a watcher's commands find around them: their environment (contract X1)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

# A watcher may be started from a git hook; its commands must not be redirected by it (contract R5).
GITS_OWN = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
)
# What was left for one command of a runner, and means nothing to the next one.
OF_ONE_COMMAND = (
    *("RALLY_STANDBY_ID", "RALLY_RUN", "RALLY_STEP", "RALLY_FROM_SEQ", "RALLY_TO_SEQ"),
    "RALLY_FENCE",
)


def base_env(env: Mapping[str, str], *, root: str, label: str) -> dict[str, str]:
    """What all commands of a watcher share: the room, the label, and a PATH on which `rally` is.

    Args:
        env: the watcher's own environment.
        root: the room's root folder.
        label: the watcher's label.
    """
    kept = {name: value for name, value in env.items() if name not in (*GITS_OWN, *OF_ONE_COMMAND)}
    return {**kept, "PATH": path_with_rally(env), "RALLY_ROOM": root, "RALLY_WATCH": label}


def wake_env(base: Mapping[str, str], standby: Mapping[str, Any]) -> dict[str, str]:
    """The environment in which a standby's owner is woken.

    What the command says is said for the owner, so the owner's session goes with it, and never the
    session in which the watcher happens to run.

    Args:
        standby: the standby fact.
    """
    env = {name: value for name, value in base.items() if name != "RALLY_SESSION_ID"}
    env |= {
        "RALLY_TOOL": standby["tool"],
        "RALLY_STANDBY_ID": standby["event_id"],
        "RALLY_RUN": standby.get("run", ""),
        "RALLY_STEP": standby.get("step", ""),
    }
    if standby.get("session_id"):
        env["RALLY_SESSION_ID"] = standby["session_id"]
    return env


def activity_env(base: Mapping[str, str], first_seq: int, last_seq: int) -> dict[str, str]:
    """The environment in which news is dealt with."""
    return {**base, "RALLY_FROM_SEQ": str(first_seq), "RALLY_TO_SEQ": str(last_seq)}


def path_with_rally(env: Mapping[str, str]) -> str:
    """The caller's PATH, and behind it where this rally is: cron and systemd know neither."""
    folders = env.get("PATH", os.defpath).split(os.pathsep)
    own = [os.path.dirname(os.path.abspath(program)) for program in (sys.argv[0], sys.executable)]
    for folder in own:
        if folder not in folders and os.path.isfile(os.path.join(folder, "rally")):
            folders.append(folder)
    return os.pathsep.join(folders)
