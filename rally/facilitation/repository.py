"""Which git repository a folder belongs to, from git's files alone (contract R1, R5).

Git is not run and its environment is not read: inside a hook `GIT_DIR` names the repository that
the hook runs for, which need not be the one whose folder the command runs in.

What is read, after gitrepository-layout(5) and git-worktree(1):

    <top>/.git               a git directory, or a file `gitdir: <git directory>`
    <git directory>/commondir    only in a linked worktree: where the repository's shared part is
    <git directory>/gitdir       only in a linked worktree: <top>/.git of that worktree
    <common>/config          core.bare, core.worktree, core.ignorecase
    <common>/config.worktree     the same for the main working tree, under extensions.worktreeConfig

Not followed: `include.path` in a config. Git writes these settings itself when it makes the
repository, and writes them into the file.
"""

from __future__ import annotations

import os
import stat

# Git's own pointer files are one line; whatever is larger is none of them.
_POINTER_BYTES_MAX = 16 * 1024
_CONFIG_BYTES_MAX = 4 * 1024 * 1024
_TRUE = frozenset({"true", "yes", "on", "1"})
_SETTINGS = frozenset(
    {"core.bare", "core.ignorecase", "core.worktree", "extensions.worktreeconfig"}
)


class Repository:
    """A repository as one folder sees it. All paths are absolute and real.

    Attributes:
        root: the main working tree's root, or of a bare repository its folder. None for a linked
            worktree of a repository made with `--separate-git-dir`: no file of git leads from there
            to the main working tree.
        top: the root of the working tree that the folder is in; `root` where it is in none.
        common_dir: the git directory that all working trees share.
        ignore_case: `core.ignorecase`.
    """

    __slots__ = ("common_dir", "ignore_case", "root", "top")

    def __init__(
        self, *, root: str | None, top: str | None, common_dir: str, ignore_case: bool
    ) -> None:
        self.root = root
        self.top = top or root
        self.common_dir = common_dir
        self.ignore_case = ignore_case


def find_repository(folder: str) -> Repository | None:
    """The innermost repository around a folder, as git would find it.

    A `.git` that leads nowhere (a linked worktree whose repository was moved or deleted) or holds
    no repository is passed over, as if it were not there.

    Args:
        folder: absolute and real. It may not exist.
    """
    while True:
        git_dir = git_dir_of(folder)
        if git_dir is not None:
            return _repository(git_dir, folder)
        # The folder itself may be a git directory: a bare one, or we came up from `.git/hooks`.
        if os.path.lexists(f"{folder}/HEAD") and is_git_dir(folder):
            return _repository(folder, None)
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def git_dir_of(top: str) -> str | None:
    """The real git directory that `<top>/.git` is or points to; None without a sound one.

    Args:
        top: absolute and real.
    """
    entry = f"{top}/.git"
    try:
        mode = os.lstat(entry).st_mode
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(mode):
        pointer = _read(entry, _POINTER_BYTES_MAX) or ""
        if not pointer.startswith("gitdir: "):
            return None
        entry = os.path.join(top, pointer.removeprefix("gitdir: ").rstrip("\r\n"))
    if not stat.S_ISDIR(mode):
        entry = os.path.realpath(entry)
    return entry if is_git_dir(entry) else None


def is_git_dir(path: str) -> bool:
    """Git's own test for a git directory: HEAD here, objects and refs in the common part."""
    if not os.path.lexists(f"{path}/HEAD"):
        return False
    common = common_dir_of(path)
    return os.path.isdir(f"{common}/objects") and os.path.isdir(f"{common}/refs")


def common_dir_of(git_dir: str) -> str:
    """The real common directory of a real git directory: itself, except in a linked worktree."""
    pointer = _read(f"{git_dir}/commondir", _POINTER_BYTES_MAX)
    if pointer is None:
        return git_dir
    return os.path.realpath(os.path.join(git_dir, pointer.rstrip("\r\n")))


def linked_tops(common_dir: str) -> list[str]:
    """The roots of all linked worktrees, real, sorted.

    One that was deleted and not yet pruned is listed: paths in it still mean something. One whose
    folder has become something else is not.
    """
    try:
        names = os.listdir(f"{common_dir}/worktrees")
    except OSError:
        return []
    tops = (_linked_top(f"{common_dir}/worktrees/{name}") for name in names)
    return sorted(
        top for top in tops if top and (os.path.lexists(f"{top}/.git") or not os.path.lexists(top))
    )


def _linked_top(git_dir: str) -> str | None:
    """Where the linked worktree of this git directory is, by its back pointer."""
    pointer = _read(f"{git_dir}/gitdir", _POINTER_BYTES_MAX)
    if not pointer:
        return None
    return os.path.realpath(os.path.dirname(os.path.join(git_dir, pointer.rstrip("\r\n"))))


def _repository(git_dir: str, top: str | None) -> Repository:
    common = common_dir_of(git_dir)
    linked = common != git_dir
    settings = _settings(common)
    bare = settings.get("core.bare")
    named = settings.get("core.worktree")
    root: str | None = None
    if named and os.path.isdir(os.path.join(common, named)):
        # Git writes this into a submodule's git directory; a stale one is passed over.
        root = os.path.realpath(os.path.join(common, named))
    elif bare in _TRUE:
        root = common
    elif top and not linked:
        root = top
    elif os.path.basename(common) == ".git":
        root = os.path.dirname(common)
    elif bare is None:
        # Git too takes one that says nothing and is not called `.git` for bare.
        root = common
    return Repository(
        root=root,
        top=(top or _linked_top(git_dir)) if linked else root,
        common_dir=common,
        ignore_case=settings.get("core.ignorecase") in _TRUE,
    )


def _settings(common_dir: str) -> dict[str, str]:
    settings = parse_config(_read(f"{common_dir}/config", _CONFIG_BYTES_MAX) or "")
    if settings.get("extensions.worktreeconfig") in _TRUE:
        own = _read(f"{common_dir}/config.worktree", _CONFIG_BYTES_MAX) or ""
        settings.update(parse_config(own))
    return settings


def parse_config(text: str) -> dict[str, str]:
    """The settings that rally needs from a git config, as `core.bare` and so on.

    Names are lower case; so is any value but that of `core.worktree`. A name without `=` is `true`;
    of several values the last one counts. What cannot be parsed is passed over.
    """
    found: dict[str, str] = {}
    section = ""
    for raw in text.replace("\\\n", "").split("\n"):
        line = raw.strip()
        if line.startswith("["):
            head, closed, line = line[1:].partition("]")
            section = head.strip().lower() if closed else ""
        if section not in ("core", "extensions") or not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        setting = f"{section}.{name.strip().lower()}"
        if setting in _SETTINGS:
            plain = _unquoted(value) if equals else "true"
            found[setting] = plain if setting == "core.worktree" else plain.lower()
    return found


def _unquoted(value: str) -> str:
    """A config value without quotes, escapes and trailing comment."""
    kept: list[str] = []
    quoted = False
    characters = iter(value.strip())
    for character in characters:
        if character == '"':
            quoted = not quoted
        elif character == "\\":
            escaped = next(characters, "")
            kept.append({"n": "\n", "t": "\t", "b": "\b"}.get(escaped, escaped))
        elif character in "#;" and not quoted:
            return "".join(kept).rstrip()
        else:
            kept.append(character)
    return "".join(kept)


def _read(path: str, limit: int) -> str | None:
    """A small file's text; None when it cannot be read or is larger than `limit` bytes."""
    try:
        # O_NONBLOCK: a named pipe of that name must not hold up every command.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        content = os.read(descriptor, limit + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return os.fsdecode(content) if len(content) <= limit else None
