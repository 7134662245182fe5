"""Which tasks own paths that overlap (contract W2 `boundary-conflict`, by the rule of C2).

The paths go into the same index that claims are looked up in, so a plan whose boundaries are sound
costs the depth of its paths and not the number of pairs. A plan in which everything overlaps with
everything has as many conflicts as pairs; looking ends after the first few thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rally.facilitation.state.claim_index import ClaimIndex

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
