"""What lint asks of the room about the paths of a descriptor: their one form, whether they are there,
and who holds them now.

Ten thousand paths lie in some hundred folders. Each folder is looked at once; then a path of plain
text costs one look at itself. Whatever is not plain (links, patterns, `..`, other scripts, a linked
worktree, a repository that ignores case) goes the long way, which alone defines the answer.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from typing import Any

from rally.facilitation.places import Place, canonical_path
from rally.facilitation.state.claim_index import ClaimIndex
from rally.facilitation.task_facts import READ_ONLY
from rally.model.paths import is_pattern

Claim = dict[str, Any]

# Segments that no rule of C1 changes: ASCII, no wildcard, neither `.` nor `..`.
_SEGMENT = r"\.?[A-Za-z0-9_@+=,~%-][A-Za-z0-9_.@+=,~%() -]*"
_PLAIN = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_PLAIN_CHARS_MAX = 1_024
# What is a wildcard elsewhere, and a character of a name here (contract C2).
_OTHER_WILDCARDS = frozenset("{}[]")


def perhaps_meant(path: str) -> str:
    """What was meant by a path that does not exist, if it looks like something else; else empty."""
    if path == READ_ONLY:
        return f'a task that writes nothing has "owns": "{READ_ONLY}", without brackets'
    if not _OTHER_WILDCARDS.isdisjoint(path):
        return "only *, ? and ** are wildcards, braces and brackets are themselves"
    return ""


class Survey:
    """One look at a room, for as long as one descriptor is linted.

    Args:
        place: the room, seen from where the command runs.
        claims: the live claims of the room, as facts.
    """

    def __init__(self, place: Place, claims: Sequence[Claim] = ()) -> None:
        self._place = place
        self._is_simple = place.top == place.root and not place.ignore_case
        self._base = place.root.rstrip("/")
        # Folder as it is written to (its canonical form and a slash, whether it is there); None: the
        # long way.
        self._folders: dict[str, tuple[str, bool] | None] = {"": ("", True)}
        self._seen: dict[str, bool] = {}
        self._claims = {claim["event_id"]: claim for claim in claims}
        self._index = ClaimIndex()
        for claim in claims:
            self._index.add(claim["event_id"], claim.get("paths", ()))

    def canonical(self, raw: str) -> str:
        """The one form of a path (contract C1): what `canonical_path` answers.

        Raises:
            UsageError: see there.
        """
        text = raw.removesuffix("/")
        if self._is_simple and len(raw) <= _PLAIN_CHARS_MAX and _PLAIN.fullmatch(text):
            found = self._plain(text)
            if found is not None:
                return found
        return canonical_path(raw, self._place)

    def exists(self, path: str) -> bool:
        """Whether a canonical path, or the folder that a pattern begins in, is there."""
        known = self._seen.get(path)
        if known is not None:
            return known
        segments = path.split("/")
        literal = next((n for n, one in enumerate(segments) if is_pattern(one)), len(segments))
        inside = "/".join(segments[:literal])
        tops = dict.fromkeys((self._place.top, self._place.root))
        return any(os.path.lexists(f"{top}/{inside}") for top in tops)

    def held(self, path: str) -> Iterable[Claim]:
        """The live claims that overlap a canonical path, oldest first."""
        return (self._claims[claim_id] for claim_id, _ in self._index.overlapping(path))

    def _plain(self, text: str) -> str | None:
        above, _, name = text.rpartition("/")
        folder = self._folder(above)
        if folder is None:
            return None
        inside, is_there = folder
        path = f"{inside}{name}"
        mode = self._mode(text) if is_there else None
        if mode is not None and not stat.S_ISREG(mode) and self._enter(text, path, mode) is None:
            return None
        self._seen[path] = mode is not None
        return path

    def _folder(self, text: str) -> tuple[str, bool] | None:
        """A folder, by the path as it is written."""
        if text not in self._folders:
            above, _, name = text.rpartition("/")
            folder = self._folder(above)
            if folder is None:
                self._folders[text] = None
            elif not folder[1]:
                self._folders[text] = (f"{folder[0]}{name}/", False)
            else:
                self._enter(text, f"{folder[0]}{name}", self._mode(text))
        return self._folders[text]

    def _enter(self, text: str, path: str, mode: int | None) -> tuple[str, bool] | None:
        """Remember what a path leads to, where that is a folder or nothing."""
        known: tuple[str, bool] | None = (f"{path}/", mode is not None)
        if mode is not None and stat.S_ISLNK(mode):
            known = None
        elif mode is not None and stat.S_ISDIR(mode) and self._place.common_dir:
            # Perhaps the root of a linked worktree, whose files are the room's by other names.
            known = None if os.path.lexists(f"{self._base}/{text}/.git") else known
        self._folders[text] = known
        return known

    def _mode(self, text: str) -> int | None:
        try:
            return os.lstat(f"{self._base}/{text}").st_mode
        except OSError:
            return None
