"""Ledger and tmux together: which sessions there are, and how each of them is now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rally.execution.sessions.book import Doc
from rally.execution.sessions.environment import server_flags
from rally.execution.sessions.foreground import foreground_argv, is_prompt
from rally.execution.sessions.panes import Pane, managed_panes, serves
from rally.execution.sessions.tmux import Tmux
from rally.model.errors import Failure

RUNNING, DEAD, GONE, UNKNOWN = "running", "dead", "gone", "unknown"


class Life:
    """How one session is now.

    Attributes:
        session: its row, as the operation `session` lists it.
        state: `running`; `dead`: its program ended and the pane was kept; `gone`: there is no such
            pane; `unknown`: tmux could not be asked, `why` says why.
        pane: None unless running or dead.
    """

    __slots__ = ("pane", "session", "state", "tmux", "why")

    def __init__(
        self, session: Doc, state: str, *, tmux: Tmux, pane: Pane | None = None, why: str = ""
    ) -> None:
        self.session = session
        self.state = state
        self.tmux = tmux
        self.pane = pane
        self.why = why

    def at_prompt(self, env: Mapping[str, str]) -> bool:
        """Whether a shell waits for commands where the agent was.

        A session that was started as a shell is one: there the shell is what was asked for.
        """
        if self.pane is None or self.pane.dead:
            return False
        if self.session["status"] != "adopted" and is_prompt(self.session.get("command") or []):
            return False
        return is_prompt(foreground_argv(self.pane.pid, env))

    def row(self, env: Mapping[str, str]) -> Doc:
        """The session as `sessions` lists it."""
        row = {**self.session, "state": self.state}
        if self.why:
            row["why"] = self.why
        if self.pane is not None:
            row |= {"pane": self.pane.pane, "pid": self.pane.pid, "in_mode": self.pane.in_mode}
            row["foreground"] = self.pane.command
            row["at_prompt"] = self.at_prompt(env)
            if self.pane.dead:
                row["exit_status"], row["signal"] = self.pane.exit_status, self.pane.signal
        return row


def look(sessions: Sequence[Doc], env: Mapping[str, str]) -> list[Life]:
    """How sessions are now; every tmux server is asked once.

    Args:
        sessions: rows of the operation `session`.
        env: the caller's environment.
    """
    servers: dict[str, tuple[Tmux, dict[str, Pane] | None, str]] = {}
    lives = []
    for session in sessions:
        socket_path = str(session.get("socket", ""))
        if session.get("host") != os.uname().nodename:
            why = f"it was started on {session.get('host')}"
            lives.append(Life(session, UNKNOWN, tmux=Tmux((), env), why=why))
            continue
        if socket_path not in servers:
            servers[socket_path] = _ask(socket_path, env)
        tmux, panes, why = servers[socket_path]
        pane = panes.get(session["session_id"]) if panes is not None else None
        if panes is None:
            state = UNKNOWN
        elif pane is None:
            state = GONE
        else:
            state = DEAD if pane.dead else RUNNING
        lives.append(Life(session, state, tmux=tmux, pane=pane, why=why))
    return lives


def _ask(socket_path: str, env: Mapping[str, str]) -> tuple[Tmux, dict[str, Pane] | None, str]:
    # One that is just being started has not told where; it is looked for where it would be.
    tmux = Tmux(("-S", socket_path) if socket_path else server_flags(env), env)
    try:
        if socket_path and not serves(socket_path):
            return tmux, {}, ""
        return tmux, managed_panes(tmux), ""
    except Failure as failure:
        # Without a socket's path nobody can tell "no server" from "no answer".
        if socket_path and not serves(socket_path):  # it has just ended
            return tmux, {}, ""
        return tmux, None, failure.message


def look_at(session: Doc, env: Mapping[str, str]) -> Life:
    """How one session is now."""
    return look([session], env)[0]


def need_pane(life: Life) -> Pane:
    """The pane of a session, dead or alive.

    Raises:
        Failure: `session-gone`.
    """
    if life.pane is None:
        name = life.session["name"]
        why = life.why or "there is no such pane any more"
        raise Failure(
            "session-gone", f"session {name} cannot be reached: {why}",
            hint=f"rally stop {name}, then rally run", details={"state": life.state},
        )  # fmt: skip
    return life.pane
