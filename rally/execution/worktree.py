"""A clean working tree of one commit, for a while.

A linked worktree of git's in the temp directory: nothing of what lies around in the main one is in it,
and validations that ask git get sound answers. If rally is killed before it can remove the tree, `git
worktree prune` forgets it once the temp directory is cleaned.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from rally.execution.git import clean_env
from rally.execution.process import run_captured
from rally.facilitation.repository import find_repository
from rally.model.errors import Failure, UsageError

TIMEOUT_S = 300.0
# Hooks of the repository are for people who check out, not for this.
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")


@dataclass(slots=True, frozen=True)
class Worktree:
    """A working tree that was made; `remove` it.

    Attributes:
        commit: the full id of the commit that is checked out.
        folder: what in it stands for the room's root.
    """

    commit: str
    folder: str
    _root: str
    _base: str
    _env: Mapping[str, str]

    @classmethod
    def make(cls, root: str, commit: str, env: Mapping[str, str]) -> Worktree:
        """Check a commit out beside everything.

        Args:
            root: the room's root.
            commit: anything that names a commit.
            env: the caller's environment.

        Raises:
            UsageError: `not-a-repository`; `bad-value`, it names no commit.
            Failure: `unavailable`, git is missing or failed; nothing is left behind.
        """
        repository = find_repository(root)
        if repository is None:
            raise UsageError(
                "not-a-repository", f"--at needs a git repository, and {root} is none",
                hint="leave out --at",
            )  # fmt: skip
        own = clean_env(env)
        code, out, _ = _git(["rev-parse", "--verify", "--quiet", "--end-of-options",
                             f"{commit}^{{commit}}"], root, own)  # fmt: skip
        if code != 0:
            raise UsageError("bad-value", f"--at names no commit: {commit!a}", hint="--at HEAD")
        full = out.decode().strip()
        base = tempfile.mkdtemp(prefix="rally-verify-")
        inside = os.path.relpath(root, repository.top or root)
        tree = cls(full, os.path.normpath(f"{base}/tree/{inside}"), root, base, own)
        code, _, err = _git(
            [*_NO_HOOKS, "worktree", "add", "--detach", "--quiet", f"{base}/tree", full], root, own
        )
        if code != 0:
            tree.remove()
            raise Failure(
                "unavailable", f"git made no working tree of {full}: {_first_line(err)}",
                hint="git worktree list",
            )  # fmt: skip
        return tree

    def remove(self) -> None:
        """Forget the working tree and delete it; never an error."""
        tree = f"{self._base}/tree"
        with suppress(Failure):
            _git(["worktree", "remove", "--force", "--force", tree], self._root, self._env)
        shutil.rmtree(self._base, ignore_errors=True)


def _first_line(err: bytes) -> str:
    return err.decode(errors="replace").strip().partition("\n")[0]


def _git(arguments: list[str], cwd: str, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    try:
        return run_captured(["git", *arguments], cwd=cwd, env=env, timeout_s=TIMEOUT_S)
    except OSError as error:
        raise Failure(
            "unavailable",
            f"git cannot be run: {error}",
            hint="install git, or see that it is in PATH",
        ) from error
