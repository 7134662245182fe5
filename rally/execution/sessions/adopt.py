"""Taking a pane that is there already as a session."""

from __future__ import annotations

import os
from contextlib import suppress

from rally.execution.sessions.book import Book, Doc
from rally.execution.sessions.environment import server_flags
from rally.execution.sessions.foreground import foreground_argv, is_prompt
from rally.execution.sessions.panes import FORMAT, OPTION, Pane, pane_at, parse_pane
from rally.execution.sessions.tmux import Tmux
from rally.model.errors import Failure, RallyError, Refused, UsageError

Warnings = list[dict[str, str]]


async def adopt(
    book: Book, target: str | None, *, agent: str, name: str | None, tool: str | None
) -> tuple[Doc, Warnings]:
    """Make a pane a session.

    Args:
        target: tmux's name of the pane, such as `%3` or `work:1.0`; None: the caller's own.
        agent: what the session is numbered after where it gets no name.

    Raises:
        UsageError: there is no such pane, or it is dead.
        Refused: `name-taken`, `pane-taken`.
        Failure: `no-tmux`, `tmux-failed`.
        After any of them the pane belongs to whom it belonged before.
    """
    tmux = Tmux(server_flags(book.env), book.env)
    pane = _wanted(tmux, target or book.env.get("TMUX_PANE"))
    if pane.session_id:
        raise _taken(pane.pane, pane.session_id)
    socket_path = tmux.run(["display-message", "-p", "-t", pane.pane, "#{socket_path}"]).strip()
    data: Doc = {
        "backend": "tmux", "host": os.uname().nodename, "pane": pane.pane, "server": pane.server,
        "socket": socket_path, "pid": pane.pid, "command": foreground_argv(pane.pid, book.env)[:1],
    }  # fmt: skip
    given = {"name": name, "target": tool}
    opened = await book.session(
        "adopt", agent=agent, data=data, **{k: v for k, v in given.items() if v is not None}
    )
    session = opened["session"]
    try:
        _mark(tmux, pane.pane, session["session_id"])
    except BaseException as error:
        reason = error.message if isinstance(error, RallyError) else type(error).__name__
        with suppress(RallyError):
            await book.session("end", id=session["session_id"], status="failed", reason=reason)
        raise
    data = {**session, "state": "running", "room": opened["room"], "fact": opened["fact"]}
    return data, [*opened.warnings, *_advice(pane, session, book)]


def _wanted(tmux: Tmux, target: str | None) -> Pane:
    if not target:
        raise UsageError(
            "usage", "which pane? none was named, and this is no tmux pane",
            hint="rally adopt %3, from `tmux list-panes -a`",
        )  # fmt: skip
    tmux.program()
    pane = pane_at(tmux, target)
    if pane is None:
        raise UsageError(
            "bad-value", f"tmux finds no pane {target!a}", hint="tmux list-panes -a",
        )  # fmt: skip
    if pane.dead:
        raise UsageError(
            "bad-value", f"the program in pane {pane.pane} has ended",
            hint=f"tmux respawn-pane -t {pane.pane}",
        )  # fmt: skip
    return pane


def _mark(tmux: Tmux, pane: str, session_id: str) -> None:
    """Put the session id on the pane, unless another is there: tmux looks and sets in one go."""
    mark = f"set-option -p -t {pane} {OPTION} {session_id}"
    line = tmux.run(
        ["if-shell", "-F", "-t", pane, f"#{{{OPTION}}}", "", mark],
        ["display-message", "-p", "-t", pane, FORMAT],
    )
    marked = parse_pane(line.rstrip("\n"))
    if marked is None:
        raise Failure("tmux-failed", f"pane {pane} is gone", hint="tmux list-panes -a")
    if marked.session_id != session_id:
        raise _taken(pane, marked.session_id)


def _taken(pane: str, session_id: str) -> Refused:
    return Refused(
        "pane-taken", f"pane {pane} belongs to {session_id}, of this room or another",
        hint=f"tmux set-option -pu -t {pane} {OPTION}",
        details={"pane": pane, "session_id": session_id},
    )  # fmt: skip


def _advice(pane: Pane, session: Doc, book: Book) -> Warnings:
    warnings = [
        {
            "code": "own-environment",
            "message": f"the program in pane {pane.pane} keeps its own environment; it must be told "
            f"RALLY_TOOL={session['tool']} RALLY_SESSION_ID={session['session_id']}",
        }
    ]
    if is_prompt(foreground_argv(pane.pid, book.env)):
        message = (
            f"a shell waits for commands in {pane.pane}; nothing is injected until an agent runs"
        )
        warnings.append({"code": "shell-prompt", "message": message})
    return warnings
