"""The rules about claims that every surface shares (law 3): owner, binding, conflict.

Claim, check, release, task take, room, next and standby all ask these functions, so that two
commands can never answer the same question differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rally.facilitation.state.entities import Claim, Lost, step_of
from rally.model.clock import to_rfc3339
from rally.model.durations import span
from rally.model.fact import Fact
from rally.model.paths import any_overlap

if TYPE_CHECKING:
    from rally.facilitation.state.room import RoomState


TOLD_MAX = 5


class Holding(NamedTuple):
    """One overlap found: what was asked, what is held, by which claim.

    Exactly one of the pairs is meant: `what` is `path`, `resource` or `step`.
    """

    what: str
    asked: str
    held: str
    claim: Claim


def owns(said: Claim | Fact, tool: str, session_id: str | None) -> bool:
    """Contract C5, of claims and of facts: same tool; and the same session, when both carry one."""
    if said.tool != tool:
        return False
    return not said.session_id or not session_id or said.session_id == session_id


def binds(claim: Claim, now_ms: int) -> bool:
    """Contract C6: a claim binds until its lease is over; from then on it is `lapsed`."""
    return claim.expires_ms > now_ms


def told(claim: Claim) -> str:
    """What a claim holds, in a few words of a message."""
    names = (*claim.paths, *claim.resources)
    if not names:
        return f"step {claim.step}"
    more = f" and {len(names) - TOLD_MAX} more" if len(names) > TOLD_MAX else ""
    return ", ".join(names[:TOLD_MAX]) + more


def held_until(holding: Holding, now_ms: int) -> str:
    """` as HELD until TIME (in 5m)`, behind who holds it; what is held just as asked goes unsaid."""
    held = f" as {holding.held}" if holding.held != holding.asked else ""
    expires_ms = holding.claim.expires_ms
    return f"{held} until {to_rfc3339(expires_ms)} (in {span(expires_ms - now_ms)})"


def overlaps(
    state: RoomState,
    *,
    paths: Iterable[str] = (),
    resources: Iterable[str] = (),
    step: tuple[str, str] | None = None,
) -> Iterator[Holding]:
    """Every claim, live or lapsed, whoever owns it, that overlaps what is named (contract C2)."""
    for path in paths:
        for claim_id, held in state.claim_index.overlapping(path):
            yield Holding("path", path, held, state.claims[claim_id])
    for resource in resources:
        for claim_id in state.claims_by_resource.get(resource, ()):
            yield Holding("resource", resource, resource, state.claims[claim_id])
    if step is not None:
        for claim_id in state.claims_by_step.get(step, ()):
            yield Holding("step", step[1], step[1], state.claims[claim_id])


def conflicts(state: RoomState, wanted: Claim, *, now_ms: int) -> list[Holding]:
    """What keeps `wanted` from being granted.

    Contract C3-C6: another owner's live overlapping claim, unless both are shared. Ordered by the age
    of the claim, oldest first, so that refusals read the same everywhere.
    """
    found = [
        holding
        for holding in _overlapping(state, wanted)
        if not owns(holding.claim, wanted.tool, wanted.session_id)
        and not (holding.claim.shared and wanted.shared)
        and binds(holding.claim, now_ms)
    ]
    found.sort(key=lambda holding: (holding.claim.seq, holding.asked, holding.held))
    return found


def taken_over(state: RoomState, wanted: Claim, *, now_ms: int) -> list[Claim]:
    """The lapsed claims that end when `wanted` is granted (contract C6).

    Those that would have been in its way, and the owner's own: whoever claims a path anew has no use
    for the lease that ran out on it.
    """
    found = {
        holding.claim.claim_id: holding.claim
        for holding in _overlapping(state, wanted)
        if not binds(holding.claim, now_ms)
        and (
            owns(holding.claim, wanted.tool, wanted.session_id)
            or not (holding.claim.shared and wanted.shared)
        )
    }
    return list(found.values())


def _overlapping(state: RoomState, wanted: Claim) -> Iterator[Holding]:
    return overlaps(state, paths=wanted.paths, resources=wanted.resources, step=step_of(wanted))


def collide(a: Claim, b: Claim) -> bool:
    """Whether two claims that wait could not both be granted: the rule of `conflicts`, for a pair."""
    if a.shared and b.shared:
        return False
    step = step_of(a)
    return (
        any_overlap(a.paths, b.paths)
        or not set(a.resources).isdisjoint(b.resources)
        or (step is not None and step == step_of(b))
    )


def own_claims(state: RoomState, tool: str, session_id: str | None) -> list[Claim]:
    """The caller's claims that have not ended, live and lapsed, oldest first."""
    return list(each_own_claim(state, tool, session_id))


def each_own_claim(state: RoomState, tool: str, session_id: str | None) -> Iterator[Claim]:
    """`own_claims` one by one, for those who stop at the first that fits."""
    for claim_id in state.claims_by_tool.get(tool, ()):
        claim = state.claims[claim_id]
        if owns(claim, tool, session_id):
            yield claim


def own_overlapping(
    state: RoomState, tool: str, session_id: str | None, paths: Iterable[str]
) -> list[Claim]:
    """The caller's claims that overlap any of the paths: what `release --path` ends."""
    found = {
        holding.claim.claim_id: holding.claim
        for holding in overlaps(state, paths=paths)
        if owns(holding.claim, tool, session_id)
    }
    return sorted(found.values(), key=lambda claim: claim.seq)


def own_lost(
    state: RoomState, tool: str, session_id: str | None, paths: Collection[str] | None = None
) -> list[Lost]:
    """The caller's claims that lapsed and that somebody else took over: all, or those on some paths."""
    return [
        lost
        for lost in state.lost.values()
        if owns(lost.claim, tool, session_id)
        and not owns(lost.by, tool, session_id)
        and (paths is None or any_overlap(lost.claim.paths, paths))
    ]


def own_step_claims(
    state: RoomState, tool: str, session_id: str | None, step: tuple[str, str]
) -> list[Claim]:
    """The caller's claims that take a step of a run."""
    return [
        holding.claim
        for holding in overlaps(state, step=step)
        if owns(holding.claim, tool, session_id)
    ]


def renewal_due(state: RoomState, tool: str, session_id: str | None, now_ms: int) -> bool:
    """Contract C6: at least a third of some live lease of the caller has passed since it was set.

    The earliest such instant is remembered per tool, so that the holder of thousands of claims does
    not pay for all of them with every command.
    """
    if now_ms < state.renew_at.get(tool, 0):
        return False
    claims = [claim for claim in own_claims(state, tool, session_id) if binds(claim, now_ms)]
    if any(now_ms >= claim.renew_at_ms for claim in claims):
        return True
    if len(claims) == len(state.claims_by_tool.get(tool, ())):
        state.renew_at[tool] = min((claim.renew_at_ms for claim in claims), default=0)
    return False
