"""The overlap rule (contract C2) by enumeration: every path of a small world, tried one by one."""

from __future__ import annotations

from functools import cache
from itertools import product

# Names that tell apart every pattern below; the last one is matched by `*` alone.
NAMES = ("src", "sz", "lib", "a", "ab", "zz", "a.py", "b.py", "zz.c")
DEPTH = 4
WORLD = tuple(
    path for depth in range(DEPTH + 1) for path in product(NAMES, repeat=depth)
)  # the empty path is the room itself

PATHS = (
    ".", "src", "src/a", "src/ab", "src/b.py", "src/a/b.py", "src/ab/zz.c", "lib", "lib/a", "lib/b.py",
    "src/*", "src/*.py", "src/**", "**/*.py", "src/a*", "src/??", "*/a", "lib/**/b.py", "s*/b.py",
)  # fmt: skip
LITERALS = tuple(path for path in PATHS if "*" not in path and "?" not in path)


def name_matches(pattern: str, name: str) -> bool:
    """One segment, character by character."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return name_matches(pattern[1:], name) or (bool(name) and name_matches(pattern, name[1:]))
    return bool(name) and pattern[0] in ("?", name[0]) and name_matches(pattern[1:], name[1:])


def path_matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """A whole path, segment by segment."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        below = bool(path) and path_matches(pattern, path[1:])
        return below or path_matches(pattern[1:], path)
    if not path or not name_matches(pattern[0], path[0]):
        return False
    return path_matches(pattern[1:], path[1:])


@cache
def stands_for(pattern: str, *, file_too: bool = False) -> frozenset[tuple[str, ...]]:
    """Every path of the world that is, or lies under, a match of the pattern.

    Args:
        file_too: a last name with an extension is a file's: nothing lies under it.
    """
    if pattern == ".":
        return frozenset(WORLD)
    segments = tuple(pattern.split("/"))
    if file_too and "." in segments[-1]:
        return frozenset(path for path in WORLD if path_matches(segments, path))
    return frozenset(
        path
        for path in WORLD
        if any(path_matches(segments, path[:k]) for k in range(len(path) + 1))
    )


@cache
def overlap(a: str, b: str) -> bool:
    """Whether some path of the world is under both; beside a `**`, `a.py` is taken for a file."""
    deep = "**" in a or "**" in b
    return not stands_for(a, file_too=deep).isdisjoint(stands_for(b, file_too=deep))


@cache
def covers(outer: str, inner: str) -> bool:
    """Whether every path of the world that is under `inner` is under `outer`."""
    return stands_for(inner) <= stands_for(outer)
