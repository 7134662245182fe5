"""What git says about staged files and commits, read with the git program (contract K4, K5).

Of a merge only what it changed itself is told, for a commit in the making as for a range: what came
from the other side was somebody's own commit. A path that differs from all parents is the merger's.
So is one that a merge takes back to what it was before the other side: the range as a whole shows it.

Git's own environment is taken away before it runs (contract R5): inside a hook it names the
repository of the hook, and the answer must be about the folder that the command runs in. Only
`GIT_INDEX_FILE` stays, for `git commit` stages into a file of its own; and it goes too where
`GIT_DIR` shows that the hook belongs to another repository.

Settings that change what the commands print are overruled one by one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rally.execution.process import run_captured
from rally.model.errors import Failure, UsageError

TIMEOUT_S = 60.0
_SETTINGS = (
    "--no-replace-objects", "-c", "diff.relative=false", "-c", "log.showRoot=true",
    "-c", "core.fsmonitor=false", "-c", f"diff.orderFile={os.devnull}",
)  # fmt: skip
# Where git finds its settings; everything else of its environment may name another repository.
_KEPT_VARIABLES = frozenset(
    ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_EXEC_PATH")
)
_NAMES_ONLY = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")
# A merge shows what differs from all of its parents (-c).
_LOG = ("log", "-c", "--format=", "--no-show-signature", *_NAMES_ONLY)


def staged_paths(cwd: str, env: Mapping[str, str], *, git_dir: str) -> list[str]:
    """The files that the next commit would change, deleted ones included, sorted.

    They differ between the index and HEAD; where a merge is being concluded, and from what is merged.

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
    found = _differing(cwd, own)
    for merged in _merge_heads(git_dir):
        found &= _differing(cwd, own, merged)
    return sorted(found)


def _differing(cwd: str, env: Mapping[str, str], *commit: str) -> set[str]:
    """The files that differ between the index and a commit; HEAD where none is named."""
    code, out, err = _git(["diff", "--cached", *_NAMES_ONLY, *commit, "--"], cwd, env)
    if code != 0:
        raise _failed("git diff --cached", code, err)
    return _names(out)


def _merge_heads(git_dir: str) -> list[str]:
    """What is being merged: commit ids, empty where no merge is under way."""
    try:
        with open(f"{git_dir}/MERGE_HEAD", encoding="ascii") as file:
            return file.read().split()
    except (OSError, UnicodeDecodeError):
        return []


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
    code, out, err = _git([*_LOG, "--end-of-options", commits, "--"], cwd, clean_env(env))
    if code != 0:
        raise _bad_range(commits, first_line(err))
    return sorted(_names(out) | _since(first or "HEAD", last or "HEAD", cwd, clean_env(env)))


def _since(first: str, last: str, cwd: str, env: Mapping[str, str]) -> set[str]:
    """The files that differ between a commit and a later one; empty where that is no later one.

    No commit on the way need have changed such a file: `git merge -s ours` takes back all that the other
    side did, and differs from that side alone.
    """
    code, _, _ = _git(["merge-base", "--is-ancestor", first, last], cwd, env)
    if code != 0:
        return set()
    code, out, err = _git(["diff", *_NAMES_ONLY, first, last, "--"], cwd, env)
    if code != 0:
        raise _failed("git diff", code, err)
    return _names(out)


def pushed_paths(refs: str, remote: str, cwd: str, env: Mapping[str, str]) -> list[str]:
    """The files that commits change which a push would bring to a remote, sorted.

    Those are the commits behind the pushed refs that the remote has not, as far as is known here: its
    remote-tracking branches and the old values of the pushed refs; of a remote without either, what is
    on no other remote. A ref that is deleted brings nothing; of a forced push only what is new counts.

    Args:
        refs: what git gives a pre-push hook, a line each: `<local ref> <id> <remote ref> <id>`.
        remote: the remote's name, or its URL where it has none; empty for not known.
        cwd, env: as for `staged_paths`.

    Raises:
        UsageError: `bad-range`, a line is none of git's.
        Failure: `unavailable`, git is missing or does not answer.
    """
    own = clean_env(env)
    pushed: list[str] = []
    known: list[str] = []
    moved: dict[tuple[str, str], None] = {}
    for line in refs.splitlines():
        words = line.rsplit(" ", 3)
        ids = words[1::2]
        if len(words) != 4 or not all(map(_is_object_id, ids)):
            raise _bad_range(line, "git tells a pre-push hook `<local ref> <id> <remote ref> <id>`")
        if ids[0].strip("0"):
            pushed.append(ids[0])
            if ids[1].strip("0"):
                known.append(ids[1])
                moved[ids[1], ids[0]] = None
    if not pushed:
        return []
    there = [f"--remotes={remote}"] if remote and _has_refs(remote, cwd, own) else []
    # --ignore-missing: the old value of a ref that somebody else has moved is not here.
    code, out, err = _git(
        [*_LOG, "--ignore-missing", *pushed, "--not", *known, *(there or ["--remotes"] * (not known)),
         "--"],
        cwd, own,
    )  # fmt: skip
    if code != 0:
        raise _failed("git log", code, err)
    return sorted(_names(out).union(*(_since(old, new, cwd, own) for old, new in moved)))


def _has_refs(remote: str, cwd: str, env: Mapping[str, str]) -> bool:
    """Whether anything is known here of what a remote has."""
    _, out, _ = _git(["for-each-ref", "--count=1", f"refs/remotes/{remote}/"], cwd, env)
    return bool(out)


def _is_object_id(word: str) -> bool:
    return len(word) in (40, 64) and not word.strip("0123456789abcdef")


def hooks_folder(folder: str, env: Mapping[str, str]) -> str:
    """Where git looks for hooks, `core.hooksPath` included: absolute; it need not exist.

    Args:
        folder: the root of a working tree, or of a bare repository.
        env: the caller's environment.

    Raises:
        Failure: `unavailable`, git is missing or does not answer.
    """
    code, out, err = _git(["rev-parse", "--git-path", "hooks"], folder, clean_env(env))
    if code != 0:
        raise _failed("git rev-parse", code, err)
    return os.path.normpath(os.path.join(folder, os.fsdecode(out).rstrip("\n")))


def user_name(cwd: str, env: Mapping[str, str]) -> str:
    """What git calls its user here: `user.name`, else the name that it would put on a commit.

    Settings given with `git -c` count; inside a hook they are in the environment.

    Returns:
        Empty where git knows none, or cannot be asked.
    """
    given = {name: value for name, value in env.items() if name.startswith("GIT_CONFIG")}
    own = {**clean_env(env), **given}
    try:
        for arguments in (["config", "user.name"], ["var", "GIT_COMMITTER_IDENT"]):
            code, out, _ = _git(arguments, cwd, own)
            name = os.fsdecode(out).partition(" <")[0].strip()
            if code == 0 and name:
                return name
    except Failure:
        pass
    return ""


def clean_env(env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git finds the repository by the folder alone, and asks nobody."""
    own = {
        name: value
        for name, value in env.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES
    }
    return {**own, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def run_git(
    arguments: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    stdin: bytes = b"",
) -> tuple[int, bytes, bytes]:
    """Run git to its end: its exit code, standard output and standard error.

    Args:
        env: of `clean_env`, unless git is to heed the caller's.

    Raises:
        Failure: `unavailable`, it cannot be started, or did not end in time.
    """
    try:
        return run_captured(["git", *arguments], cwd=cwd, env=env, timeout_s=timeout_s, stdin=stdin)
    except OSError as error:
        raise Failure(
            "unavailable",
            f"git cannot be run: {error}",
            hint="install git, or see that it is in PATH",
        ) from error


def _git(arguments: list[str], cwd: str, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    return run_git([*_SETTINGS, *arguments], cwd, env)


def first_line(err: bytes) -> str:
    """What git complains of, in a line."""
    return err.decode(errors="replace").strip().partition("\n")[0]


def _names(out: bytes) -> set[str]:
    return {os.fsdecode(name) for name in out.split(b"\0")} - {""}


def _failed(what: str, code: int, err: bytes) -> Failure:
    return Failure(
        "unavailable", f"`{what}` ended with {code}: {first_line(err)}", hint=f"{what} --name-only",
        details={"exit_code": code},
    )  # fmt: skip


def _bad_range(commits: str, why: str) -> UsageError:
    return UsageError(
        "bad-range", f"git cannot read the commits {commits!a}: {why}",
        hint="rally check range origin/main..HEAD --tool ci",
    )  # fmt: skip
