"""What git says about staged files and commits, read with the git program (contract K4, K5).

Git's own environment is taken away before it runs (contract R5): inside a hook it names the
repository of the hook, and the answer must be about the folder that the command runs in. Only
`GIT_INDEX_FILE` stays, for `git commit` stages into a file of its own; and it goes too where
`GIT_DIR` shows that the hook belongs to another repository.

Settings that change what the commands print are overruled one by one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rally.execution.process import run_captured
from rally.model.errors import Failure, UsageError

TIMEOUT_S = 60.0
_SETTINGS = ("-c", "diff.relative=false", "-c", "log.showRoot=true", "-c", "core.fsmonitor=false")
# Where git finds its settings; everything else of its environment may name another repository.
_KEPT_VARIABLES = frozenset(
    ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH")
)
_NAMES_ONLY = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")


def staged_paths(cwd: str, env: Mapping[str, str], *, git_dir: str) -> list[str]:
    """The files that differ between HEAD and the index, deleted ones included, sorted.

    Args:
        cwd: a folder inside the working tree.
        env: the caller's environment.
        git_dir: the git directory of that working tree, real.

    Returns:
        Paths relative to the top of the working tree. Bytes that are no UTF-8 are lone surrogates.

    Raises:
        UsageError: `not-a-repository`.
        Failure: `unavailable`, git is missing or does not answer.
    """
    own = clean_env(env)
    index = env.get("GIT_INDEX_FILE")
    named = env.get("GIT_DIR")
    if index and (not named or os.path.realpath(os.path.join(cwd, named)) == git_dir):
        own["GIT_INDEX_FILE"] = index
    code, out, err = _git(["diff", "--cached", *_NAMES_ONLY], cwd, own)
    if code != 0:
        raise _failed("git diff --cached", code, err)
    return _names(out)


def changed_paths(commits: str, cwd: str, env: Mapping[str, str]) -> list[str]:
    """The files that any commit of a range changed, sorted; of merges what they changed themselves.

    Args:
        commits: `A..B`; either side may be empty and is HEAD then.
        cwd, env: as for `staged_paths`.

    Raises:
        UsageError: `bad-range`.
        Failure: `unavailable`, git is missing or does not answer.
    """
    first, dots, last = commits.partition("..")
    if not dots or last.startswith(".") or not (first or last) or commits.startswith("-"):
        raise _bad_range(commits, "a range is written A..B")
    # A merge shows what differs from all of its parents (-c): what was merged is in the range or
    # was there before.
    code, out, err = _git(
        ["log", "-c", "--format=", "--no-show-signature", *_NAMES_ONLY,
         "--end-of-options", commits, "--"],
        cwd, clean_env(env),
    )  # fmt: skip
    if code != 0:
        raise _bad_range(commits, err.decode(errors="replace").strip().partition("\n")[0])
    return _names(out)


def clean_env(env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git finds the repository by the folder alone, and asks nobody."""
    own = {
        name: value
        for name, value in env.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES
    }
    return {**own, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _git(arguments: list[str], cwd: str, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    try:
        return run_captured(["git", *_SETTINGS, *arguments], cwd=cwd, env=env, timeout_s=TIMEOUT_S)
    except OSError as error:
        raise Failure(
            "unavailable",
            f"git cannot be run: {error}",
            hint="install git, or see that it is in PATH",
        ) from error


def _names(out: bytes) -> list[str]:
    names = {os.fsdecode(name) for name in out.split(b"\0")}
    return sorted(names - {""})


def _failed(what: str, code: int, err: bytes) -> Failure:
    first = err.decode(errors="replace").strip().partition("\n")[0]
    return Failure(
        "unavailable", f"`{what}` ended with {code}: {first}", hint=f"{what} --name-only",
        details={"exit_code": code},
    )  # fmt: skip


def _bad_range(commits: str, why: str) -> UsageError:
    return UsageError(
        "bad-range", f"git cannot read the commits {commits!a}: {why}",
        hint="rally check range origin/main..HEAD --tool ci",
    )  # fmt: skip
