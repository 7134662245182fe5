"""Managed sessions: opening one under a name that is nobody else's, telling where it runs, ending it.

Nothing is started or stopped here. A runner asks for the name first, so that of any number of runners
each gets another; what it then did, it tells afterwards. Whether the agent lives is for tmux to say.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.intake import Asked
from rally.facilitation.state.entities import ManagedSession
from rally.facilitation.state.leases import binds
from rally.facilitation.state.room import RoomState
from rally.model.clock import to_rfc3339
from rally.model.errors import Refused
from rally.model.shell import word

# How a session may end: by `stop`; let go, its pane lives on; found gone; never came to life.
ENDINGS = ("stopped", "released", "gone", "failed")


def free_name(state: RoomState, agent: str, now_ms: int, *, avoid: Collection[str] = ()) -> str:
    """`<agent>-<nn>` with the lowest number that means nobody yet.

    The name is also the tool id, unless another is given: who is present or holds claims under it
    must not share them with a stranger.

    Args:
        avoid: names that are out of the question for reasons of the runner's.
    """
    number = 1
    while True:
        name = f"{agent}-{number:02d}"
        if name not in avoid and not _means_somebody(state, name, now_ms):
            return name
        number += 1


def _means_somebody(state: RoomState, name: str, now_ms: int) -> bool:
    if name in state.sessions or state.is_present(name):
        return True
    return any(binds(state.claims[one], now_ms) for one in state.claims_by_tool.get(name, ()))


def begin(context: Context, asked: Asked) -> Decision:
    """Open a session: `status` is `starting` or `adopted`, `subject` its name where one was chosen.

    `asked.options` are `agent`, after which it is numbered otherwise, and `avoid`, names not to take.

    Raises:
        Refused: `name-taken`; `pane-taken`, for a pane that another session has.
    """
    state, content = context.state, context.begin(asked)
    name = content.get("subject")
    if name is None:
        avoid = asked.options.get("avoid", ())
        name = free_name(state, asked.options["agent"], context.now_ms, avoid=avoid)
    elif name in state.sessions:
        raise _taken(state.sessions[name])
    content["subject"] = name
    content.setdefault("target", name)
    if asked.content["status"] == "adopted":
        _check_pane(state, content["data"])
    return Decision([content])


def _check_pane(state: RoomState, data: dict[str, Any]) -> None:
    wanted = place_of(data)
    for session in state.sessions.values():
        told = session.started or session.fact
        if place_of(told.get("data") or {}) == wanted:
            raise Refused(
                "pane-taken",
                f"pane {data['pane']} belongs to session {session.fact.doc['subject']}",
                hint=f"rally stop {word(session.fact.doc['subject'])} --forget",
                details={"session": session.fact.doc["subject"], "pane": data["pane"]},
            )


def place_of(data: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a pane this pane: numbers of panes begin anew with every tmux server."""
    return tuple(data.get(name) for name in ("host", "socket", "server", "pane"))


def started(context: Context, asked: Asked) -> Decision:
    """Tell where the agent of an opened session runs; `ref` is the session id.

    Raises:
        Refused: `already-closed`.
    """
    session = _live(context, asked)
    content = context.begin(asked)
    for name in ("subject", "target"):
        if name in session.fact.doc:
            content[name] = session.fact.doc[name]
    return Decision([content])


def end(context: Context, asked: Asked) -> Decision:
    """End a session; `ref` is the session id, `status` how it ended.

    Raises:
        Refused: `already-closed`.
    """
    return started(context, asked)


def _live(context: Context, asked: Asked) -> ManagedSession:
    for session in context.state.sessions.values():
        if session.fact.event_id == asked.content["ref"]:
            return session
    fact = context.known_kind(asked.content["ref"], "the session", ("session",))
    raise Refused(
        "already-closed", f"session {fact.doc['subject']} ({fact.event_id}) has ended",
        hint="rally sessions", details={"session": fact.doc["subject"]},
    )  # fmt: skip


def _taken(session: ManagedSession) -> Refused:
    fact = session.fact
    name, tool = fact.doc["subject"], fact.get("target", "")
    return Refused(
        "name-taken",
        f"{name} is a session of {tool} since {to_rfc3339(fact.created_ms)}",
        hint=f"rally stop {word(name)}",
        details={"session": name, "session_id": fact.event_id, "tool": tool},
    )
