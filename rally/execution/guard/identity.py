"""Who commits, where nobody says: the rule behind `--as-git`, in one place.

In this order: `RALLY_TOOL`; the managed session that the command runs in (`RALLY_SESSION_ID`, or the
mark on its tmux pane), or whose worktree it runs in; the one tool that entered the room from this
linked worktree; and else the person as git knows it, `git:<user.name>`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from rally.execution.git import user_name
from rally.execution.homes import AskRoom, Doc, read_homes
from rally.execution.sessions.panes import OPTION
from rally.execution.sessions.tmux import Tmux
from rally.model.errors import Failure
from rally.model.text import NAME_ALPHABET, TOOL_CHARS_MAX

_PLAIN = NAME_ALPHABET | {"@"}
_NAME_CHARS = TOOL_CHARS_MAX - len("git:-123456")


@dataclass(slots=True, frozen=True)
class Who:
    """Who commits.

    Attributes:
        tool, session_id: as for `--tool` and `--session-id`.
        by: how it was found: `RALLY_TOOL`, `session`, `worktree` or `git`.
    """

    tool: str
    by: str
    session_id: str | None = None


async def identify(
    ask: AskRoom, *, env: Mapping[str, str], cwd: str, linked_top: str | None
) -> Who:
    """Who commits.

    Args:
        ask: puts a question to the room.
        env, cwd: of the command.
        linked_top: the root of the linked worktree that it runs in, real; None in the main one, where
            anybody may be.

    Raises:
        RallyError: the room cannot be asked.
    """
    if env.get("RALLY_TOOL"):
        return Who(env["RALLY_TOOL"], "RALLY_TOOL", env.get("RALLY_SESSION_ID") or None)
    sessions: list[Doc] = list((await ask("session", {"action": "list"}))["sessions"])
    own = _managed(sessions, env)
    if own is not None:
        return Who(own["tool"], "session", own["session_id"])
    if linked_top is not None:
        in_tree = [row for row in sessions if row.get("worktree") == linked_top]
        if len(in_tree) == 1:
            return Who(in_tree[0]["tool"], "session", in_tree[0]["session_id"])
        resident = (await read_homes(ask, sessions)).only_resident(linked_top)
        if resident is not None:
            return Who(resident, "worktree")
    return Who(tool_of_name(user_name(cwd, env) or _login(env)), "git")


def _managed(sessions: list[Doc], env: Mapping[str, str]) -> Doc | None:
    """The managed session that this process runs in."""
    by_id = {row["session_id"]: row for row in sessions}
    named = by_id.get(env.get("RALLY_SESSION_ID", ""))
    socket_path, pane = env.get("TMUX", "").partition(",")[0], env.get("TMUX_PANE")
    if named is not None or not socket_path or not pane:
        return named
    if all(row.get("socket") != socket_path for row in sessions):
        return None
    try:
        told = Tmux(("-S", socket_path), env).run(
            ["display-message", "-p", "-t", pane, f"#{{{OPTION}}}"], timeout_s=2.0
        )
    except Failure:  # then nobody can say which pane this is
        return None
    return by_id.get(told.strip())


def _login(env: Mapping[str, str]) -> str:
    return env.get("USER") or env.get("LOGNAME") or f"uid-{os.getuid()}"


def tool_of_name(name: str) -> str:
    """`git:` and a person's name as a tool id (contract F4); other names give other ids.

    Accents and blanks are written plainly (`git:Jurgen-Muller`). Where a sign has no plain form, six
    digits that depend on the whole name stand behind what is left.
    """
    split = unicodedata.normalize("NFKD", " ".join(name.split()))
    bare = "".join(char for char in split if not unicodedata.combining(char)).replace(" ", "-")
    kept = "".join(char for char in bare if char in _PLAIN)
    if kept == bare and 0 < len(kept) <= _NAME_CHARS:
        return f"git:{kept}"
    digest = sha256(name.encode(errors="surrogateescape")).hexdigest()[:6]
    return f"git:{kept[:_NAME_CHARS]}-{digest}" if kept else f"git:{digest}"
