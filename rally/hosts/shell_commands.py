"""What single programs write, by their arguments."""

from __future__ import annotations

from collections.abc import Callable

from rally.hosts.hooks import Write
from rally.hosts.shell_lexer import Token
from rally.hosts.shell_options import all_options, operands, options_of

Args = list[Token]
_NO_VALUES: frozenset[str] = frozenset()
_COPY_VALUES = frozenset(
    "-t -S -m -o -g --target-directory --suffix --mode --owner --group".split()
)


def writers(name: str, args: Args) -> list[Write]:
    """What a program writes; empty for one that is not known, whatever it does.

    The paths are as they were typed, relative ones still so.
    """
    judge = _PROGRAMS.get(name)
    return judge(args) if judge else []


def _known(words: Args) -> list[Write]:
    return [Write(word.text) for word in words if word.known and word.text]


def _all_operands(*takes_value: str) -> Callable[[Args], list[Write]]:
    values = frozenset(takes_value)
    return lambda args: _known(operands(args, values))


def _last_name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _copy(args: Args) -> list[Write]:
    """cp, install, ln: the destination, or what comes into it where it is a folder."""
    given, words = all_options(args, _COPY_VALUES)
    folder = given.values.get("-t") or given.values.get("--target-directory")
    if "-d" in given.names and folder is None and not words[1:]:
        return []  # install -d makes folders
    sources, target = (words, folder) if folder is not None else (words[:-1], words[-1:])
    if isinstance(target, list):
        if not sources or not target:
            return []
        target = target[0]
    if not target.known:
        return []
    if {"-T", "--no-target-directory"} & given.names:
        return [Write(target.text)]
    names = tuple(_last_name(word.text) for word in sources if word.known)
    return [Write(target.text, into=tuple(name for name in names if name not in ("", ".", "..")))]


def _move(args: Args) -> list[Write]:
    """mv: as a copy, and what is moved is gone from where it was."""
    given, words = all_options(args, _COPY_VALUES)
    has_folder = "-t" in given.values or "--target-directory" in given.values
    return [*_known(words if has_folder else words[:-1]), *_copy(args)]


def _sed(args: Args) -> list[Write]:
    """sed -i: every file behind the script."""
    return _in_place(args, values=frozenset("-e -f -l --expression --file".split()), scripts="ef")


def _perl(args: Args) -> list[Write]:
    """perl -i (and ruby -i): every file behind the program."""
    return _in_place(args, values=frozenset("-e -E -M -m -I -r".split()), scripts="eE")


def _in_place(args: Args, *, values: frozenset[str], scripts: str) -> list[Write]:
    edits = has_script = False
    words: Args = []
    at = 0
    while at < len(args):
        arg = args[at]
        at += 1
        text = arg.text
        if text == "--":
            words += args[at:]
            break
        if text.startswith("--"):
            name, equals, _ = text.partition("=")
            edits = edits or name == "--in-place"
            has_script = has_script or name in ("--expression", "--file")
            at += name in values and not equals
            continue
        if not text.startswith("-") or text == "-":
            words.append(arg)
            continue
        for index, letter in enumerate(text[1:], 1):
            if letter == "i":  # the rest is a suffix
                edits = True
                break
            if f"-{letter}" in values:
                has_script = has_script or letter in scripts
                at += index == len(text) - 1
                break
    if not edits:
        return []
    words = [word for word in words if word.text]  # BSD: -i ''
    return _known(words if has_script else words[1:])


def _dd(args: Args) -> list[Write]:
    return [Write(arg.text[3:]) for arg in args if arg.known and arg.text.startswith("of=")]


def _git(args: Args) -> list[Write]:
    """git checkout, restore, rm, mv; -C says where."""
    given = options_of(args, frozenset("-C -c --git-dir --work-tree --namespace".split()))
    if not given.names.isdisjoint(("--git-dir", "--work-tree")) or len(args) <= given.end:
        return []
    judge = _GIT.get(args[given.end].text)
    found = judge(args[given.end + 1 :]) if judge else []
    folder = given.values.get("-C")
    if folder is None:
        return found
    if not folder.known or [arg.text for arg in args[: given.end]].count("-C") > 1:
        return []
    base = folder.text.rstrip("/")
    return [
        one if one.path.startswith("/") else one._replace(path=f"{base}/{one.path}")
        for one in found
    ]


def _pathspecs(words: Args) -> list[Write]:
    return [one for one in _known(words) if not one.path.startswith(":")]


def _checkout(args: Args) -> list[Write]:
    """Behind `--` paths for sure; else each word that is on the disk, as a branch is not."""
    texts = [arg.text for arg in args]
    if "--" in texts:
        return _pathspecs(args[texts.index("--") + 1 :])
    if {"-b", "-B", "--orphan", "--detach"} & set(texts):
        return []
    return [one._replace(if_there=True) for one in _pathspecs(operands(args, _NO_VALUES))]


def _restore(args: Args) -> list[Write]:
    given, words = all_options(args, frozenset(("-s", "--source")))
    staged_only = {"-S", "--staged"} & given.names and not {"-W", "--worktree"} & given.names
    return [] if staged_only else _pathspecs(words)


def _git_rm(args: Args) -> list[Write]:
    given, words = all_options(args, _NO_VALUES)
    return [] if "--cached" in given.names else _pathspecs(words)


_GIT: dict[str, Callable[[Args], list[Write]]] = {
    "checkout": _checkout,
    "restore": _restore,
    "rm": _git_rm,
    "mv": _move,
}
_PROGRAMS: dict[str, Callable[[Args], list[Write]]] = {
    "tee": _all_operands(),
    "touch": _all_operands("-d", "-t", "-r", "--date", "--reference"),
    "truncate": _all_operands("-s", "-r", "--size", "--reference"),
    "rm": _all_operands(),
    "unlink": _all_operands(),
    "rmdir": _all_operands(),
    "shred": _all_operands("-n", "-s"),
    "mv": _move,
    "cp": _copy,
    "install": _copy,
    "ln": _copy,
    "sed": _sed,
    "gsed": _sed,
    "perl": _perl,
    "ruby": _perl,
    "dd": _dd,
    "git": _git,
}
