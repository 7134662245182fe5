"""`rally init`: a room, and the pointers by which agents learn of it (contract R2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click

from rally.cli.command import verb
from rally.cli.commands.hooks import changes_of, plans_of, replanned, rows_of, warnings_of
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.init import show_init
from rally.execution.hook_surfaces import idle_warnings, named, present, surfaces, target_at
from rally.facilitation.ledger.folder import has_room
from rally.facilitation.places import ROOM_FOLDER
from rally.model.errors import UsageError
from rally.setup.backups import Backups
from rally.setup.block import block_changes, block_removals
from rally.setup.surface import FileChange, Plan, Target, Wish
from rally.setup.surfaces import AGENTS
from rally.setup.work import FileDone, diff_of, exact, put_in, take_out


@verb(
    "init",
    example="rally init --create --hooks claude,codex",
    exits={0: "", 1: "a file cannot be written", 2: "", 3: "a file is in the way"},
)
@click.option("--create", is_flag=True, help="Make AGENTS.md and CLAUDE.md where they are missing.")
@click.option("--hooks", metavar="NAMES", help="Install hooks as well: claude,codex,… or all.")
@click.option("--remove", is_flag=True, help="Take the block out of AGENTS.md and CLAUDE.md.")
@click.option("--dry-run", is_flag=True, help="Print what would change as a diff, and do nothing.")
def init(*, create: bool, hooks: str | None, remove: bool, dry_run: bool) -> Work:
    """Make a room here, and tell agents of it.

    AGENTS.md and CLAUDE.md, where they are there, get a short block that says how rally is used. It
    stands between two comments; what is outside of them is never touched, and a block that is there
    is brought up to date. Done again it changes nothing. When a step fails nothing has happened.

    Nobody needs it: `enter` and the first `say` make the room too.
    """
    if remove and (create or hooks):
        other = "--create" if create else "--hooks"
        raise UsageError(
            "usage", f"--remove and {other} contradict each other", hint="rally init --remove"
        )
    names = [] if hooks is None else [one.strip() for one in hooks.split(",")]
    if hooks is not None:
        named(names)

    async def make(session: Session) -> Answered:
        if remove:
            return await _remove(session, dry_run=dry_run)
        place = session.place()
        at = target_at("repo", place, session.call.env)
        wanted = named(names, place) if names else []
        plans = plans_of(wanted, "repo", lambda one: one.install(at, Wish())) if wanted else {}
        return await _make(session, at, plans, create=create, dry_run=dry_run)

    async def carry_out(session: Session) -> Answered:
        return await replanned(partial(make, session))

    return Work(carry_out, show_init)


async def _make(
    session: Session, at: Target, plans: dict[str, Plan], *, create: bool, dry_run: bool
) -> Answered:
    place, env = session.place(), session.call.env
    top = at.folder() if create else at.top
    pages = [] if top is None else block_changes(top, create=create)
    led_out = _led_out(pages, top or "")
    pages = [one for one in pages if one not in led_out]
    changes = [*pages, *changes_of(plans)]
    warnings = [*map(_left_alone, led_out), *warnings_of(plans)]
    if dry_run:
        head = await _head(session)
        is_new = not has_room(place.root)
        data = {"room": place.root, "created": is_new, "head": head}
        return {**data, **_files(changes), "dry_run": True, "diff": diff_of(changes)}, warnings
    with put_in(changes, Backups(env)), _undone(place.root):
        data, more = await session.ask("init", session.params({}, is_caller=False))
    hooks = rows_of(plans, "repo", session) if plans else []
    offer = "" if plans else _offer(session, at)
    answer = {**data, **_files(changes, pages), "dry_run": False, "hooks": hooks, "offer": offer}
    answer["left_alone"] = [one.path for one in led_out]
    return answer, [*more, *warnings, *(idle_warnings(place, env) if plans else [])]


async def _remove(session: Session, *, dry_run: bool) -> Answered:
    """Take the blocks out. The room stays, and none is made."""
    place, env = session.place(), session.call.env
    at, backups = target_at("repo", place, env), Backups(env)
    changes = block_removals(at.folder(), backups)
    data = {"room": place.root, "created": False, "head": await _head(session)}
    if dry_run:
        planned = exact(changes, backups)
        return {**data, **_files(planned), "dry_run": True, "diff": diff_of(planned)}, []
    done = take_out(changes, backups)
    return {**data, **_files(done), "dry_run": False, "removed": True}, []


def _led_out(pages: list[FileChange], top: str) -> list[FileChange]:
    """Links out of the repository: whoever wrote it could have any file of the user's changed."""
    inside = f"{top.rstrip('/')}/"
    return [one for one in pages if not os.path.realpath(one.path).startswith(inside)]


def _left_alone(change: FileChange) -> dict[str, str]:
    said = f"{change.path} is a link to {os.path.realpath(change.path)}, outside of the repository"
    return {"code": "left-behind", "message": f"{said}: it is left alone"}


def _files(changes: list[FileChange], shown: list[FileChange] | None = None) -> dict[str, Any]:
    return {"files": [FileDone.of(one).as_json() for one in (changes if shown is None else shown)]}


async def _head(session: Session) -> int:
    """The head of the room, without making one."""
    data, _ = await session.ask("room", session.params({"limit": 1}, is_caller=False))
    return int(data["head"])


def _offer(session: Session, at: Target) -> str:
    """The line to type for hooks of the agents that are used here; empty where they are in."""
    if at.top is None:
        return ""
    names = present(session.place(), session.call.env)
    missing = [name for name in names if surfaces()[name].status(at).state == "absent"]
    if not missing:
        return ""
    agents = [name for name in names if name in AGENTS]
    return f"rally hooks install {' '.join(missing if agents else ['claude', *missing])}"


@contextmanager
def _undone(root: str) -> Iterator[None]:
    """Half a room that was begun in the body goes when the body fails."""
    folder = f"{root}/{ROOM_FOLDER}"
    was_there = os.path.lexists(folder)
    try:
        yield
    except BaseException:
        if not was_there and not has_room(root):
            # Only what making a room begins with; another process may have put more into it.
            with suppress(OSError):
                os.unlink(f"{folder}/.gitignore")
            with suppress(OSError):
                os.rmdir(folder)
        raise
