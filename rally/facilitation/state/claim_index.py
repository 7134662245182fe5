"""Which holders' paths overlap a path, without asking every holder (contract C2, section 9).

A tree of path segments. A holding hangs at the node that its stem leads to (`model.paths.stem`: the
segments before a `**`). A path asked for walks down by its
own stem. What hangs on the way is above it, what hangs below the node where it ends is below it;
both overlap. At each node a literal segment finds its literal child by one look-up; children whose
segment has a wildcard are kept apart, by the text before the wildcard, so that `test_a*` is not
tried for `src`. What the stems let through is asked `beyond_stems` one by one. The answer is the one
that `model.paths.overlap` gives for each holding by itself, because both take it from the same two
functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rally.model.paths import beyond_stems, is_pattern, segments_meet, stem

# Holder and pattern to the holder's place in the order of arrival.
_Held = dict[tuple[str, str], int]


class _Node:
    __slots__ = ("held", "literal", "wild")

    def __init__(self) -> None:
        self.held: _Held = {}
        self.literal: dict[str, _Node] = {}
        # Text before the first wildcard, to whole segment, to child.
        self.wild: dict[str, dict[str, _Node]] = {}

    def children(self) -> Iterator[tuple[str, _Node]]:
        yield from self.literal.items()
        for siblings in self.wild.values():
            yield from siblings.items()

    def child(self, segment: str) -> _Node | None:
        """The child under exactly this segment's text."""
        if not is_pattern(segment):
            return self.literal.get(segment)
        return self.wild.get(_head(segment), {}).get(segment)

    def grow(self, segment: str) -> _Node:
        """The child under exactly this segment's text, made if there is none."""
        if is_pattern(segment):
            return self.wild.setdefault(_head(segment), {}).setdefault(segment, _Node())
        return self.literal.setdefault(segment, _Node())

    def prune(self, segment: str) -> None:
        """Cut off the child under this segment."""
        if not is_pattern(segment):
            del self.literal[segment]
            return
        siblings = self.wild[_head(segment)]
        del siblings[segment]
        if not siblings:
            del self.wild[_head(segment)]

    def meeting(self, segment: str) -> Iterator[_Node]:
        """The children whose segment meets the one asked for."""
        if is_pattern(segment):
            yield from self._meeting_pattern(segment)
            return
        exact = self.literal.get(segment)
        if exact is not None:
            yield exact
        for length in range(len(segment) + 1) if self.wild else ():
            for other, node in self.wild.get(segment[:length], {}).items():
                if segments_meet(segment, other):
                    yield node

    def _meeting_pattern(self, segment: str) -> Iterator[_Node]:
        # What comes before the first wildcard tells nearly all siblings apart, at the price of a
        # comparison: of thousands of `test_<name>_*` only those of one name are looked at.
        head = _head(segment)
        for other, node in self.literal.items():
            if other.startswith(head) and segments_meet(segment, other):
                yield node
        for known, siblings in self.wild.items():
            if known.startswith(head) or head.startswith(known):
                yield from (
                    node for other, node in siblings.items() if segments_meet(segment, other)
                )

    @property
    def empty(self) -> bool:
        return not (self.held or self.literal or self.wild)


class ClaimIndex:
    """Canonical paths and patterns by holder; the holder is any id (claim, blocker, decision).

    Two indexes are equal when the same holders hold the same patterns, whatever came first.
    """

    __slots__ = ("_arrivals", "_holders", "_root")

    def __init__(self) -> None:
        self._root = _Node()
        self._holders: dict[str, tuple[int, dict[str, None]]] = {}
        self._arrivals = 0

    def add(self, claim_id: str, paths: Iterable[str]) -> None:
        """Let a holder hold canonical paths or patterns; holding one twice is holding it once."""
        for path in paths:
            if claim_id not in self._holders:
                self._arrivals += 1
                self._holders[claim_id] = (self._arrivals, {})
            arrival, patterns = self._holders[claim_id]
            patterns[path] = None
            node = self._root
            for segment in stem(path):
                node = node.grow(segment)
            node.held[claim_id, path] = arrival

    def remove(self, claim_id: str, paths: Iterable[str]) -> None:
        """Let go of paths, given as they were added; one that is not held is passed over."""
        for path in paths:
            patterns = self._holders.get(claim_id, (0, {}))[1]
            if path not in patterns:
                continue
            del patterns[path]
            if not patterns:
                del self._holders[claim_id]
            self._let_go(claim_id, path)

    def _let_go(self, claim_id: str, path: str) -> None:
        node = self._root
        way: list[tuple[_Node, str]] = []
        for segment in stem(path):
            child = node.child(segment)
            assert child is not None, f"{path!a} was added and has no node"
            way.append((node, segment))
            node = child
        del node.held[claim_id, path]
        while way and node.empty:
            node, segment = way.pop()
            node.prune(segment)

    def overlapping(self, path: str) -> Iterator[tuple[str, str]]:
        """Every (holder, held pattern) that overlaps a path, each once, oldest holder first.

        For a literal path the cost is its depth and the answers, and at each node on the way the
        wildcard segments that begin like its own.

        Args:
            path: a canonical path or pattern.
        """
        found: _Held = {}
        level = [self._root]
        for segment in stem(path):
            below: list[_Node] = []
            for node in level:
                found.update(node.held)
                below.extend(node.meeting(segment))
            level = below
        while level:
            node = level.pop()
            found.update(node.held)
            level.extend(child for _, child in node.children())
        ordered = sorted(found.items(), key=lambda holding: (holding[1], holding[0][1]))
        return (holding for holding, _ in ordered if beyond_stems(path, holding[1]))

    def items(self) -> list[tuple[str, list[str]]]:
        """Each holder, oldest first, with its patterns in the order in which they were added."""
        return [(claim_id, list(patterns)) for claim_id, (_, patterns) in self._holders.items()]

    def __len__(self) -> int:
        return len(self._holders)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClaimIndex):
            return NotImplemented
        return self._contents() == other._contents()

    __hash__ = None  # type: ignore[assignment]  # it changes in place

    def _contents(self) -> dict[str, set[str]]:
        return {claim_id: set(patterns) for claim_id, (_, patterns) in self._holders.items()}


def _head(segment: str) -> str:
    """The text of a segment before its first wildcard."""
    return segment.partition("*")[0].partition("?")[0]
