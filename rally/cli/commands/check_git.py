"""`rally check before-commit` and `rally check range` (contract K4, K5).

They read git, so they run in the caller's process; the daemon never loads this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from rally.cli.backend import ask
from rally.cli.command import verb
from rally.cli.commands.check import EXITS, verdict
from rally.cli.options import caller, strict
from rally.cli.plan import Answered, Session, Warnings, Work, given
from rally.cli.text.check import show_check
from rally.execution.git import changed_paths, staged_paths
from rally.facilitation.places import canonical_path, find_place
from rally.facilitation.repository import find_repository, git_dir_of
from rally.model.errors import UsageError

# A check of more paths at once would keep others waiting at the daemon.
_BATCH_PATHS = 500

Paths = Callable[[Session, str], list[str]]


@verb("before-commit", example="rally check before-commit --tool claude:1 --strict", exits=EXITS)
@caller
@strict("Exit 4 when anything says stop.")
def before_commit(**options: Any) -> Work:
    """May what is staged in git be committed?

    As before-write, over the files staged in the index of the working tree that you are in.
    """
    return _work("before-commit", options, _staged)


@verb("range", example="rally check range origin/main..HEAD --tool ci --strict", exits=EXITS)
@click.argument("commits", metavar="A..B")
@caller
@strict("Exit 4 when anything says stop.")
def commit_range(*, commits: str, **options: Any) -> Work:
    """May what these commits changed have been written?

    As before-write, over every file that a commit of A..B changed; for CI.
    """
    return _work("range", options, partial(_changed, commits))


def _work(phase: str, options: dict[str, Any], paths: Paths) -> Work:
    params = {"phase": phase, **given(options)}
    return Work(lambda session: _check(session, params, paths), show_check, verdict)


def _staged(session: Session, top: str) -> list[str]:
    call = session.call
    git_dir = git_dir_of(top)
    if git_dir is None:  # a bare repository has no index
        raise _no_working_tree(call.cwd)
    return staged_paths(call.cwd, call.env, git_dir=git_dir)


def _changed(commits: str, session: Session, top: str) -> list[str]:
    return changed_paths(commits, session.call.cwd, session.call.env)


async def _check(session: Session, options: dict[str, Any], paths: Paths) -> Answered:
    top = _top(session.call.cwd)
    params = session.params(options, is_caller=True)
    inside, warnings = _in_room(session, top, paths(session, top))
    whole: dict[str, Any] = {}
    for start in range(0, len(inside) or 1, _BATCH_PATHS):
        batch = {**params, "paths": inside[start : start + _BATCH_PATHS]}
        data, more = await ask(session, "check", batch)
        warnings += [one for one in more if one not in warnings]
        whole = _merged(whole, data) if whole else data
    return whole, warnings


def _top(cwd: str) -> str:
    """The root of the working tree that a folder is in."""
    repository = find_repository(os.path.realpath(cwd or "/"))
    if repository is None or repository.top is None:
        raise _no_working_tree(cwd)
    return repository.top


def _no_working_tree(cwd: str) -> UsageError:
    return UsageError(
        "not-a-repository", f"there is no git working tree around {cwd!a}",
        hint="rally check before-write --path …",
    )  # fmt: skip


def _in_room(session: Session, top: str, names: list[str]) -> tuple[list[str], Warnings]:
    """The files in their canonical form, and a warning for each that is not in the room."""
    call = session.call
    place = find_place(call.cwd, session.room or call.env.get("RALLY_ROOM") or None)
    inside: dict[str, None] = {}
    warnings: Warnings = []
    for name in names:
        try:
            inside[canonical_path(f"{top}/{name}", place)] = None
        except UsageError as error:
            if error.code != "path-outside-room":
                raise
            # A symbolic link that leads elsewhere, or a room that is a part of the repository.
            message = f"not checked, it leads out of the room: {name}"
            warnings.append({"code": error.code, "message": message})
    return list(inside), warnings


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two answers as one; what concerns the whole room is said once."""
    findings = [one for one in second["findings"] if one["path"] is not None]
    return {
        **first,
        "allow": first["allow"] and second["allow"],
        "paths": [*first["paths"], *second["paths"]],
        "findings": first["findings"] + [one for one in findings if one not in first["findings"]],
    }
