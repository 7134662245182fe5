"""check before-write, before-commit and range (contract K2): one pure function per finding.

Each takes the question (and a path, where it is about one) and answers the findings of its code.
They share the rules in `state.leases`, so a check never disagrees with a claim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rally.facilitation.checks.finding import INFO, STOP, WARN, Finding, Question
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim
from rally.facilitation.state.rules import unscoped
from rally.model.clock import to_rfc3339
from rally.model.paths import covers
from rally.model.shell import word


def before_write(question: Question) -> list[Finding]:
    """Everything that is to be said about writing these paths, room-wide findings first."""
    findings = [
        *stale_fence(question),
        *room_freeze(question),
        *unscoped_blocker(question),
        *missing_path(question),
    ]
    for path in question.paths:
        others = claimed_path(question, path)
        findings += others
        findings += active_blocker(question, path)
        findings += read_only_step(question, path)
        findings += outside_claim(question, path)
        findings += unclaimed_path(question, path, taken=bool(others))
        findings += lapsed_claim(question, path)
        findings += shared_claim(question, path)
        findings += binding_decision(question, path)
    return findings


def _claim_hint(tool: str, *paths: str) -> str:
    named = "".join(f" --path {word(path)}" for path in paths)
    return f"rally say claim --tool {tool}{named}"


def stale_fence(question: Question) -> Iterator[Finding]:
    """Contract C7: the fence must be that of a claim of the caller that has not ended."""
    fence = question.fence
    if fence is None:
        return
    own = leases.each_own_claim(question.state, question.tool, question.session_id)
    if not any(claim.seq == fence for claim in own):
        yield Finding(
            "stale-fence",
            STOP,
            f"the claim with fence {fence} has ended or was taken over; {question.tool} holds it no "
            "longer",
            hint=_claim_hint(question.tool, *question.paths[:10])
            if question.paths
            else f"rally next --tool {question.tool}",
        )


def room_freeze(question: Question) -> Iterator[Finding]:
    """The lead stopped everybody with a blocker that names no scope."""
    for blocker in question.state.blockers.values():
        if blocker.freeze:
            fact = blocker.fact
            yield Finding(
                "room-freeze",
                STOP,
                f"the lead {fact.tool} froze the room: {fact.get('subject')}",
                fact_id=fact.event_id,
                owner=fact.tool,
                hint=f"rally show {fact.event_id}",
            )


def unscoped_blocker(question: Question) -> Iterator[Finding]:
    """A blocker that names no path may or may not concern this write."""
    for blocker in question.state.blockers.values():
        fact = blocker.fact
        if unscoped(fact) and not blocker.freeze:
            yield Finding(
                "unscoped-blocker",
                WARN,
                f"open blocker of {fact.tool}: {fact.get('subject')}",
                fact_id=fact.event_id,
                owner=fact.tool,
                hint=f"rally show {fact.event_id}",
            )


def missing_path(question: Question) -> Iterator[Finding]:
    """Without a path only blockers can be looked at."""
    if not question.paths:
        yield Finding(
            "missing-path", WARN, "no --path was given, so no claim was looked at",
            hint=f"rally check before-write --tool {question.tool} --path src/app.py",
        )  # fmt: skip


def _held(question: Question, path: str, *, own: bool) -> Iterator[leases.Holding]:
    for holding in leases.overlaps(question.state, paths=(path,)):
        if leases.owns(holding.claim, question.tool, question.session_id) is own:
            yield holding


def _overlapping(question: Question, path: str, *, own: bool) -> list[leases.Holding]:
    """One holding for each claim, however many of its patterns are met: it may hold a thousand."""
    found = list(_held(question, path, own=own))
    found.sort(key=lambda holding: (holding.claim.seq, holding.held), reverse=True)
    first = {holding.claim.claim_id: holding for holding in found}
    return list(reversed(first.values()))


def claimed_path(question: Question, path: str) -> list[Finding]:
    """Another owner's live exclusive claim overlaps."""
    return [
        Finding(
            "claimed-path",
            STOP,
            f"{path} is claimed by {_holder(question, holding.claim)}"
            f"{leases.held_until(holding, question.now_ms)}",
            path=path,
            fact_id=holding.claim.claim_id,
            owner=holding.claim.tool,
            # Not `fact:`, which a lease that lapses leaves open.
            hint=f"rally say standby --tool {question.tool} --until {word('free:' + path)}",
        )
        for holding in _overlapping(question, path, own=False)
        if leases.binds(holding.claim, question.now_ms) and not holding.claim.shared
    ]


def _holder(question: Question, claim: Claim) -> str:
    """Who holds it, as the caller is told: its own name alone would puzzle it (contract C5)."""
    if claim.tool != question.tool:
        return claim.tool
    return f"{claim.tool} in its session {claim.session_id}"


def shared_claim(question: Question, path: str) -> list[Finding]:
    """Others hold the path in shared mode."""
    return [
        Finding(
            "shared-claim",
            WARN,
            f"{holding.claim.tool} holds {holding.held} in shared mode",
            path=path,
            fact_id=holding.claim.claim_id,
            owner=holding.claim.tool,
        )
        for holding in _overlapping(question, path, own=False)
        if leases.binds(holding.claim, question.now_ms) and holding.claim.shared
    ]


def lapsed_claim(question: Question, path: str) -> list[Finding]:
    """A lease on the path is over: the caller's own, or another's."""
    findings = []
    for own in (True, False):
        for holding in _overlapping(question, path, own=own):
            claim = holding.claim
            if leases.binds(claim, question.now_ms):
                continue
            whose = "your" if own else f"{claim.tool}'s"
            findings.append(
                Finding(
                    "lapsed-claim",
                    WARN,
                    f"{whose} lease on {holding.held} lapsed at {to_rfc3339(claim.expires_ms)}",
                    path=path,
                    fact_id=claim.claim_id,
                    owner=claim.tool,
                    hint=f"rally say renew --tool {question.tool}"
                    if own
                    else _claim_hint(question.tool, path),
                )
            )
    return findings + _taken_over(question, path)


def _taken_over(question: Question, path: str) -> list[Finding]:
    """The caller's lease on the path lapsed, and somebody else took it over (contract C6)."""
    return [
        Finding(
            "lapsed-claim",
            WARN,
            f"your lease on {path} lapsed at {to_rfc3339(lost.claim.expires_ms)}, and "
            f"{lost.by.tool} took it over",
            path=path,
            fact_id=lost.claim.claim_id,
            owner=lost.claim.tool,
            hint=f"rally show {lost.by.event_id}",
        )
        for lost in leases.own_lost(question.state, question.tool, question.session_id, (path,))
    ]


def active_blocker(question: Question, path: str) -> list[Finding]:
    """An open blocker is scoped to the path."""
    found = {blocker_id for blocker_id, _ in question.state.blocker_index.overlapping(path)}
    blockers = sorted((question.state.blockers[one].fact for one in found), key=lambda f: f.seq)
    return [
        Finding(
            "active-blocker",
            STOP,
            f"{path} is blocked by {fact.tool}: {fact.get('subject')}",
            path=path,
            fact_id=fact.event_id,
            owner=fact.tool,
            hint=f"rally show {fact.event_id}",
        )
        for fact in blockers
    ]


def _step_claims(question: Question) -> list[Claim]:
    if question.step is None:
        return []
    own = leases.own_step_claims(question.state, question.tool, question.session_id, question.step)
    return [claim for claim in own if leases.binds(claim, question.now_ms)]


def read_only_step(question: Question, path: str) -> Iterator[Finding]:
    """The caller's step owns no path: by its claim, or as a task that was registered as read-only.

    A task that has landed may be forgotten or not, so it counts no more.
    """
    if question.step is None:
        return
    run = question.state.runs.get(question.step[0])
    task = run.tasks.get(question.step[1]) if run else None
    claims = _step_claims(question)
    reads = run and task and task.read_only and task.task_id not in run.landed
    if reads or (claims and not any(claim.paths for claim in claims)):
        yield Finding(
            "read-only-step",
            STOP,
            f"step {question.step[1]} of run {question.step[0]} is read-only; it may not write {path}",
            path=path,
            fact_id=claims[0].claim_id if claims else None,
            owner=question.tool,
            hint=f"rally say claim --tool {question.tool} --run {word(question.step[0])} "
            f"--step {word(question.step[1])} --path …",
        )


def _covered(claims: list[Claim], path: str) -> bool:
    return any(covers(held, path) for claim in claims for held in claim.paths)


def _covered_by_own(question: Question, path: str) -> bool:
    # Each pattern by itself: of a claim's several that meet the path, another one may cover it.
    return any(
        covers(holding.held, path)
        for holding in leases.overlaps(question.state, paths=(path,))
        if leases.owns(holding.claim, question.tool, question.session_id)
        and leases.binds(holding.claim, question.now_ms)
    )


def _what(held: Sequence[str]) -> str:
    """The first paths of a claim, in brackets; nothing where it has none."""
    return f" ({', '.join(held[:3])}{', …' if len(held) > 3 else ''})" if held else ""


def _others_step_claim(question: Question, path: str) -> Claim | None:
    """What somebody else holds the step with, unless it covers the path (that is a finding already)."""
    if question.step is None:
        return None
    holders = [
        holding.claim
        for holding in leases.overlaps(question.state, step=question.step)
        if leases.binds(holding.claim, question.now_ms)
        and not leases.owns(holding.claim, question.tool, question.session_id)
    ]
    return holders[0] if holders and not _covered(holders, path) else None


def outside_claim(question: Question, path: str) -> Iterator[Finding]:
    """The claims are elsewhere: a stop when the step that was named has one, else a warning."""
    step_claims = _step_claims(question)
    of_step = any(claim.paths for claim in step_claims)
    if not step_claims and (other := _others_step_claim(question, path)) is not None:
        assert question.step is not None
        yield Finding(
            "outside-claim",
            STOP,
            f"{path} is outside step {question.step[1]} of run {question.step[0]}, which "
            f"{other.tool} holds{_what(other.paths)}",
            path=path,
            fact_id=other.claim_id,
            owner=other.tool,
            hint=_claim_hint(question.tool, path),
        )
        return
    if of_step:
        if _covered(step_claims, path):
            return
        held, fact_id = step_claims[0].paths, step_claims[0].claim_id
    else:
        if _covered_by_own(question, path):
            return
        own = leases.each_own_claim(question.state, question.tool, question.session_id)
        live = next((c for c in own if c.paths and leases.binds(c, question.now_ms)), None)
        if live is None:
            return
        held, fact_id = live.paths, live.claim_id
    yield Finding(
        "outside-claim",
        STOP if of_step else WARN,
        f"{path} is outside what {question.tool} claims{_what(held)}",
        path=path,
        fact_id=fact_id,
        owner=question.tool,
        hint=_claim_hint(question.tool, path),
    )


def unclaimed_path(question: Question, path: str, *, taken: bool) -> Iterator[Finding]:
    """The caller has no claim that covers the path."""
    if _covered_by_own(question, path) or (taken and not question.require_claim):
        return
    yield Finding(
        "unclaimed-path",
        STOP if question.require_claim else INFO,
        f"{question.tool} has no claim on {path}",
        path=path,
        hint=_claim_hint(question.tool, path),
    )


def binding_decision(question: Question, path: str) -> list[Finding]:
    """A binding decision covers the path."""
    found = {one for one, _ in question.state.decision_index.overlapping(path)}
    facts = sorted((question.state.decisions[one] for one in found), key=lambda f: f.seq)
    return [
        Finding(
            "binding-decision",
            INFO,
            f"decision of {fact.tool}: {fact.get('subject')}",
            path=path,
            fact_id=fact.event_id,
            owner=fact.tool,
            hint=f"rally show {fact.event_id}",
        )
        for fact in facts
        if fact.get("status", "binding") == "binding"
    ]
