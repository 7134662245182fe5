"""Which working tree each tool works in, from what the room knows.

A managed session tells its worktree in its facts; an `enter` or `claim` from a linked worktree says in
`data.worktree` which one it was. An `enter` without came from the main working tree; a claim without
says nothing, since runners claim for others. So a tool may have several homes, or none that is known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Doc = dict[str, Any]
# An operation and its parameters; the answer.
AskRoom = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

# How many of the newest `enter` facts are looked at: more than any room has tools.
ENTERS_MAX = 4_000


@dataclass(slots=True, frozen=True)
class Homes:
    """Where tools work.

    Attributes:
        by_tool: the roots of the working trees of each tool, absolute; never empty sets.
    """

    by_tool: Mapping[str, frozenset[str]]

    def of(self, tool: str) -> frozenset[str]:
        """The trees of a tool; empty where they are not known."""
        return self.by_tool.get(tool, frozenset())

    def only_resident(self, top: str) -> str | None:
        """The tool that works in a tree, where it is exactly one."""
        found = [tool for tool, tops in self.by_tool.items() if top in tops]
        return found[0] if len(found) == 1 else None


async def read_homes(ask: AskRoom, sessions: list[Doc]) -> Homes:
    """Where the tools of a room work now.

    Args:
        ask: puts a question to the room.
        sessions: the rows of managed sessions that nobody has ended.

    Raises:
        RallyError: the room cannot be asked.
    """
    room = await ask("room", {"limit": 0})
    live = {row["tool"]: {"", *row["sessions"]} for row in room["tools"] if row["status"] != "gone"}
    homes: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    enters = await ask("log", {"kinds": ["enter"], "limit": ENTERS_MAX})
    for fact in reversed(enters["facts"]):
        one = (fact["tool"], fact.get("session_id", ""))
        if one not in seen and one[1] in live.get(one[0], ()) and "trust" not in fact:
            worktree = (fact.get("data") or {}).get("worktree")
            homes.setdefault(one[0], set()).add(str(worktree or room["room"]))
        seen.add(one)
    for claim in room["active_claims"]:
        worktree = (claim.get("data") or {}).get("worktree")
        if worktree and "trust" not in claim:
            homes.setdefault(claim["tool"], set()).add(str(worktree))
    for row in sessions:
        if row.get("worktree"):
            homes.setdefault(row["tool"], set()).add(str(row["worktree"]))
    return Homes({tool: frozenset(tops) for tool, tops in homes.items()})
