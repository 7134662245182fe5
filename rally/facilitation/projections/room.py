"""room and enter: the whole room at a glance, and what a tool must know when it comes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rally.facilitation.projections.show import (
    show_claim,
    show_handoff,
    show_lead,
    show_mission,
    show_tool,
)
from rally.facilitation.projections.wake_due import due_cause
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Waiter
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.rules import open_for
from rally.model.clock import to_rfc3339
from rally.model.fact import Fact
from rally.model.paths import any_overlap


@dataclass(slots=True)
class Lens:
    """What part of the room is wanted; every filter that is set must match.

    Attributes:
        tool: facts of this tool, or addressed to it.
        paths: facts on overlapping paths.
        run: facts of this run.
        since_seq: facts after this number.
        limit: most entries of each list, the newest kept; 0 for all.
    """

    tool: str | None = None
    paths: tuple[str, ...] = ()
    run: str | None = None
    since_seq: int = 0
    limit: int = 50

    def sees(self, fact: Fact) -> bool:
        """Whether a fact passes every filter."""
        if self.tool is not None and self.tool not in (fact.tool, fact.get("target")):
            return False
        if self.run is not None and fact.run != self.run:
            return False
        if fact.seq <= self.since_seq:
            return False
        return not self.paths or any_overlap(fact.paths, self.paths)

    @property
    def wide_open(self) -> bool:
        """Whether nothing is filtered out."""
        return not (self.tool or self.paths or self.run or self.since_seq)


def room(
    state: RoomState,
    lens: Lens,
    now_ms: int,
    *,
    artifacts: tuple[list[Fact], int],
    waiting: Sequence[Waiter] = (),
) -> dict[str, Any]:
    """The room (contract P2).

    Args:
        artifacts: the newest artifacts that the lens sees, newest first, and how many there are.
        waiting: claims in the queue, in order of arrival.
    """
    live: list[dict[str, Any]] = []
    lapsed: list[dict[str, Any]] = []
    for claim in state.claims.values():
        if lens.sees(claim.fact):
            kept = live if leases.binds(claim, now_ms) else lapsed
            kept.append(show_claim(claim, now_ms))
    lists: dict[str, list[dict[str, Any]]] = {
        "active_claims": live,
        "lapsed_claims": lapsed,
        "active_blockers": _docs(lens, (b.fact for b in state.blockers.values())),
        "open_handoffs": [
            show_handoff(handoff, now_ms)
            for handoff in state.handoffs.values()
            if lens.sees(handoff.fact)
        ],
        "current_decisions": _docs(lens, state.decisions.values()),
        "open_risks": _docs(lens, state.risks.values()),
        "standbys": [
            {**one.fact.doc, "due": due_cause(state, one, now_ms)}
            for one in state.standbys.values()
            if lens.sees(one.fact)
        ],
        "recent_artifacts": [fact.doc for fact in artifacts[0]],
        "tools": [
            show_tool(state, presence, now_ms)
            for presence in state.tools.values()
            if lens.tool in (None, presence.tool)
        ],
        "waiting": [_show_waiter(one) for one in waiting if lens.tool in (None, one.tool)],
    }
    totals = {name: len(entries) for name, entries in lists.items()}
    totals["recent_artifacts"] = artifacts[1]
    if lens.limit:
        for name, entries in lists.items():
            if name == "tools":
                entries.sort(key=lambda row: (row["status"] == "gone", row["tool"]))
            newest_first = name == "recent_artifacts"
            lists[name] = entries[: lens.limit] if newest_first or name in ("tools", "waiting") else (
                entries[-lens.limit :]
            )  # fmt: skip
    return {
        "head": state.head_seq,
        **lists,
        "lead": show_lead(state),
        "mission": show_mission(state),
        "totals": totals,
    }


def _docs(lens: Lens, facts: Any) -> list[dict[str, Any]]:
    return [fact.doc for fact in facts if lens.sees(fact)]


def _show_waiter(waiter: Waiter) -> dict[str, Any]:
    return {
        "tool": waiter.tool,
        "session_id": waiter.session_id,
        "paths": list(waiter.paths),
        "resources": list(waiter.resources),
        "run": waiter.run,
        "step": waiter.step,
        "since": to_rfc3339(waiter.since_ms),
        "until": to_rfc3339(waiter.deadline_ms),
    }


def enter(  # noqa: PLR0913 (what the view is made of)
    state: RoomState,
    caller: tuple[str, str | None],
    watched: tuple[str, ...],
    now_ms: int,
    *,
    root: str,
    cursor: tuple[int, int],
    news: list[Fact],
) -> dict[str, Any]:
    """What a tool must know when it comes in (contract P1).

    Args:
        watched: the paths that it watches; empty means the whole room.
        cursor: the seq of its previous enter (0 for the first) and the head now.
        news: what others said between the two, ascending.
    """
    tool, session_id = caller
    sees: Callable[[Fact], bool] = Lens(paths=watched).sees
    mine = leases.own_claims(state, tool, session_id)
    do = [show_claim(claim, now_ms) for claim in mine]
    do += [
        {**one.fact.doc, "due": cause}
        for one in state.standbys.values()
        if one.fact.tool == tool and (cause := due_cause(state, one, now_ms)) is not None
    ]
    do += [fact.doc for fact in state.reviews.values() if fact.doc["target"] == tool]
    do_not = [
        show_claim(claim, now_ms)
        for claim in state.claims.values()
        if not leases.owns(claim, tool, session_id)
        and leases.binds(claim, now_ms)
        and (sees(claim.fact) or not claim.paths)
    ]
    do_not += [
        blocker.fact.doc
        for blocker in state.blockers.values()
        if blocker.freeze or not blocker.fact.paths or sees(blocker.fact)
    ]
    return {
        "tool": tool,
        "session_id": session_id,
        "room": root,
        "cursor": {"before": cursor[0], "after": cursor[1]},
        "do": do,
        "do_not": do_not,
        "know": [
            fact.doc
            for fact in state.decisions.values()
            if fact.get("status", "binding") == "binding" and (not fact.paths or sees(fact))
        ],
        "respond_to": [
            show_handoff(handoff, now_ms)
            for handoff in state.handoffs.values()
            if open_for(handoff, tool)
        ],
        "attention": [fact.doc for fact in news],
        "lead": show_lead(state),
        "mission": show_mission(state),
        "present": state.is_present(tool),
    }
