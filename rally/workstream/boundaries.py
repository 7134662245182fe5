"""Which tasks own paths that overlap (contract W2 `boundary-conflict`, by the rule of C2).

A plan whose boundaries are sound, and most are, is known from its paths in order: what lies below a
path stands right behind it. Otherwise, and where patterns meet, the paths go into the same index that
claims are looked up in, so that finding the conflicts costs the depth of the paths and not the number of
pairs. A plan in which everything overlaps with everything has as many conflicts as pairs; looking ends
after the first few thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rally.facilitation.state.claim_index import ClaimIndex
from rally.model.paths import WHOLE_ROOM, is_pattern

CONFLICTS_MAX = 1_000
_HITS_MAX = 100_000


class Owned(NamedTuple):
    """One path of a task: the task's place, the place in its `owns`, the path's canonical form."""

    task: int
    entry: int
    path: str


class Conflict(NamedTuple):
    """Two tasks that own the same; or, without either, more of them than are listed.

    Attributes:
        mine: the path of the later task.
        theirs: a path of the earlier task that it overlaps.
        pairs: how many pairs of their paths overlap.
    """

    mine: Owned | None
    theirs: Owned | None
    pairs: int

    def message(self, name_of: Callable[[int], str]) -> str:
        """The conflict in a sentence."""
        if self.mine is None or self.theirs is None:
            return "more tasks than those listed own paths that overlap"
        more = f" (and {self.pairs - 1} more of their paths)" if self.pairs > 1 else ""
        mine, theirs = self.mine, self.theirs
        return (
            f"{name_of(mine.task)} owns {mine.path!a}, which overlaps {theirs.path!a} of "
            f"{name_of(theirs.task)}{more}"
        )


def conflicts(tasks: Sequence[Sequence[Owned]]) -> Iterator[Conflict]:
    """Each pair of tasks whose paths overlap, once.

    Args:
        tasks: the paths of each task, in the order of the descriptor.
    """
    if _are_sound(tasks):
        return
    index, by_holder = ClaimIndex(), dict[tuple[str, str], Owned]()
    found = hits = 0
    for paths in tasks:
        pairs: dict[int, list[tuple[Owned, Owned]]] = {}
        for mine in paths:
            if hits > _HITS_MAX:
                break
            for holding in index.overlapping(mine.path):
                theirs = by_holder[holding]
                pairs.setdefault(theirs.task, []).append((mine, theirs))
                hits += 1
        for between in pairs.values():
            found += 1
            if found <= CONFLICTS_MAX:
                yield Conflict(*between[0], len(between))
        if found > CONFLICTS_MAX or hits > _HITS_MAX:
            yield Conflict(None, None, 0)
            return
        for one in paths:
            index.add(str(one.task), [one.path])
            by_holder.setdefault((str(one.task), one.path), one)


def _are_sound(tasks: Sequence[Sequence[Owned]]) -> bool:
    """Whether no two tasks own paths that overlap."""
    literal: list[tuple[str, int]] = []
    patterns: list[Owned] = []
    for paths in tasks:
        for one in paths:
            if is_pattern(one.path):
                patterns.append(one)
            else:
                literal.append((f"{one.path}/" if one.path != WHOLE_ROOM else "", one.task))
    literal.sort()
    # The paths above the one that is looked at; all of one task, or the search had ended.
    above: list[tuple[str, int]] = []
    for path, task in literal:
        while above and not path.startswith(above[-1][0]):
            above.pop()
        if above and above[-1][1] != task:
            return False
        above.append((path, task))
    return not (patterns and _meet(tasks, patterns))


def _meet(tasks: Sequence[Sequence[Owned]], patterns: Sequence[Owned]) -> bool:
    """Whether some task's pattern overlaps any path of another one."""
    index = ClaimIndex()
    for one in patterns:
        index.add(str(one.task), [one.path])
    return any(
        holder != str(one.task)
        for paths in tasks
        for one in paths
        for holder, _ in index.overlapping(one.path)
    )
