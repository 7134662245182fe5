"""Starting an agent in tmux: a name first, then its pane, then the fact that it runs (contract X2).

What fails on the way is undone in the opposite order, so no half-made session is left: no pane, no new
worktree, and in the ledger a session that began and failed.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rally.execution.sessions.book import Book, Doc
from rally.execution.sessions.environment import agent_words, server_flags
from rally.execution.sessions.panes import OPTION, Pane, pane_of, serves
from rally.execution.sessions.tmux import Refusal, Tmux
from rally.execution.sessions.worktrees import Tree, Worktrees
from rally.facilitation.places import find_place
from rally.model.errors import Failure, RallyError, Refused
from rally.model.shell import word
from rally.model.visible import visible

# An agent that ends within this time never started.
SETTLE_S = 1.0
OUTPUT_LINES = 20
# Wide enough for the agents' screens, until somebody attaches with a terminal of their own.
_COLUMNS, _ROWS = "200", "50"
# Stands for a session id that a dry run cannot know.
_UNKNOWN_ID = "session-xxxxxxxxxxxx"


@dataclass(slots=True, frozen=True)
class Wish:
    """What is to be started.

    Attributes:
        agent: what sessions are numbered after.
        argv: its command; not empty.
        name: of the session; None: the next of its agent.
        tool: its id in the room; None: as the name.
        worktree: it gets a working tree of its own.
    """

    agent: str
    argv: tuple[str, ...]
    name: str | None = None
    tool: str | None = None
    worktree: bool = False


@dataclass(slots=True)
class _Made:
    """What was made so far."""

    session: Doc
    tmux: Tmux
    tree: Tree | None = None
    trees: Worktrees | None = None
    pane: str | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)


async def start(book: Book, wish: Wish) -> tuple[Doc, list[dict[str, str]]]:
    """Start an agent.

    Raises:
        UsageError, Refused: nothing was started or written.
        Failure: `no-tmux`: nothing was written. `start-failed`, `tmux-failed`, `worktree-failed`:
            all that had been made was undone, and the ledger says that the session failed.
    """
    tmux = Tmux(server_flags(book.env), book.env)
    check_startable(book, wish, tmux)
    trees = _worktrees(book, wish)
    data = {"backend": "tmux", "command": list(wish.argv), "host": os.uname().nodename}
    opened = await _open(book, wish, data, avoid=trees.names() if trees else [])
    made = _Made(opened["session"], tmux, trees=trees, warnings=list(opened.warnings))
    try:
        return await _bring_to_life(book, wish, made, str(opened["room"]))
    except BaseException as error:
        await _undo(book, made, error)
        raise


async def preview(book: Book, wish: Wish) -> tuple[Doc, list[dict[str, str]]]:
    """What `start` would do; nothing is started or written.

    Raises:
        RallyError: as `start` would, as far as it can be known before.
    """
    tmux = Tmux(server_flags(book.env), book.env)
    check_startable(book, wish, tmux)
    trees = _worktrees(book, wish)
    name, tool, room = await _foresee(book, wish, trees.names() if trees else [])
    folder = trees.folder(name) if trees else room
    words = agent_words(book.env, room=room, tool=tool, session_id=_UNKNOWN_ID)
    result: Doc = {
        "dry_run": True, "name": name, "tool": tool, "agent": wish.agent, "backend": "tmux",
        "room": room, "cwd": folder, "command": list(wish.argv),
        "tmux": tmux.argv(*_commands(name, _UNKNOWN_ID, folder, [*words, *wish.argv])),
    }  # fmt: skip
    if trees is not None:
        result["worktree"] = trees.path(name)
    return result, []


async def _foresee(book: Book, wish: Wish, avoid: list[str]) -> tuple[str, str, str]:
    """Name, tool and room that starting it would come to."""
    try:
        seen = await book.session("start", dry_run=True, **_given(wish, {}, avoid))
    except Refused as refusal:
        name = str(wish.name)
        if refusal.code != "name-taken" or await _gone(book, name) is None:
            raise
        return name, wish.tool or name, find_place(book.cwd, _override(book)).root
    return seen["session"]["name"], seen["session"]["tool"], str(seen["room"])


def check_startable(book: Book, wish: Wish, tmux: Tmux) -> None:
    """Find out what can be found out before anything is made.

    Raises:
        Failure: `no-tmux`, `start-failed`.
    """
    tmux.program()
    program = wish.argv[0]
    if "/" in program:
        if not wish.worktree:
            folder = find_place(book.cwd, _override(book)).root
            _check_file(os.path.join(folder, program), program)
        return
    if shutil.which(program, path=book.env.get("PATH")) is None:
        raise Failure(
            "start-failed", f"there is no program {program!a} in PATH",
            hint=f"""rally run {word(wish.agent)} --command-json '["/path/to/{visible(program)}"]'""",
            details={"program": program},
        )  # fmt: skip


def _check_file(path: str, program: str) -> None:
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise Failure(
            "start-failed", f"{program!a} is no program that can be started",
            hint=f"ls -l {word(path)}", details={"program": program},
        )  # fmt: skip


def _override(book: Book) -> str | None:
    return book.room or book.env.get("RALLY_ROOM") or None


def _worktrees(book: Book, wish: Wish) -> Worktrees | None:
    if not wish.worktree:
        return None
    return Worktrees(find_place(book.cwd, _override(book)).root, book.env)


def _given(wish: Wish, data: Doc, avoid: list[str]) -> Doc:
    given: Doc = {"agent": wish.agent, "data": data}
    if wish.name is not None:
        given["name"] = wish.name
    elif avoid:
        given["avoid"] = avoid
    if wish.tool is not None:
        given["target"] = wish.tool
    return given


async def _open(book: Book, wish: Wish, data: Doc, avoid: list[str]) -> Any:
    """Take the name; that of a session whose pane is gone is free, and its end is written down."""
    try:
        return await book.session("start", **_given(wish, data, avoid))
    except Refused as refusal:
        gone = await _gone(book, str(wish.name)) if refusal.code == "name-taken" else None
        if gone is None:
            raise
    with suppress(Refused):  # somebody else found out at the same time
        await book.session(
            "end", id=gone["session_id"], status="gone", reason="its pane is not there any more"
        )
    return await book.session("start", **_given(wish, data, avoid))


async def _gone(book: Book, name: str) -> Doc | None:
    """The session of this name, if it was started on this machine and has no pane any more."""
    rows = (await book.session("list"))["sessions"]
    held = next((row for row in rows if row["name"] == name), None)
    # One that is being started has no pane yet.
    if held is None or held["status"] == "starting" or held.get("host") != os.uname().nodename:
        return None
    socket_path = str(held.get("socket", ""))
    server = Tmux(("-S", socket_path), book.env)
    if serves(socket_path) and pane_of(server, held["session_id"]) is not None:
        return None
    return dict(held)


async def _bring_to_life(
    book: Book, wish: Wish, made: _Made, room: str
) -> tuple[Doc, list[dict[str, str]]]:
    session = made.session
    name, session_id = session["name"], session["session_id"]
    folder = room
    if made.trees is not None:
        made.tree = made.trees.make(name)
        folder = made.tree.folder
        if not (made.tree.is_new and made.tree.new_branch):
            message = (
                f"{made.tree.path} goes on from what an earlier session left on {made.tree.branch}"
            )
            made.warnings.append({"code": "worktree-reused", "message": message})
    words = agent_words(book.env, room=room, tool=session["tool"], session_id=session_id)
    place = _launch(made, _commands(name, session_id, folder, [*words, *wish.argv]))
    pane = _settle(made, place)
    data = {**place, "pid": pane.pid, "cwd": folder}
    if made.tree is not None:
        data |= {"worktree": made.tree.path, "branch": made.tree.branch}
    told = await book.session("started", id=session_id, data=data)
    made.warnings += told.warnings
    return {
        "dry_run": False, **session, **data, "status": "started", "state": "running", "room": room,
        "fact": told["fact"],
    }, made.warnings  # fmt: skip


def _commands(name: str, session_id: str, folder: str, words: list[str]) -> list[list[str]]:
    """The commands that make the pane, carried out in one go: the pane stays when its program ends,
    so that what it said last can be read."""
    tmux_name = f"rally-{name.replace('.', '_')}-{session_id[-6:]}"
    target = f"={tmux_name}:"
    answer = "#{pane_id}|#{pid}|#{socket_path}"
    return [
        ["new-session", "-d", "-P", "-F", answer, "-s", tmux_name, "-x", _COLUMNS, "-y", _ROWS,
         "-c", folder, "--", *words],
        ["set-option", "-t", target, "destroy-unattached", "off"],
        ["set-option", "-p", "-t", target, "remain-on-exit", "on"],
        ["set-option", "-p", "-t", target, OPTION, session_id],
    ]  # fmt: skip


def _launch(made: _Made, commands: list[list[str]]) -> Doc:
    """Make the pane; where it is."""
    made.pane = f"={commands[0][commands[0].index('-s') + 1]}:"
    try:
        printed = made.tmux.run(*commands)
    except Refusal as refusal:
        raise Failure(
            "start-failed", f"tmux does not start the agent: {refusal.message}", hint=refusal.hint,
            details=refusal.details,
        ) from refusal  # fmt: skip
    pane, server, socket_path = printed.splitlines()[0].split("|", 2)
    return {"pane": pane, "server": int(server), "socket": socket_path}


def _settle(made: _Made, place: Doc) -> Pane:
    """See that the agent lives a moment after its start.

    Looked at again and again, with growing pauses: tmux may miss the end of a program (it is told by a
    signal, and two can come as one), so neither its hooks nor `wait-for` can be waited for.

    Raises:
        Failure: `start-failed`.
    """
    session_id = made.session["session_id"]
    deadline, pause_s = time.monotonic() + SETTLE_S, 0.02
    while True:
        pane = pane_of(made.tmux, session_id) if serves(place["socket"]) else None
        if pane is None or pane.dead:
            raise _ended_at_once(made, pane)
        if time.monotonic() >= deadline:
            return pane
        time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
        pause_s *= 2


def _ended_at_once(made: _Made, pane: Pane | None) -> Failure:
    how, output = "its pane is gone", []
    if pane is not None:
        how = pane.ending
        output = last_lines(made.tmux, pane.pane, OUTPUT_LINES)
    said = f": {visible(output[-1])}" if output else ""
    return Failure(
        "start-failed", f"the agent ended at once ({how}){said}",
        hint="run the command by itself, in the same folder",
        details={"exit_code": pane.exit_status if pane else None, "output": output,
                 "command": made.session["command"]},
    )  # fmt: skip


def last_lines(tmux: Tmux, pane: str, count: int) -> list[str]:
    """The last lines that a pane shows or has shown, all for 0; empty ones at the end left out.

    Raises:
        Failure: `tmux-failed`.
    """
    text = tmux.run(["capture-pane", "-p", "-J", "-S", "-", "-t", pane])
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and (not lines[-1] or lines[-1].startswith("Pane is dead")):
        lines.pop()
    return lines[-count:]


async def _undo(book: Book, made: _Made, error: BaseException) -> None:
    """Take everything back; what cannot be taken back must not hide what went wrong."""
    reason = error.message if isinstance(error, RallyError) else type(error).__name__
    if made.pane is not None:
        with suppress(Failure):
            made.tmux.run(["kill-session", "-t", made.pane.rstrip(":")])
    if made.tree is not None and made.trees is not None:
        with suppress(Failure):
            made.trees.undo(made.tree)
    with suppress(RallyError):
        await book.session("end", id=made.session["session_id"], status="failed", reason=reason)
