"""A clean working tree of one commit, for a while.

A linked worktree of git's in the temp directory: nothing of what lies around in the main one is in it,
and validations that ask git get sound answers. If rally is killed before it can remove the tree, `git
worktree prune` forgets it once the temp directory is cleaned.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from rally.execution.git import clean_env, first_line, run_git
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
        full, own = commit_id(root, commit, env), clean_env(env)
        base = tempfile.mkdtemp(prefix="rally-verify-")
        repository = find_repository(root)
        top = repository.top if repository is not None else None
        inside = os.path.relpath(root, top or root)
        tree = cls(full, os.path.normpath(f"{base}/tree/{inside}"), root, base, own)
        code, _, err = _git(
            [*_NO_HOOKS, "worktree", "add", "--detach", "--quiet", f"{base}/tree", full], root, own
        )
        if code != 0:
            tree.remove()
            raise Failure(
                "unavailable", f"git made no working tree of {full}: {first_line(err)}",
                hint="git worktree list",
            )  # fmt: skip
        return tree

    @property
    def lacks_submodules(self) -> bool:
        """Whether the commit has submodules, which are empty folders here."""
        return os.path.isfile(f"{self._base}/tree/.gitmodules")

    def remove(self) -> None:
        """Forget the working tree and delete it; never an error."""
        tree = f"{self._base}/tree"
        with suppress(Failure):
            _git(["worktree", "remove", "--force", "--force", tree], self._root, self._env)
        shutil.rmtree(self._base, ignore_errors=True)


class Making:
    """A working tree that is made in a thread, and goes with whoever does not wait for it.

    Args:
        root, commit, env: as for `Worktree.make`.
    """

    def __init__(self, root: str, commit: str, env: Mapping[str, str]) -> None:
        self._wanted = (root, commit, env)
        self._tree: Worktree | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def make(self) -> Worktree:
        """Make it; for the thread.

        Raises:
            UsageError, Failure: see `Worktree.make`.
        """
        tree = Worktree.make(*self._wanted)
        with self._lock:
            self._tree = tree
            if self._is_over:  # a checkout takes its time, and meanwhile somebody pressed Ctrl-C
                tree.remove()
        return tree

    def end(self) -> None:
        """Remove it, or see that it is removed as soon as it is there."""
        with self._lock:
            self._is_over = True
            if self._tree is not None:
                self._tree.remove()


def commit_id(root: str, commit: str, env: Mapping[str, str]) -> str:
    """The full id of a commit; arguments and errors as of `Worktree.make`."""
    if find_repository(root) is None:
        raise UsageError(
            "not-a-repository", f"--at needs a git repository, and {root} is none",
            hint="leave out --at",
        )  # fmt: skip
    code, out, _ = _git(["rev-parse", "--verify", "--quiet", "--end-of-options",
                         f"{commit}^{{commit}}"], root, clean_env(env))  # fmt: skip
    if code != 0:
        raise UsageError("bad-value", f"--at names no commit: {commit!a}", hint="--at HEAD")
    return out.decode().strip()


def _git(arguments: list[str], cwd: str, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    return run_git(arguments, cwd, env, timeout_s=TIMEOUT_S)
