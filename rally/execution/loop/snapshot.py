"""What changed between two moments, according to git, also where the tree was dirty before.

A snapshot is a tree object of everything in the working tree that git does not ignore, made through an
index of its own and with an object store of its own: neither the user's index nor the repository gets
anything from it. Two of them differ in exactly what was changed, created or deleted in between, whether
it was committed meanwhile or not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from rally.execution.git import clean_env, first_line, run_git
from rally.execution.loop.rules import Rules
from rally.model.errors import Failure

TIMEOUT_S = 300.0
# What is overruled: hooks and monitors must not run for this, a file of some size is not compared as
# text, what a setting warns of is nobody's concern here, and what is thrown away soon is not packed
# tightly.
_SETTINGS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.safecrlf=false"),
    *("-c", "core.bigFileThreshold=1m", "-c", "advice.addEmbeddedRepo=false"),
    *("-c", "diff.relative=false", "-c", "core.untrackedCache=false"),
    *("-c", "core.looseCompression=0", "-c", "pack.compression=0"),
)
_OF_GIT = ("objects", "index")
_NAMED_MAX = 10
# Stands in a tree for what git cannot take in: a link to a commit that nobody has.
_LEFT_OUT = "160000 %s\t"
_PLAIN = ("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


class Snapshots:
    """Snapshots of one working tree.

    Args:
        top: its root.
        env: the caller's environment.
        scratch: a folder for the index and the objects, which the caller removes.

    Raises:
        Failure: `unavailable`, git is missing or failed; as all that is asked of it.
    """

    def __init__(self, top: str, env: Mapping[str, str], scratch: str) -> None:
        self.top = top
        self._env = clean_env(env)
        asked = [word for one in _OF_GIT for word in ("--git-path", one)]
        objects, index = self._ask("rev-parse", *asked)
        own_objects, own_index = f"{scratch}/objects", f"{scratch}/index"
        os.makedirs(own_objects, exist_ok=True)
        if os.path.isfile(os.path.join(top, index)):
            # It knows which files have not been touched, so only the others are read.
            shutil.copyfile(os.path.join(top, index), own_index)
        # What counts as a change, and what is to be ignored, was settled before the agent came.
        self.rules = Rules(top, env, scratch)
        self._env |= {
            "GIT_INDEX_FILE": own_index,
            "GIT_OBJECT_DIRECTORY": own_objects,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _listed(os.path.join(top, objects)),
        }
        self._nobodys_commit = "1" * (
            64 if self._ask("rev-parse", "--show-object-format") == ["sha256"] else 40
        )
        self.warnings: list[str] = []
        self._look_at_all()

    def _look_at_all(self) -> None:
        """Have git look also at the files that the user told it to take as unchanged."""
        out = self._need("ls-files", "-v", "-z", "--", ".")
        marked = [one for one in out.split(b"\0") if one and (one[:1] == b"S" or one[:1].islower())]
        # What a sparse checkout left out is not there, and is not deleted either.
        here = [
            one[2:]
            for one in marked
            if os.path.lexists(os.path.join(os.fsencode(self.top), one[2:]))
        ]
        if not here:
            return
        names = b"".join(name + b"\0" for name in here)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            code, _, err = self._run("update-index", flag, "-z", "--stdin", stdin=names)
            if code != 0:
                raise _failed("update-index", code, err)

    def take(self) -> str:
        """The id of a tree with everything as it is now."""
        self._env |= self.rules.env()
        is_whole = self._add("--all", "--", ".")
        if found := self._tracked() + self._hidden():
            force = ("--force", "--pathspec-from-file=-", "--pathspec-file-nul")
            is_whole &= self._add(*force, stdin=found)
        if not is_whole:
            self._mark_left_out()
        return self._ask("write-tree")[0]

    def _add(self, *arguments: str, stdin: bytes = b"") -> bool:
        """Take files in; false where git left something out."""
        code, _, err = self._run(
            "--literal-pathspecs", "add", "--ignore-errors", *arguments, stdin=stdin
        )
        if code not in (0, 1):
            raise _failed("add", code, err)
        if code == 1:
            # A file that cannot be read, a repository without a commit: the rest is compared.
            told = first_line(err)
            if told not in self.warnings:
                self.warnings.append(told)
        return code == 0

    def _mark_left_out(self) -> None:
        """What is there and cannot be taken in differs at least from not being there."""
        # New ones, and ones that differ from what was taken in of them earlier.
        differ = self._need("diff-files", "-z", "--name-only", "--ignore-submodules=all")
        found = (self._others() + differ).split(b"\0")
        left = dict.fromkeys(one.removesuffix(b"/") for one in found if one)
        entry = (_LEFT_OUT % self._nobodys_commit).encode()
        stdin = b"".join(entry + name + b"\0" for name in left)
        code, _, err = self._run("update-index", "-z", "--index-info", stdin=stdin)
        if code != 0:
            raise _failed("update-index", code, err)

    def _tracked(self) -> bytes:
        """The files that git ignores, and that were given to it all the same since the beginning."""
        ours = set(self._need("ls-files", "-z").split(b"\0"))
        env = {name: value for name, value in self._env.items() if name != "GIT_INDEX_FILE"}
        code, out, err = self._run("ls-files", "-z", env=env)
        if code != 0:
            raise _failed("ls-files", code, err)
        top = os.fsencode(self.top)
        more = [one for one in out.split(b"\0") if one not in ours]
        return b"".join(one + b"\0" for one in more if os.path.lexists(os.path.join(top, one)))

    def _hidden(self) -> bytes:
        """The files that are new, and ignored by nothing but rules that the repository got since."""
        return self._others() if self.rules.ignores_more else b""

    def _others(self) -> bytes:
        """The files that are not taken in, and that the rules of the beginning do not ignore."""
        given = [f"--exclude-from={one}" for one in (self.rules.exclude, self.rules.ignore)]
        return self._need(
            "ls-files", "--others", "-z", *given, "--exclude-per-directory=.gitignore", "--", "."
        )

    def told(self) -> list[dict[str, str]]:
        """Warnings: what was not compared, and what changed where no task owns anything."""
        said = [("not-compared", f"git left something out: {one}") for one in self.warnings]
        if changed := self.rules.changed():
            names = ", ".join(changed[:_NAMED_MAX])
            more = len(changed) - _NAMED_MAX
            names += f" and {more} more" if more > 0 else ""
            said.append(("git-changed", f"changed meanwhile in git's own folder: {names}"))
        return [{"code": code, "message": message} for code, message in said]

    def changed(self, before: str, after: str) -> list[str]:
        """The files that differ, relative to the root of the tree, sorted; bytes that are no UTF-8
        are lone surrogates."""
        out = self._need("diff-tree", "-r", "-z", "--name-only", *_PLAIN, before, after)
        names = {os.fsdecode(name) for name in out.split(b"\0") if name}
        return sorted(name for name in names if not f"/{name}".startswith("/.rally/"))

    def uncommitted(self, tree: str) -> list[str]:
        """The files of a snapshot that are not as they are in the last commit; all without one."""
        code, out, _ = self._run("rev-parse", "--quiet", "--verify", "HEAD^{tree}")
        last = out.decode().strip() if code == 0 else self._ask("mktree")[0]
        return self.changed(last, tree)

    def difference(self, before: str, after: str, names: Sequence[str]) -> str:
        """The difference as text, of these files."""
        if not names:
            return ""
        literal = [f":(top,literal){name}" for name in names]
        out = self._need("diff-tree", "-r", "-p", *_PLAIN, before, after, "--", *literal)
        return out.decode(errors="replace")

    def ignored(self, names: Sequence[str]) -> set[str]:
        """Those of some names that git ignores; none where one of them is no name to git."""
        if not names:
            return set()
        asked = b"".join(os.fsencode(name) + b"\0" for name in names)
        _, out, _ = self._run("check-ignore", "-z", "--stdin", stdin=asked)
        return {os.fsdecode(name) for name in out.split(b"\0") if name}

    def _ask(self, *arguments: str) -> list[str]:
        return os.fsdecode(self._need(*arguments)).splitlines()

    def _need(self, *arguments: str) -> bytes:
        code, out, err = self._run(*arguments)
        if code != 0:
            raise _failed(arguments[0], code, err)
        return out

    def _run(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, bytes]:
        words = [*_SETTINGS, *arguments]
        return run_git(words, self.top, env or self._env, timeout_s=TIMEOUT_S, stdin=stdin)


def _listed(folder: str) -> str:
    """A folder as an entry of a list that colons part."""
    if ":" not in folder and not folder.startswith('"'):
        return folder
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _failed(what: str, code: int, err: bytes) -> Failure:
    return Failure(
        "unavailable", f"git {what} ended with {code}: {first_line(err)}", hint="git status",
        details={"exit_code": code},
    )  # fmt: skip
