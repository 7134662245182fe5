"""Who wrote, as far as the place of the write tells.

The kernel says which file was written and never by whom. What can be known is whose tree it is in:

- A tree that is a home of the claim's owner: it may have been the owner. Nothing is said.
- A tree that is none, while the owner's homes are known: it was not the owner.
- A linked worktree that exactly one other tool calls its home: it was that tool.
- Anything else, such as the main working tree while nobody knows where the owner works: nothing is said.

Where it was not the owner and the tree has one resident, the write is that tool's; else somebody's.
"""

from __future__ import annotations

from typing import NamedTuple

from rally.execution.homes import Homes


class Trespass(NamedTuple):
    """A write on a claim by another than its owner; `writer` is None where nobody knows by whom."""

    writer: str | None


def trespass(homes: Homes, top: str, owner: str, *, is_main: bool) -> Trespass | None:
    """Whether a write on a claim was not its owner's.

    Args:
        homes: where the tools work.
        top: the root of the tree that was written in.
        owner: of the claim.
        is_main: the tree is the main working tree, where persons and unknown programs are too.
    """
    known = homes.of(owner)
    if top in known:
        return None
    resident = homes.only_resident(top)
    if known or (resident is not None and not is_main):
        return Trespass(resident)
    return None
