"""Paths and patterns as text: their one form (contract C1) and the one overlap rule (contract C2).

Meaning. A canonical path is `/`-separated, relative to the room's root; `.` is the whole room. It
may be a pattern: inside a segment `*` stands for any run of characters and `?` for one; the segment
`**` stands for any number of segments, none included (next to other characters it is just `*`).
S(p), what a path or pattern *stands for*, is every path that p matches and everything below it:
`src` covers all of src/, `src/*` what lies in and under each of its children.

    overlap(a, b)        S(a) and S(b) share a path
    covers(outer, inner) S(inner) is part of S(outer)

It cannot be known from the text whether `docs/a` is a file, so it is always taken for a possible
folder, with one exception. Were `docs/a.md` taken for a folder beside a `**`, it could hold an `x.py`
and `**/*.py` would overlap every path there is. So where one side has a `**`, a last segment with a
file name's extension (`a.md`, `*.py`) is taken for a file: nothing lies below it. What really is a
folder of such a name (`conf.d`) is still guarded at each write, where both holders are shown.

The *stem*, the segments before the first `**`, decides most pairs: two paths can overlap only when
their stems are compatible one by one until the shorter one ends, and without a `**` that is enough.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache

from rally.model.errors import UsageError
from rally.model.text import check_encodable

PATH_BYTES_MAX = 4096
WHOLE_ROOM = "."
ANY_DEPTH = "**"
_EXTENSION_CHARS_MAX = 8
_CELLS_MAX = 10_000
# Pairs of segments whose answer is kept; at 4 KiB a segment the cache stays under 8 MiB.
_PAIRS_KEPT = 1024


def canonical_text(raw: str, *, ignore_case: bool = False, root: str = "") -> str:
    """The one form of a repository-relative path or pattern, as far as text alone decides.

    NFC; no `./`, `//`, `..` or trailing slash; `.` for the whole room; a backslash is an ordinary
    character. Applying it twice changes nothing.

    Args:
        raw: 1 to 4096 bytes of UTF-8. The path need not exist.
        ignore_case: fold case, for a repository that ignores it.
        root: the room's root, to be shown when the path leaves the room.

    Raises:
        UsageError: `path-outside-room` (it climbs above the root, or is absolute), `bad-path`
            (empty, or `..` behind a wildcard, which names no one folder), `bad-text`, `too-long`.
    """
    check_path_text(raw)
    if raw.startswith("/"):
        raise outside_room(raw, root)
    kept: list[str] = []
    for part in raw.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            kept.append(part)
        elif not kept:
            raise outside_room(raw, root)
        elif is_pattern(kept.pop()):
            raise UsageError(
                "bad-path", f"'..' behind a wildcard names no one folder: {raw!a}",
                hint="write the pattern without '..'",
            )  # fmt: skip
    text = normal_form("/".join(kept) or WHOLE_ROOM, ignore_case=ignore_case)
    if not text.isascii():
        check_path_text(text)  # composing and folding can lengthen a text
    return text


def check_path_text(raw: str) -> None:
    """Refuse what can be no path at all.

    Raises:
        UsageError: `bad-path` (empty), `bad-text` (NUL, not UTF-8) or `too-long`.
    """
    if not raw:
        raise UsageError("bad-path", "a path is empty", hint="write . for the whole room")
    size = len(check_encodable(raw, "a path"))
    if size > PATH_BYTES_MAX:
        raise UsageError(
            "too-long", f"a path has {size} bytes, at most {PATH_BYTES_MAX} are allowed",
            hint="claim the folder above it",
        )  # fmt: skip


def outside_room(raw: str, root: str = "") -> UsageError:
    """The error for a path that leaves the room; `root` is shown where it is known."""
    return UsageError(
        "path-outside-room",
        f"the path leaves the room: {raw!a}",
        hint="paths are relative to the room's root" + (f", {root}" if root else ""),
        details={"path": raw},
    )


def normal_form(text: str, *, ignore_case: bool) -> str:
    """NFC and, if asked, folded case, so that equal names are equal texts.

    Case is folded on the decomposed text, as canonical caseless matching requires (Unicode 3.13,
    D145); folding the composed text would not be stable.
    """
    if text.isascii():
        return text.lower() if ignore_case else text
    if ignore_case:
        text = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", text)


def is_pattern(path: str) -> bool:
    """Whether a path or a segment holds a wildcard. There is no way to escape one."""
    return "*" in path or "?" in path


def name_on_disk(name: str) -> str:
    """A file's name as it can be asked about: each byte that is no UTF-8 (a lone surrogate) is `?`.

    Such bytes can stand in no claim; one that covers the file is found anyway.
    """
    if name.isascii():
        return name
    return "".join("?" if "\udc80" <= char <= "\udcff" else char for char in name)


def stem(path: str) -> list[str]:
    """The segments of a canonical path before its first `**`; empty for the whole room."""
    if path == WHOLE_ROOM:
        return []
    segments = path.split("/")
    if ANY_DEPTH in segments:
        del segments[segments.index(ANY_DEPTH) :]
    return segments


def overlap(a: str, b: str) -> bool:
    """Contract C2, the only overlap rule: whether some path is under both. Symmetric.

    Args:
        a, b: canonical paths or patterns. The cost grows with the shorter one, where no `**` is in
            play.
    """
    return all(map(segments_meet, stem(a), stem(b))) and beyond_stems(a, b)


def any_overlap(some: Iterable[str], others: Collection[str]) -> bool:
    """Whether any of some canonical paths or patterns overlaps any of the others."""
    return any(overlap(a, b) for a in some for b in others)


def beyond_stems(a: str, b: str) -> bool:
    """Whether two paths whose stems meet also share a path behind a `**`."""
    if not (_goes_deep(a) or _goes_deep(b)):
        return True
    if not (names_file(a) or names_file(b)):
        return True  # below whatever one side matches there may lie what the other one wants
    return _share(_reach(a), _reach(b))


def _goes_deep(path: str) -> bool:
    """Whether a segment is `**`; next to other characters it is just `*`."""
    return ANY_DEPTH in path and ANY_DEPTH in path.split("/")


def names_file(path: str) -> bool:
    """Whether the last segment has an extension like a file's: a letter, then at most 7 more."""
    stemmed, dot, extension = path.rpartition("/")[2].rpartition(".")
    return bool(
        dot
        and stemmed
        and 1 <= len(extension) <= _EXTENSION_CHARS_MAX
        and extension.isalnum()
        and extension[0].isalpha()
    )


def _reach(path: str) -> list[str]:
    """The segments of S(path) as one pattern: with `**` behind it unless it names a file."""
    segments = path.split("/") if path != WHOLE_ROOM else []
    return segments if names_file(path) else [*segments, ANY_DEPTH]


def _share(a: list[str], b: list[str]) -> bool:
    """Whether some path matches both whole patterns."""
    if len(a) * len(b) > _CELLS_MAX:
        return True  # hostile length: rather one conflict too many
    # row[j]: the segments of `a` read so far and the first j of `b` can be matched by one path.
    row = [True] + [False] * len(b)
    for j, segment in enumerate(b):
        row[j + 1] = row[j] and segment == ANY_DEPTH
    for left in a:
        above, row = row, [row[0] and left == ANY_DEPTH] + [False] * len(b)
        for j, right in enumerate(b):
            if ANY_DEPTH in (left, right):
                row[j + 1] = above[j + 1] or row[j] or above[j]
            else:
                row[j + 1] = above[j] and segments_meet(left, right)
    return row[-1]


def segments_meet(x: str, y: str) -> bool:
    """Whether some name matches both segments; neither is `**`."""
    if x in (y, "*") or y == "*":
        return True
    if is_pattern(x):
        return _walk(y, x, every=False) if is_pattern(y) else _matches_name(x, y)
    return is_pattern(y) and _matches_name(y, x)


def covers(outer: str, inner: str) -> bool:
    """Whether everything that `inner` stands for is also under `outer`.

    Exact when `inner` holds no wildcard; else never true when it is not so, though it may miss a
    roundabout yes (`*?` within `?*`).

    Args:
        outer, inner: canonical paths or patterns.
    """
    # `**/*.py` stands for files only: all of `inner` has to be read, not just its beginning.
    whole = _goes_deep(outer) and names_file(outer)
    if whole and not names_file(inner):
        return False
    want, have = _without_idle_stars(outer), _without_idle_stars(inner)
    w = h = 0
    # Behind a `**` the first place where the next segments fit is the best one, since what is left
    # of `inner` is longest there; so it is enough to go back to the last `**` only.
    again_w = again_h = -1
    while w < len(want) or (whole and h < len(have)):
        if w < len(want) and want[w] == ANY_DEPTH:
            w += 1
            again_w, again_h = w, h
        elif h == len(have):
            return False
        elif w < len(want) and _segment_covers(want[w], have[h]):
            w += 1
            h += 1
        elif again_w < 0:
            return False
        else:
            again_h += 1
            w, h = again_w, again_h
    return True


def _without_idle_stars(path: str) -> list[str]:
    """The segments, without `**` next to `**` or at the end: S() is the same without them."""
    if path == WHOLE_ROOM:
        return []
    segments: list[str] = []
    for segment in path.split("/"):
        if segment != ANY_DEPTH or segments[-1:] != [ANY_DEPTH]:
            segments.append(segment)
    if segments[-1] == ANY_DEPTH:
        segments.pop()
    return segments


def _segment_covers(outer: str, inner: str) -> bool:
    """Whether every name that `inner` matches is matched by `outer`, which is not `**`."""
    if inner == ANY_DEPTH:
        return False
    if outer in (inner, "*"):
        return True
    if not is_pattern(outer):
        return False
    return _walk(inner, outer, every=True) if is_pattern(inner) else _matches_name(outer, inner)


def _matches_name(pattern: str, name: str) -> bool:
    head, star, tail = pattern.partition("*")
    if star and not is_pattern(tail) and "?" not in head:
        # One star, as in `*.py`, is nearly every pattern there is.
        fits = len(name) >= len(pattern) - 1
        return fits and name.startswith(head) and name.endswith(tail)
    return _walk(name, pattern, every=False)


@lru_cache(maxsize=_PAIRS_KEPT)
def _walk(x: str, y: str, *, every: bool) -> bool:
    """Follow segment `x` through segment `y`, all positions in `y` at once, as bits of one integer.

    Bit j of `at` says that what was read of `x` can match the first j characters of `y`. One pass
    over `x`, a handful of integer operations a character: 4096 hostile stars against 4096 others
    are milliseconds, where backtracking never ends. (The bit-parallel automaton of Baeza-Yates and
    Gonnet, "A new approach to text searching", with wildcards allowed on both sides.)

    Args:
        every: False asks whether some name matches both; True whether each name that matches `x`
            matches `y`: then a wildcard of `x` may be consumed only by one that is as wide.
    """
    while "**" in x or "**" in y:
        x, y = x.replace("**", "*"), y.replace("**", "*")
    places: dict[str, int] = {}
    for j, character in enumerate(y):
        places[character] = places.get(character, 0) | (1 << j)
    stars, ones = places.pop("*", 0), places.pop("?", 0)
    end = 1 << len(y)
    single = (end - 1) ^ stars
    at = 1 | ((stars & 1) << 1)
    for character in x:
        if character == "*":
            # Some name: the star swallows whatever `y` has from the first position on.
            at = at & stars if every else (end << 1) - (at & -at)
        elif character == "?":
            at = ((at & (ones if every else single)) << 1) | (at & stars)
        else:
            at = ((at & (places.get(character, 0) | ones)) << 1) | (at & stars)
        # A star may also match nothing. No two stars are neighbours, so one step is all of it.
        at |= (at & stars) << 1
        if not at:
            return False
    return bool(at & end)
