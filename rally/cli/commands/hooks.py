"""`rally hooks`: putting rally's hooks into the configuration of agents, and taking them out."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import click

from rally.cli.command import Entry, VerbGroup, verb
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.hooks import show_hooks
from rally.execution.hook_surfaces import (
    ALL,
    idle_warnings,
    named,
    scope_of,
    status_of,
    surfaces,
    target_at,
)
from rally.model.errors import Failure, UsageError
from rally.setup.backups import Backups
from rally.setup.surface import SCOPES, FileChange, Plan, Scope, Surface, Wish
from rally.setup.work import FileDone, diff_of, exact, put_in, take_out

EXITS = {0: "", 1: "a file cannot be written", 2: "", 3: "a file is in the way"}
_REPLANNED_MAX = 3
_NAMES = "claude|codex|cursor|gemini|opencode|git|all"

ACTIONS = (
    Entry("install", f"{__name__}:install", "Put the hooks in, or bring them up to date."),
    Entry("status", f"{__name__}:status", "Which hooks are there, and whether they are whole."),
    Entry("uninstall", f"{__name__}:uninstall", "Take the hooks out again."),
)

hooks = VerbGroup(
    "hooks",
    entries=ACTIONS,
    help="""Have agents ask rally before they write.

Puts hooks into the configuration of agents, and takes them out again. A hook asks before each write
of the agent, and blocks it where somebody else holds the path. What else is in a configuration stays
as it is, byte for byte. Alone it shows what is installed.""",
    example="rally hooks install claude",
    exits=(0, 1, 2, 3),
    default=lambda context: Work(partial(_status, (), None), show_hooks),
)

_surface = click.argument("surface", metavar=_NAMES, nargs=-1)
_scope = click.option(
    "--scope", metavar="|".join(SCOPES), help="The repository's configuration, or yours (default: repo)."
)  # fmt: skip
_dry_run = click.option("--dry-run", is_flag=True, help="Print what would change as a diff.")


@verb("install", example="rally hooks install claude codex --auto-claim", exits=EXITS)
@_surface
@_scope
@click.option("--auto-claim", is_flag=True, help="The hook claims what is written and free.")
@click.option("--fail-closed", is_flag=True, help="Where rally cannot answer, writes are blocked.")
@_dry_run
def install(*, surface: Sequence[str], scope: str | None, dry_run: bool, **wish: bool) -> Work:
    """Put the hooks in, or bring them up to date.

    All files are changed or none. What was there before is kept in $XDG_STATE_HOME/rally/backups, and
    uninstalling restores it. A configuration that cannot be read is left alone, and where it is
    broken is said.
    """
    named(surface)
    return _work(partial(_install, surface, scope_of(scope or "repo"), Wish(**wish), dry_run))


@verb("uninstall", example="rally hooks uninstall claude", exits=EXITS)
@_surface
@_scope
@_dry_run
def uninstall(*, surface: Sequence[str], scope: str | None, dry_run: bool) -> Work:
    """Take the hooks out again.

    A file that nobody edited since becomes what it was, byte for byte, and one that rally made goes.
    In an edited one only what is rally's is taken out.
    """
    named(surface)
    return _work(partial(_uninstall, surface, scope_of(scope or "repo"), dry_run))


@verb("status", example="rally hooks status --json", exits=(0, 2))
@_surface
@_scope
def status(*, surface: Sequence[str], scope: str | None) -> Work:
    """Which hooks are there, and whether they are whole.

    installed, absent, partial (some events are missing), outdated (of another form than this version
    installs), or broken (the file cannot be understood; file, line and column are said). Where the
    agent itself decides whether it trusts the hooks, that is "unverified": rally cannot know it.
    """
    if surface:
        named(surface)
    return Work(partial(_status, surface, scope_of(scope) if scope else None), show_hooks)


def _work(work: Callable[[Session], Awaitable[Answered]]) -> Work:
    async def carry_out(session: Session) -> Answered:
        return await replanned(partial(work, session))

    return Work(carry_out, show_hooks)


def plans_of(
    wanted: Sequence[Surface], scope: Scope, make: Callable[[Surface], Plan]
) -> dict[str, Plan]:
    """One plan for each surface that has the scope.

    Raises:
        UsageError: see `Surface.install`; `bad-value`, a surface that was named alone has no such scope.
        Refused: see `Surface.install`.
    """
    fitting = [one for one in wanted if scope in one.scopes]
    if not fitting:
        scopes = ", ".join(wanted[0].scopes)
        raise UsageError(
            "bad-value", f"{wanted[0].name} has no --scope {scope}; it has: {scopes}",
            hint=f"--scope {wanted[0].scopes[0]}",
        )  # fmt: skip
    return {one.name: make(one) for one in fitting}


def changes_of(plans: dict[str, Plan]) -> list[FileChange]:
    """All that some plans change."""
    return [change for plan in plans.values() for change in plan.changes]


def rows_of(
    plans: dict[str, Plan], scope: Scope, session: Session, *, done: Sequence[FileChange] = ()
) -> list[dict[str, Any]]:
    """How the surfaces of some plans are now, with what was done to their files.

    Args:
        done: the changes as they were carried out, where they are not those of the plans.
    """
    place, env = session.place(), session.call.env
    known = surfaces()
    carried_out = {one.path: one for one in done}
    rows = []
    for found in status_of([known[name] for name in plans], (scope,), place, env):
        plan = plans[found.surface]
        files = [FileDone.of(carried_out.get(one.path, one)) for one in plan.changes]
        notes = list(plan.notes)
        rows.append(
            {**found.as_json(), "changes": [one.as_json() for one in files], "notes": notes}
        )
    return rows


def warnings_of(plans: dict[str, Plan]) -> list[dict[str, str]]:
    """All warnings of some plans."""
    return [warning for plan in plans.values() for warning in plan.warnings]


async def replanned(work: Callable[[], Awaitable[Answered]]) -> Answered:
    """Plan and carry out, again where somebody else's change came in between: agents start together.

    Raises:
        RallyError: see what is carried out.
    """
    for _ in range(_REPLANNED_MAX):
        try:
            return await work()
        except Failure as failure:
            if failure.code != "config-changed":
                raise
    return await work()


async def _install(
    names: Sequence[str], scope: Scope, wish: Wish, dry_run: bool, session: Session
) -> Answered:
    env = session.call.env
    place = session.place()
    at = target_at(scope, place, env)
    plans = plans_of(named(names, place), scope, lambda one: one.install(at, wish))
    changes = changes_of(plans)
    warnings = [*warnings_of(plans), *idle_warnings(place, env)]
    if dry_run:
        return _dry("install", scope, plans, changes, session), warnings
    with put_in(changes, Backups(env)):
        pass
    return _answer("install", scope, rows_of(plans, scope, session)), warnings


async def _uninstall(
    names: Sequence[str], scope: Scope, dry_run: bool, session: Session
) -> Answered:
    env, place = session.call.env, session.place()
    at, backups = target_at(scope, place, env), Backups(env)
    plans = plans_of(named(names, place), scope, lambda one: one.uninstall(at))
    changes = changes_of(plans)
    warnings = [*warnings_of(plans), *_elsewhere(plans, scope, session)]
    if dry_run:
        return _dry("uninstall", scope, plans, exact(changes, backups), session), warnings
    done = take_out(changes, backups)
    return _answer("uninstall", scope, rows_of(plans, scope, session, done=done)), warnings


async def _status(names: Sequence[str], scope: Scope | None, session: Session) -> Answered:
    scopes = (scope,) if scope else SCOPES
    place, env = session.place(), session.call.env
    rows = status_of(named(names or [ALL], place), scopes, place, env)
    is_used = any(row.state not in ("absent", "broken") for row in rows)
    warnings = idle_warnings(place, env) if is_used else []
    return {"action": "status", "surfaces": [row.as_json() for row in rows]}, warnings


def _answer(action: str, scope: Scope, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"action": action, "scope": scope, "dry_run": False, "surfaces": rows}


def _dry(
    action: str, scope: Scope, plans: dict[str, Plan], changes: list[FileChange], session: Session
) -> dict[str, Any]:
    rows = rows_of(plans, scope, session, done=changes)
    data = _answer(action, scope, rows)
    return {**data, "dry_run": True, "diff": diff_of(changes)}


def _elsewhere(plans: dict[str, Plan], scope: Scope, session: Session) -> list[dict[str, str]]:
    """Warnings of hooks that stay in the other scope, and so go on."""
    others = [one for one in SCOPES if one != scope]
    known = surfaces()
    rows = status_of([known[name] for name in plans], others, session.place(), session.call.env)
    # A home that is a repository has one file for both scopes.
    taken = {os.path.realpath(one.path) for one in changes_of(plans)}
    return [
        {
            "code": "other-scope",
            "message": f"the hooks of {row.surface} are still there with --scope {row.scope}: "
            f"rally hooks uninstall {row.surface} --scope {row.scope}",
        }
        for row in rows
        if row.events and not taken.issuperset(os.path.realpath(file) for file in row.files)
    ]
