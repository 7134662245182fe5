"""`rally check before-commit` and `rally check range` (contract K4, K5).

They read git, so they run in the caller's process; the daemon never loads this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click

from rally.cli.backend import ask
from rally.cli.ci import check_ledger, formats, is_github
from rally.cli.command import verb
from rally.cli.commands.check import EXITS, verdict
from rally.cli.git_paths import GitPaths
from rally.cli.options import caller, strict
from rally.cli.plan import Answered, Session, Show, Warnings, Work, given
from rally.cli.standard_input import text_of
from rally.cli.text.check import show_check
from rally.cli.text.github import show_github
from rally.cli.text.guard import show_quiet
from rally.execution.git import changed_paths, pushed_paths, staged_paths
from rally.execution.guard.identity import identify
from rally.facilitation.repository import Repository, find_repository, git_dir_of
from rally.model.errors import Failure, UsageError

# A check of more paths at once would keep others waiting at the daemon.
_BATCH_PATHS = 500
_FROM_HOOK = "-"

F = TypeVar("F", bound=Callable[..., Any])
Paths = Callable[[Session, str], list[str]]


def guard(function: F) -> F:
    """The options for git's hooks."""
    function = click.option(
        "--quiet",
        is_flag=True,
        help="Print only what stops, for a commit also warnings; else nothing.",
    )(function)
    return click.option(
        "--as-git", is_flag=True,
        help="Without a tool id: that of the session or worktree you are in, else git:<user.name>.",
    )(function)  # fmt: skip


@verb("before-commit", example="rally check before-commit --tool claude:1 --strict", exits=EXITS)
@caller
@guard
@strict("Exit 4 when anything says stop.")
def before_commit(*, quiet: bool, as_git: bool, **options: Any) -> Work:
    """May what is staged in git be committed?

    As before-write, over the files staged in the index of the working tree that you are in. Where a
    merge is being concluded, over those that differ from both sides.
    """
    run = partial(_check, _params("before-commit", options, as_git=as_git), _staged, {})
    return Work(run, show_quiet if quiet else show_check, verdict)


@verb("range", example="rally check range origin/main..HEAD --tool ci --strict", exits=EXITS)
@click.argument("commits", metavar="A..B")
@caller
@guard
@strict("Exit 4 when anything says stop.")
@click.option(
    "--remote", metavar="NAME", help="With - for A..B: where it is pushed to, as git says it."
)
@formats
def commit_range(
    *, commits: str, remote: str | None, quiet: bool, as_git: bool, form: str, **options: Any
) -> Work:
    """May what these commits changed have been written?

    As before-write, over every file that a commit of A..B changed; for CI. With - for A..B the
    commits that a push would bring, from what git tells a pre-push hook on standard input.
    """
    if remote is not None and commits != _FROM_HOOK:
        raise UsageError(
            "usage",
            "--remote goes with - for A..B",
            hint=f"rally check range {_FROM_HOOK} --remote …",
        )
    find = partial(_pushed, remote or "") if commits == _FROM_HOOK else partial(_changed, commits)
    names: dict[str, str] = {}
    params = _params("range", options, as_git=as_git)
    show: Show = show_quiet if quiet else show_check
    if is_github(form):
        return Work(partial(_in_ci, params, find, names), show_github(names), verdict)
    return Work(partial(_check, params, find, names), show, verdict)


def _params(phase: str, options: Mapping[str, Any], *, as_git: bool) -> dict[str, Any]:
    return {"phase": phase, **given(options), "as_git": as_git}


def _staged(session: Session, top: str) -> list[str]:
    call = session.call
    git_dir = git_dir_of(top)
    if git_dir is None:  # a bare repository has no index
        raise _no_working_tree(call.cwd)
    return staged_paths(call.cwd, call.env, git_dir=git_dir)


def _changed(commits: str, session: Session, _: str) -> list[str]:
    return changed_paths(commits, session.call.cwd, session.call.env)


def _pushed(remote: str, session: Session, _: str) -> list[str]:
    refs = text_of(session.call.stdin or b"", "A..B")
    return pushed_paths(refs, remote, session.call.cwd, session.call.env)


async def _in_ci(
    options: dict[str, Any], find: Paths, names: dict[str, str], session: Session
) -> Answered:
    await check_ledger(partial(_ask_room, session), session)
    return await _check(options, find, names, session)


async def _check(
    options: dict[str, Any], find: Paths, names: dict[str, str], session: Session
) -> Answered:
    """Ask the room about the files.

    Args:
        names: filled with what git calls the files, by canonical path.
    """
    call = session.call
    repository = _repository(call.cwd)
    top = str(repository.top)
    if options["as_git"]:
        _check_hook(repository, session)
    place = session.place()
    files = GitPaths(repository, place)
    files.add(find(session, top))
    names.update(files.names)
    params = session.params(options, is_caller=True)
    said: dict[str, str] = {}
    if params.pop("as_git") and not options.get("tool"):
        who = await identify(
            partial(_ask_room, session), env=call.env, cwd=call.cwd,
            linked_top=place.top if place.top != place.root else None,
        )  # fmt: skip
        params |= {"tool": who.tool, "session_id": options.get("session_id") or who.session_id}
        said["identified_by"] = who.by
    whole, warnings = await _in_batches(session, params, list(names))
    return {**whole, **said}, [*files.warnings, *warnings]


async def _in_batches(session: Session, params: dict[str, Any], paths: list[str]) -> Answered:
    whole: dict[str, Any] = {}
    warnings: Warnings = []
    # What concerns the whole room is in every answer, and said once.
    findings: dict[tuple[Any, ...], dict[str, Any]] = {}
    for start in range(0, len(paths) or 1, _BATCH_PATHS):
        batch = {**params, "paths": paths[start : start + _BATCH_PATHS]}
        data, more = await ask(session, "check", batch)
        warnings += [one for one in more if one not in warnings]
        findings |= {tuple(one.values()): one for one in data["findings"]}
        whole = _merged(whole, data) if whole else data
    return {**whole, "findings": list(findings.values())}, warnings


async def _ask_room(session: Session, op: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    data, _ = await ask(session, op, session.params(params, is_caller=False))
    return data


def _repository(cwd: str) -> Repository:
    """The repository around a folder, one with a working tree or bare."""
    repository = find_repository(os.path.realpath(cwd or "/"))
    if repository is None or repository.top is None:
        raise _no_working_tree(cwd)
    return repository


def _check_hook(repository: Repository, session: Session) -> None:
    """See that a hook runs for the repository whose folder it runs in.

    With `--git-dir` and `--work-tree` git commits to one repository what lies in the folder of another,
    and runs the first one's hooks there; asking the room of the folder would allow it.

    Raises:
        Failure: `unavailable`.
    """
    named, cwd = session.call.env.get("GIT_DIR"), session.call.cwd
    own = git_dir_of(str(repository.top)) or repository.common_dir
    if named and os.path.realpath(os.path.join(cwd, named)) != own:
        raise Failure(
            "unavailable",
            f"git works on {named!a}, and the folder that it works in belongs to {own!a}",
            hint="run git in the working tree, without --git-dir and --work-tree",
        )


def _no_working_tree(cwd: str) -> UsageError:
    return UsageError(
        "not-a-repository", f"there is no git working tree around {cwd!a}",
        hint="rally check before-write --path src/app.py",
    )  # fmt: skip


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two answers as one, but for the findings."""
    return {
        **first,
        "allow": first["allow"] and second["allow"],
        "paths": [*first["paths"], *second["paths"]],
    }
