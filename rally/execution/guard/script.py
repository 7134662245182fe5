"""The text of rally's part of git's hooks, and putting it into a hook that is there already.

    #!/bin/sh                       the hook's own first line, whatever shell it is for
    # >>> rally guard …             rally's part: first of all, since hooks like to end with `exec`
    …
    # <<< rally guard <<<
    …                               the rest of the hook, which runs where rally lets it pass

A hook in another language, or a program, is moved beside as `<hook>.before-rally` and called from a
small one in its place. The lines that call it stand outside of rally's part: when somebody has edited
the small hook, and only rally's part may be taken out, it goes on calling.

Everything is bytes: nobody knows in what encoding a hook is written.
"""

from __future__ import annotations

from dataclasses import dataclass

HOOKS = ("pre-commit", "pre-push")
KEPT_SUFFIX = ".before-rally"
_BEGIN = b"# >>> rally guard"
_END = b"# <<< rally guard <<<\n"
_FAIL_CLOSED = b" (fail-closed)"
_OWN_FIRST_LINE = b"#!/bin/sh\n"
# Those that understand the block.
_SHELLS = frozenset((b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh"))

_MISSING = """  echo 'rally is not in PATH: {what} not checked against claims' >&2{then}
"""
_PRE_COMMIT = """if command -v rally >/dev/null 2>&1; then
  rally check before-commit --as-git --strict --quiet || exit $?
else
{missing}fi
"""
# What stands on standard input can be read once, and belongs to the rest of the hook too.
_PRE_PUSH = """rally_refs=$(cat)
if command -v rally >/dev/null 2>&1; then
  printf '%s\\n' "$rally_refs" |
    rally check range - --remote "$1" --as-git --strict --quiet || exit $?
else
{missing}fi
if [ -n "$rally_refs" ]; then
  exec <<RALLY_REFS
$rally_refs
RALLY_REFS
else
  exec </dev/null
fi
"""
_BODIES = {
    "pre-commit": (_PRE_COMMIT, "this commit is"),
    "pre-push": (_PRE_PUSH, "these commits are"),
}
_CALL_KEPT = """rally_next="$(dirname "$0")/{name}{suffix}"
[ ! -x "$rally_next" ] || exec "$rally_next" "$@"
"""


def block(hook: str, *, fail_closed: bool) -> bytes:
    """Rally's part of a hook, whole lines.

    Args:
        hook: one of `HOOKS`.
        fail_closed: where rally is missing, the hook refuses.
    """
    body, what = _BODIES[hook]
    missing = _MISSING.format(what=what, then="\n  exit 1" if fail_closed else "")
    marks = _FAIL_CLOSED if fail_closed else b""
    begin = _BEGIN + marks + b" >>> taken out by: rally hooks uninstall git\n"
    return begin + body.format(missing=missing).encode() + _END


def own_hook(hook: str, *, fail_closed: bool) -> bytes:
    """A hook that is nothing but rally's part."""
    return _OWN_FIRST_LINE + block(hook, fail_closed=fail_closed)


def calling_hook(hook: str, *, fail_closed: bool) -> bytes:
    """A hook that goes on with the one that was moved beside."""
    return own_hook(hook, fail_closed=fail_closed) + _call(hook)


def _call(hook: str) -> bytes:
    return _CALL_KEPT.format(name=hook, suffix=KEPT_SUFFIX).encode()


@dataclass(slots=True, frozen=True)
class Part:
    """Rally's part in a hook.

    Attributes:
        start, end: where it is, in bytes.
        fail_closed: how it was put in.
    """

    start: int
    end: int
    fail_closed: bool


class BrokenPartError(ValueError):
    """Rally's part begins and does not end; the line that it begins in is the argument, from 1."""


def find_part(text: bytes) -> Part | None:
    """Rally's part of a hook; None where there is none.

    Raises:
        BrokenPartError: somebody removed its end.
    """
    start = 0 if text.startswith(_BEGIN) else text.find(b"\n" + _BEGIN) + 1
    if not start and not text.startswith(_BEGIN):
        return None
    end = text.find(b"\n" + _END.rstrip(b"\n"), start)
    if end < 0:
        raise BrokenPartError(text.count(b"\n", 0, start) + 1)
    end += 1 + len(_END)
    first_line = text[start : text.index(b"\n", start)]
    return Part(start, min(end, len(text)), _FAIL_CLOSED in first_line)


def with_part(text: bytes, hook: str, *, fail_closed: bool) -> bytes:
    """A shell hook with rally's part in it, in the form of this version.

    Raises:
        BrokenPartError: see `find_part`.
    """
    wanted = block(hook, fail_closed=fail_closed)
    part = find_part(text)
    if part is not None:
        had_end = text[: part.end].endswith(b"\n")
        return text[: part.start] + (wanted if had_end else wanted[:-1]) + text[part.end :]
    if not text.startswith(b"#!"):
        return wanted + text
    first, newline, rest = text.partition(b"\n")
    if not newline:  # the part's own end stands for the missing line break
        return first + b"\n" + wanted.rstrip(b"\n")
    return first + newline + wanted + rest


def without_part(text: bytes) -> bytes | None:
    """A hook without rally's part; None where nothing is left that anybody else put there.

    Raises:
        BrokenPartError: see `find_part`.
    """
    part = find_part(text)
    if part is None:
        return text
    head, tail = text[: part.start], text[part.end :]
    if not tail and not text.endswith(b"\n") and head.startswith(b"#!"):
        head = head.removesuffix(b"\n")
    left = head + tail
    return None if left in (b"", _OWN_FIRST_LINE) else left


def only_calls(text: bytes, hook: str) -> bool:
    """Whether what is left of a hook without rally's part only calls the one that was moved."""
    return text == _OWN_FIRST_LINE + _call(hook)


def is_shell(text: bytes) -> bool:
    """Whether a hook is a script of a shell that understands the block.

    git gives one without a first line `#!` to the shell.
    """
    if b"\0" in text[:8192] or text.startswith(b"\x7fELF"):
        return False
    if not text.startswith(b"#!"):
        return True
    words = text[2:].split(b"\n", 1)[0].split()
    while words:
        name = words.pop(0).rpartition(b"/")[2]
        if name != b"env" and not name.startswith(b"-") and b"=" not in name:
            return name in _SHELLS
    return False
