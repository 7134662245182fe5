"""A working tree of git's for one agent: made at its start, kept until somebody removes it.

`.rally/worktrees/<name>` on the branch `rally/<name>`, which begins at the main working tree's HEAD.
Both are kept out of sight of git by being under `.rally/`. Nothing is ever removed by force: a tree with
changes that are not committed stays, a branch that is not merged stays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rally.execution.git import clean_env, run_git
from rally.facilitation.repository import find_repository
from rally.model.errors import Failure, Refused, UsageError
from rally.model.shell import word
from rally.model.visible import visible

FOLDER = ".rally/worktrees"
BRANCHES = "rally/"
TIMEOUT_S = 300.0


@dataclass(slots=True, frozen=True)
class Tree:
    """One agent's working tree.

    Attributes:
        path: its root folder.
        folder: what in it stands for the room's root: where the agent starts.
        branch: what is checked out in it.
        is_new: whether it was made just now, and can be undone.
        new_branch: whether its branch was.
    """

    path: str
    folder: str
    branch: str
    is_new: bool
    new_branch: bool


class Worktrees:
    """The agents' working trees of one room.

    Args:
        root: the room's root.
        env: the caller's environment.

    Raises:
        UsageError: `not-a-repository`.
    """

    def __init__(self, root: str, env: Mapping[str, str]) -> None:
        repository = find_repository(root)
        if repository is None or repository.top is None:
            raise UsageError(
                "not-a-repository", f"--worktree needs a git working tree, and {root} is in none",
                hint="leave out --worktree",
            )  # fmt: skip
        self.root = root
        self._top = repository.top
        self._env = clean_env(env)

    def path(self, name: str) -> str:
        """The folder of a session's tree, whether it is there or not."""
        return f"{self.root}/{FOLDER}/{name}"

    def folder(self, name: str) -> str:
        """Where in it the agent starts."""
        return os.path.normpath(f"{self.path(name)}/{os.path.relpath(self.root, self._top)}")

    def names(self) -> list[str]:
        """Names of sessions that have a tree or a branch; may be empty."""
        _, out = self._git("for-each-ref", "--format=%(refname)", f"refs/heads/{BRANCHES}")
        prefix = f"refs/heads/{BRANCHES}"
        branches = [line.removeprefix(prefix) for line in out.splitlines()]
        return sorted({*branches, *(name for name, _ in self.listed())})

    def listed(self) -> list[tuple[str, str]]:
        """Session name and branch (empty: detached) of each tree that git knows."""
        _, out = self._git("worktree", "list", "--porcelain")
        prefix = f"worktree {os.path.realpath(self.root)}/{FOLDER}/"
        found = []
        for entry in out.split("\n\n"):
            lines = entry.splitlines()
            if lines and lines[0].startswith(prefix):
                branch = [x.removeprefix("branch refs/heads/") for x in lines if x[:7] == "branch "]
                found.append((lines[0].removeprefix(prefix), branch[0] if branch else ""))
        return found

    def make(self, name: str) -> Tree:
        """The tree of a session; one that is still there is used again.

        Raises:
            Failure: `worktree-failed`; nothing was left behind.
        """
        path, branch = self.path(name), BRANCHES + name
        known = dict(self.listed())
        if name in known and os.path.isdir(path):
            return Tree(path, self.folder(name), known[name], is_new=False, new_branch=False)
        code, _ = self._git("show-ref", "--verify", "--quiet", f"refs/heads/{branch}")
        new_branch = code != 0
        what = ["-b", branch, path, "HEAD"] if new_branch else [path, branch]
        code, said = self._git("worktree", "add", "--quiet", *what)
        if code != 0:
            is_there = os.path.lexists(path)
            if new_branch:  # git makes it before it looks at the folder
                self._git("branch", "--delete", "--quiet", branch)
            raise Failure(
                "worktree-failed", f"git made no worktree for {name}: {said}",
                hint="another --name, or move that folder away" if is_there else "git worktree list",
                details={"path": path, "branch": branch},
            )  # fmt: skip
        # A room in a folder that is not committed is not in the tree, and tmux would start elsewhere.
        inside = self.folder(name)
        folder = inside if os.path.isdir(inside) else path
        return Tree(path, folder, branch, is_new=True, new_branch=new_branch)

    def undo(self, tree: Tree) -> None:
        """Take back what `make` made, as far as nobody has put anything into it; never an error."""
        if tree.is_new:
            self._git("worktree", "remove", tree.path)
        if tree.new_branch:
            self._git("branch", "--delete", "--quiet", tree.branch)

    def remove(self, name: str) -> str:
        """Remove the tree of a session, and its branch where it is merged; the tree's path.

        Raises:
            UsageError: `unknown-session`, there is no such tree.
            Refused: `worktree-dirty`; nothing was removed.
            Failure: `worktree-failed`; nothing was removed.
        """
        path, known = self.path(name), dict(self.listed())
        if name not in known:
            raise UsageError(
                "unknown-session", f"there is no worktree {path}", hint="rally sessions",
                details={"worktrees": sorted(known)},
            )  # fmt: skip
        if os.path.isdir(path):
            _, changes = self._git("status", "--porcelain", cwd=path)
            if changes:
                count = len(changes.splitlines())
                raise Refused(
                    "worktree-dirty", f"{path} holds changes that are not committed ({count})",
                    hint=f"git -C {word(path)} status", details={"path": path, "changes": count},
                )  # fmt: skip
        code, said = self._git("worktree", "remove", path)
        if code != 0:
            raise Failure(
                "worktree-failed", f"git did not remove {path}: {said}", hint="git worktree list"
            )
        if known[name]:
            self._git("branch", "--delete", "--quiet", known[name])
        return path

    def _git(self, *arguments: str, cwd: str | None = None) -> tuple[int, str]:
        """Exit code, and what git printed: its output, or the first line of its complaint."""
        try:
            code, out, err = run_git(arguments, cwd or self.root, self._env, timeout_s=TIMEOUT_S)
        except Failure as failure:
            raise Failure("worktree-failed", failure.message, hint=failure.hint) from failure
        text = os.fsdecode(out if code == 0 else err).strip("\n")
        return code, text if code == 0 else visible(_complaint(text))


def _complaint(text: str) -> str:
    """The line that says why: git prints progress before it."""
    lines: Sequence[str] = text.splitlines()
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or list(lines) or ["no reason given"])[0]


def has_repository(root: str) -> bool:
    """Whether the room is in a git working tree."""
    repository = find_repository(root)
    return repository is not None and repository.top is not None
