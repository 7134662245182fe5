"""Ending a session: its pane, its processes, and the fact that it is over."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

from rally.execution.sessions.book import Book, Doc
from rally.execution.sessions.foreground import foreground_group, group_runs
from rally.execution.sessions.life import GONE, UNKNOWN, Life, look_at
from rally.execution.sessions.panes import OPTION, Pane
from rally.execution.sessions.worktrees import Worktrees, has_repository
from rally.model.errors import Failure, RallyError, Refused, UsageError
from rally.model.shell import word

# How long programs have after the hang-up that closing their terminal is, and after SIGTERM.
HANGUP_S, TERM_S = 2.0, 3.0
_LOOK_S_MAX = 0.2
Warnings = list[dict[str, str]]


async def stop(
    book: Book, target: str, *, forget: bool, remove_worktree: bool
) -> tuple[Doc, Warnings]:
    """End a session.

    Args:
        forget: let its pane and its programs go on, and only end the session.
        remove_worktree: also remove its working tree, if that is clean.

    Raises:
        UsageError: `unknown-session`, `ambiguous-session`; nothing was done.
        Failure: `session-gone`: whether it runs cannot be known here, so nothing was ended.
            `tmux-failed`: it may have been ended, and is still in the ledger.
    """
    session = await _find(book, target, remove_worktree=remove_worktree)
    if session is None:  # over already; only its tree is left
        trees = await _trees(book)
        return {"name": target, "worktree_removed": trees.remove(target), "was": "ended"}, []
    life = look_at(session, book.env)
    if life.state == UNKNOWN and not forget:
        raise Failure(
            "session-gone", f"whether {session['name']} runs cannot be told: {life.why}",
            hint=f"rally stop {word(session['name'])} --forget",
        )  # fmt: skip
    status = "released" if forget else "stopped"
    own = life.pane is not None and _is_own(life, book)
    data: Doc = {"name": session["name"], "tool": session["tool"], "was": life.state}
    if own:  # this process ends with the pane, so what it has to tell comes first
        data["fact"] = (await book.session("end", id=session["session_id"], status=status))["fact"]
    await _end_pane(life, book, forget=forget)
    if not own:
        reason = {"reason": "its pane was gone"} if life.state == GONE else {}
        told = await book.session("end", id=session["session_id"], status=status, **reason)
        data["fact"] = told["fact"]
    warnings = await _claims_left(book, session)
    if remove_worktree and session.get("worktree"):
        _remove_tree(data, warnings, await _trees(book), session["name"])
    return data, warnings


async def _find(book: Book, target: str, *, remove_worktree: bool) -> Doc | None:
    try:
        return await book.live(target)
    except UsageError as error:
        if error.code != "unknown-session" or not remove_worktree:
            raise
        room = await book.root()
        trees = Worktrees(room, book.env) if has_repository(room) else None
        if trees is None or target not in dict(trees.listed()):
            raise
    return None


async def _trees(book: Book) -> Worktrees:
    return Worktrees(await book.root(), book.env)


def _remove_tree(data: Doc, warnings: Warnings, trees: Worktrees, name: str) -> None:
    """The session is over either way; a tree that must stay is no error."""
    try:
        data["worktree_removed"] = trees.remove(name)
    except (Refused, Failure, UsageError) as error:
        warnings.append({"code": "worktree-kept", "message": error.message})


def _is_own(life: Life, book: Book) -> bool:
    around = book.env.get("TMUX", "").partition(",")[0]
    pane = life.pane.pane if life.pane else ""
    return bool(around) and (around, book.env.get("TMUX_PANE")) == (
        life.session.get("socket"),
        pane,
    )


async def _end_pane(life: Life, book: Book, *, forget: bool) -> None:
    pane = life.pane
    if pane is None:
        return
    if forget:
        life.tmux.run(
            ["set-option", "-pu", "-t", pane.pane, OPTION],
            ["set-option", "-pu", "-t", pane.pane, "remain-on-exit"],
        )
        return
    groups = _groups(pane, book) if not pane.dead else set()
    life.tmux.run(["kill-pane", "-t", pane.pane])
    await _end_groups(groups)


def _groups(pane: Pane, book: Book) -> set[int]:
    """The process groups of the agent and of what it has in the foreground, while they surely are
    its own."""
    groups = {foreground_group(pane.pid, book.env)}
    with suppress(OSError):
        groups.add(os.getpgid(pane.pid))
    return {group for group in groups if group > 1 and group != os.getpgrp()}


async def _end_groups(groups: set[int]) -> None:
    """See them end by the hang-up; what does not gets SIGTERM, then SIGKILL."""
    for number, grace_s in ((signal.SIGTERM, HANGUP_S), (signal.SIGKILL, TERM_S)):
        groups = await _left(groups, grace_s)
        for group in groups:
            with suppress(OSError):
                os.killpg(group, number)


async def _left(groups: set[int], grace_s: float) -> set[int]:
    """Those of the groups that are still there after a grace.

    Nobody tells of the end of processes that are not one's own, so they are looked at.
    """
    loop = asyncio.get_running_loop()
    deadline, pause_s = loop.time() + grace_s, 0.01
    while groups := {group for group in groups if group_runs(group)}:
        if loop.time() >= deadline:
            break
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_S_MAX)
    return groups


async def _claims_left(book: Book, session: Doc) -> Warnings:
    """What the agent held: it lapses by itself, or is let go at once by leaving in its name."""
    try:
        seen = await book.call("room", tool=session["tool"], limit=0)
    except RallyError:
        return []
    held: list[dict[str, Any]] = [
        claim for claim in seen["active_claims"]
        if claim["tool"] == session["tool"]
        and claim.get("session_id") in (None, session["session_id"])
    ]  # fmt: skip
    if not held:
        return []
    leave = f"rally leave --tool {word(session['tool'])} --session-id {session['session_id']}"
    message = (
        f"{session['tool']} still holds {len(held)} claims until they lapse; to end them: {leave}"
    )
    return [{"code": "claims-left", "message": message}]
