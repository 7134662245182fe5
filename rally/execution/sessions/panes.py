"""What tmux says of panes, and which one is whose.

A pane that holds a session carries the session id as its option `@rally_session`. The option lives and
dies with the pane, moves with it between windows, and cannot be mistaken for another's, as the numbers
of panes can: they begin anew with every server.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from rally.execution.sessions.tmux import Refusal, Tmux

OPTION = "@rally_session"
# The separator is printable: tmux replaces others where it takes the terminal for a simple one. What
# programs can choose stands last, where a separator in it does no harm.
_FIELDS = (
    *("pane_id", "pane_dead", "pane_dead_status", "pane_dead_signal", "pane_pid", "pane_in_mode"),
    *("pid", OPTION, "pane_current_command"),
)
FORMAT = "|".join(f"#{{{field}}}" for field in _FIELDS)


@dataclass(slots=True, frozen=True)
class Pane:
    """One pane, as it was a moment ago.

    Attributes:
        pane: its number on its server, `%N`.
        dead: its program has ended, and the pane was kept.
        exit_status: of a dead pane's program; None where a signal ended it.
        pid: of the program that the pane was made for.
        in_mode: somebody scrolls or selects in it (copy mode or another).
        server: the server's process id.
        session_id: of the session that it holds; empty for none.
        command: the program in the foreground, as the system calls it.
    """

    pane: str
    dead: bool
    exit_status: int | None
    signal: int | None
    pid: int
    in_mode: bool
    server: int
    session_id: str
    command: str

    @property
    def ending(self) -> str:
        """How a dead pane's program ended, in words."""
        if self.exit_status is not None:
            return f"exit code {self.exit_status}"
        return f"signal {self.signal}" if self.signal is not None else "how is not known"


def parse_pane(line: str) -> Pane | None:
    """A line in `FORMAT`; None for one that is none."""
    parts = line.split("|", len(_FIELDS) - 1)
    if len(parts) != len(_FIELDS) or not parts[0].startswith("%"):
        return None
    pane, dead, status, signal, pid, in_mode, server, session_id, command = parts
    return Pane(
        pane, dead == "1", _number(status), _number(signal), _number(pid) or 0, in_mode not in ("", "0"),
        _number(server) or 0, session_id, command,
    )  # fmt: skip


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def serves(socket_path: str) -> bool:
    """Whether a tmux server listens there. tmux tells by its error text alone, so it is knocked at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking, suppress(OSError):
        knocking.connect(socket_path)
        return True
    return False


def managed_panes(tmux: Tmux) -> dict[str, Pane]:
    """The panes of a running server that hold sessions, by session id.

    Raises:
        Failure: `no-tmux`, `tmux-failed`.
    """
    panes = _panes(tmux)
    if any(
        pane.dead and (pane.exit_status, pane.signal) == (None, None) for pane in panes.values()
    ):
        # tmux missed the signal that told of this end; the end of another program makes it look.
        tmux.run(["run-shell", "true"])
        panes = _panes(tmux)
    return panes


def _panes(tmux: Tmux) -> dict[str, Pane]:
    lines = tmux.run(["list-panes", "-a", "-F", FORMAT]).splitlines()
    panes = [parse_pane(line) for line in lines]
    return {pane.session_id: pane for pane in panes if pane is not None and pane.session_id}


def pane_of(tmux: Tmux, session_id: str) -> Pane | None:
    """The pane that holds a session; None where there is none.

    Raises:
        Failure: `no-tmux`, `tmux-failed`.
    """
    return managed_panes(tmux).get(session_id)


def pane_at(tmux: Tmux, target: str) -> Pane | None:
    """The pane that tmux finds for a target of its own (`%3`, `work:1.0`); None where it finds none.

    Raises:
        Failure: `no-tmux`, `tmux-failed` (no answer in time).
    """
    try:
        line = tmux.run(["display-message", "-p", "-t", target, FORMAT])
    except Refusal:
        return None
    return parse_pane(line.rstrip("\n"))
