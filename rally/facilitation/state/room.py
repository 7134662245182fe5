"""RoomState: everything that is live in one room, kept by `fold` alone.

The state is changed in place, one fact at a time, because copying ten thousand claims per fact would
cost more than the fact. A state that was folded with facts that then failed to reach the ledger is
thrown away and loaded anew (see `service`), never repaired.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from rally.facilitation.state.claim_index import ClaimIndex
from rally.facilitation.state.entities import (
    Blocker,
    Claim,
    Handoff,
    Lead,
    Lost,
    ManagedSession,
    Presence,
    Standby,
    step_of,
)
from rally.facilitation.state.runs import Run
from rally.model.fact import GENESIS, Fact

_K = TypeVar("_K")

# Tools that have left stay listed as `gone`, the newest so many, so that state never grows with
# history.
GONE_TOOLS_MAX = 200
# The same of claims that were taken over and whose owners have not claimed there again.
LOST_MAX = 200


class RoomState:
    """The folded state. Dictionaries keep the order of the ledger, oldest first."""

    __slots__ = (
        "artifacts_total", "blocker_index", "blockers", "blockers_by_step", "claim_index", "claims",
        "claims_by_resource", "claims_by_step", "claims_by_tool", "decision_index", "decisions",
        "handoffs", "head_hash", "head_seq", "lead", "lost", "memory", "mission", "renew_at",
        "resolved_for", "reviews", "risks", "runs", "sessions", "standbys", "time_ms", "tools",
        "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.head_seq = 0
        self.head_hash = GENESIS
        # The newest instant in the ledger. Time never runs backwards inside a room: decisions use
        # max(clock, time_ms), so a clock that jumps back cannot revive a lease.
        self.time_ms = 0
        self.tools: dict[str, Presence] = {}
        self.claims: dict[str, Claim] = {}
        self.claims_by_tool: dict[str, dict[str, None]] = {}
        self.claims_by_resource: dict[str, dict[str, None]] = {}
        self.claims_by_step: dict[tuple[str, str], dict[str, None]] = {}
        self.claim_index = ClaimIndex()
        # Claims that lapsed and were taken over, by id, oldest first.
        self.lost: dict[str, Lost] = {}
        # A cache, not state: tool to the instant before which none of its leases wants renewing.
        self.renew_at: dict[str, int] = {}
        self.standbys: dict[str, Standby] = {}
        # Condition key (`step:RUN\0ID`, `fact:ID`) to the standbys that wait for it.
        self.waiting: dict[str, dict[str, None]] = {}
        self.handoffs: dict[str, Handoff] = {}
        self.blockers: dict[str, Blocker] = {}
        self.blocker_index = ClaimIndex()
        self.blockers_by_step: dict[tuple[str, str], dict[str, None]] = {}
        self.decisions: dict[str, Fact] = {}
        self.decision_index = ClaimIndex()
        self.risks: dict[str, Fact] = {}
        # Artifacts that ask a target for a review and have not got one.
        self.reviews: dict[str, Fact] = {}
        # Tool to its blockers that were resolved and after which it has said nothing.
        self.resolved_for: dict[str, dict[str, Fact]] = {}
        self.artifacts_total = 0
        self.lead: Lead | None = None
        self.mission: Fact | None = None
        self.runs: dict[str, Run] = {}
        self.memory: dict[str, Fact] = {}
        # Managed agent sessions by name.
        self.sessions: dict[str, ManagedSession] = {}

    def now_ms(self, clock_ms: int) -> int:
        """The instant that decisions use: never before the newest fact."""
        return max(clock_ms, self.time_ms)

    def is_present(self, tool: str) -> bool:
        """Whether a tool has entered and not left (the trust gate of contract P6)."""
        presence = self.tools.get(tool)
        return presence is not None and presence.present

    def is_led_by(self, tool: str) -> bool:
        """Whether a tool holds the lead's seat."""
        return self.lead is not None and self.lead.tool == tool

    # -- claims ---------------------------------------------------------------------------------

    def add_claim(self, claim: Claim) -> None:
        """Enter a granted claim into every index."""
        self.claims[claim.claim_id] = claim
        self.claims_by_tool.setdefault(claim.tool, {})[claim.claim_id] = None
        if claim.tool in self.renew_at:
            self.renew_at[claim.tool] = min(self.renew_at[claim.tool], claim.renew_at_ms)
        self.claim_index.add(claim.claim_id, claim.paths)
        for resource in claim.resources:
            self.claims_by_resource.setdefault(resource, {})[claim.claim_id] = None
        if (step := step_of(claim)) is not None:
            self.claims_by_step.setdefault(step, {})[claim.claim_id] = None

    def end_claim(self, claim: Claim) -> None:
        """The one way a claim ends, whatever ended it; standbys that wait for it learn of it."""
        del self.claims[claim.claim_id]
        _discard(self.claims_by_tool, claim.tool, claim.claim_id)
        self.claim_index.remove(claim.claim_id, claim.paths)
        for resource in claim.resources:
            _discard(self.claims_by_resource, resource, claim.claim_id)
        if (step := step_of(claim)) is not None:
            _discard(self.claims_by_step, step, claim.claim_id)
        self.mark_held(f"fact:{claim.claim_id}")

    def lose_claim(self, lost: Lost) -> None:
        """A lapsed claim ends because somebody else takes it over."""
        self.end_claim(lost.claim)
        if lost.claim.paths or step_of(lost.claim) is not None:  # a check or a graph asks for it
            self.lost[lost.claim.claim_id] = lost
            for forgotten in list(self.lost)[:-LOST_MAX]:
                del self.lost[forgotten]

    # -- standbys -------------------------------------------------------------------------------

    def add_standby(self, standby: Standby) -> None:
        """Enter a standby and what it waits for."""
        self.standbys[standby.fact.event_id] = standby
        for _, key in watched_conditions(standby):
            self.waiting.setdefault(key, {})[standby.fact.event_id] = None

    def end_standby(self, standby: Standby) -> None:
        """Forget a standby that was woken, replaced, landed or left."""
        del self.standbys[standby.fact.event_id]
        for _, key in watched_conditions(standby):
            _discard(self.waiting, key, standby.fact.event_id)
        self.mark_held(f"fact:{standby.fact.event_id}")

    def mark_held(self, key: str, *, holds: bool = True) -> None:
        """A condition came true (or, after a retraction, is no longer true)."""
        for standby_id in self.waiting.get(key, ()):
            standby = self.standbys[standby_id]
            for index, waited in watched_conditions(standby):
                if waited == key and holds:
                    standby.held.add(index)
                elif waited == key:
                    standby.held.discard(index)

    # -- blockers and decisions -----------------------------------------------------------------

    def add_blocker(self, blocker: Blocker) -> None:
        """Open a blocker."""
        self.blockers[blocker.fact.event_id] = blocker
        self.blocker_index.add(blocker.fact.event_id, blocker.fact.paths)
        if (step := step_of(blocker.fact)) is not None:
            self.blockers_by_step.setdefault(step, {})[blocker.fact.event_id] = None

    def end_blocker(self, blocker: Blocker) -> None:
        """Close a blocker."""
        del self.blockers[blocker.fact.event_id]
        self.blocker_index.remove(blocker.fact.event_id, blocker.fact.paths)
        if (step := step_of(blocker.fact)) is not None:
            _discard(self.blockers_by_step, step, blocker.fact.event_id)
        self.mark_held(f"fact:{blocker.fact.event_id}")

    def add_decision(self, fact: Fact) -> None:
        """Make a decision current."""
        self.decisions[fact.event_id] = fact
        self.decision_index.add(fact.event_id, fact.paths or ["."])

    def end_decision(self, fact: Fact) -> None:
        """A decision was superseded or retracted."""
        del self.decisions[fact.event_id]
        self.decision_index.remove(fact.event_id, fact.paths or ["."])

    # -- what waits for an answer -----------------------------------------------------------------

    def end_handoff(self, handoff: Handoff) -> None:
        """A handoff was answered for good, or withdrawn."""
        del self.handoffs[handoff.fact.event_id]
        self.mark_held(f"fact:{handoff.fact.event_id}")

    def end_risk(self, risk_id: str) -> None:
        """A risk was resolved or withdrawn."""
        del self.risks[risk_id]
        self.mark_held(f"fact:{risk_id}")

    def end_review(self, artifact_id: str) -> None:
        """An artifact got the review that it asked for, or was withdrawn."""
        del self.reviews[artifact_id]
        self.mark_held(f"fact:{artifact_id}")


def condition_key(condition: str, run: str | None) -> str | None:
    """The key under which a condition is watched; None for `free:`, which time decides."""
    form, _, rest = condition.partition(":")
    if form == "step":
        return f"step:{run}\0{rest}"
    return condition if form == "fact" else None


def watched_conditions(standby: Standby) -> Iterator[tuple[int, str]]:
    """Index and key of each condition of a standby that facts, not time, make true."""
    for index, condition in enumerate(standby.until):
        key = condition_key(condition, standby.fact.run)
        if key is not None:
            yield index, key


def _discard(index: dict[_K, dict[str, None]], key: _K, member: str) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(member, None)
        if not members:
            del index[key]
