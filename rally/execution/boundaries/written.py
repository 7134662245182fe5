"""Which of the files that the kernel told of were really worked on: git knows.

Not what git ignores. Not what is as HEAD has it: checking out, pulling, rebasing and making a worktree
write files too, and nobody's work is in them. A file that was committed between the write and the look
is found in the commit; HEAD's log says which commits were made here since the last look.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from rally.execution.git import clean_env, run_git
from rally.facilitation.repository import common_dir_of, find_repository, git_dir_of
from rally.model.errors import Failure

# With more names than this git is asked about the whole tree at once.
_NAMES_MAX = 200
_LOG_BYTES_MAX = 256 * 1024
# The rest of a line of HEAD's log after the names and the time, when somebody committed.
_COMMITTED = b"\tcommit"


class Written:
    """One working tree, or the part of one that a room is for.

    Args:
        top: its root, real.
        env: the caller's environment.
        is_new: it came into being while it was watched, so every commit in it is new.
    """

    def __init__(self, top: str, env: Mapping[str, str], *, is_new: bool = False) -> None:
        self._top = top
        self._env = clean_env(env)
        repository = find_repository(top)
        whole = repository.top if repository is not None else None
        git_dir = git_dir_of(whole) if whole is not None else None
        # git tells names relative to its own top.
        self._prefix = "" if whole in (None, top) else f"{top[len(str(whole)) + 1 :]}/"
        self._git_dir = git_dir
        self._is_linked = git_dir is not None and common_dir_of(git_dir) != git_dir
        self._log_end = 0 if is_new else self._log_size()

    def is_busy(self) -> bool:
        """Whether git works in the tree: what it has written so far is not what it comes to."""
        if self._git_dir is None:
            return False
        if os.path.lexists(f"{self._git_dir}/index.lock"):
            return True
        # One that is being checked out for the first time.
        return self._is_linked and not os.path.lexists(f"{self._git_dir}/index")

    def staged_ms(self) -> int:
        """When git's index was last written; 0 where there is none."""
        try:
            return os.stat(f"{self._git_dir}/index").st_mtime_ns // 1_000_000
        except OSError:
            return 0

    def dirty(self, names: set[str] | None) -> set[str]:
        """The files that differ from HEAD, new ones that git does not ignore among them.

        Blocks while git runs. Where it cannot tell, or there is none, it is all of them.

        Args:
            names: those to ask for, relative to the tree's root; None for the whole tree. More than
                were asked for may come.
        """
        if self._git_dir is None or (names is None and self.is_busy()):
            return names or set()
        asked = sorted(names) if names is not None and len(names) <= _NAMES_MAX else []
        code, out = self._git(
            "--literal-pathspecs", "status", "--porcelain", "-z", "--untracked-files=all",
            "--no-renames", "--ignore-submodules=all", "--", *asked,
        )  # fmt: skip
        if code != 0:
            return names or set()
        return self._named(entry[3:] for entry in out.split(b"\0") if len(entry) > 3)

    def committed(self) -> set[str]:
        """The files in commits that were made here since the last call. Blocks while git runs."""
        found: set[str] = set()
        for commit in self._new_commits():
            code, out = self._git(
                "diff-tree", "-r", "-c", "--root", "--no-renames", "--no-commit-id", "--name-only",
                "-z", commit,
            )  # fmt: skip
            found |= self._named(out.split(b"\0")) if code == 0 else set()
        return found

    def _named(self, raw: Iterable[bytes]) -> set[str]:
        """Names of git's, relative to its own top, as names in this tree."""
        prefix = self._prefix
        names = (os.fsdecode(name) for name in raw if name)
        return {name[len(prefix) :] for name in names if name.startswith(prefix)}

    def _new_commits(self) -> list[str]:
        """The commits made here since the last look, by their ids."""
        begin, self._log_end = self._log_end, self._log_size()
        if self._log_end <= begin:
            return []
        begin = max(begin, self._log_end - _LOG_BYTES_MAX)
        try:
            with open(f"{self._git_dir}/logs/HEAD", "rb") as file:
                file.seek(begin)
                lines = file.read(self._log_end - begin).splitlines()
        except OSError:
            return []
        return [
            words[1].decode("ascii", "replace")
            for line in lines
            if _COMMITTED in line and len(words := line.split(b" ", 2)) == 3
        ]

    def _log_size(self) -> int:
        try:
            return os.stat(f"{self._git_dir}/logs/HEAD").st_size
        except OSError:
            return 0

    def _git(self, *arguments: str) -> tuple[int, bytes]:
        words = ["-c", "core.fsmonitor=false", "-c", "status.relativePaths=false", *arguments]
        try:
            code, out, _ = run_git(words, self._top, self._env)
        except Failure:
            return 1, b""
        return code, out


def among(names: set[str] | None, changed: set[str]) -> set[str]:
    """The changed files among those written; a folder that was deleted stands for its files.

    Args:
        names: those written; None: any may have been.
    """
    if names is None:
        return changed
    found = changed & names
    for name in names - found:
        found |= {one for one in changed if one.startswith(f"{name}/")}
    return found
