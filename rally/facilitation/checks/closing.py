"""check before-complete and check-ci (contract K3, K6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rally.facilitation.checks.finding import STOP, WARN, Finding, Question
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Handoff
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.rules import concerning, open_for
from rally.model.clock import to_rfc3339
from rally.model.fact import Fact
from rally.model.shell import word


def before_complete(question: Question) -> list[Finding]:
    """What the caller leaves behind: live claims stop it, open handoffs and blockers warn."""
    return [*_own_claims(question), *_handoffs_to(question), *_blockers(question)]


def _own_claims(question: Question) -> Iterator[Finding]:
    for claim in leases.own_claims(question.state, question.tool, question.session_id):
        if leases.binds(claim, question.now_ms):
            yield Finding(
                "owned-active-claim",
                STOP,
                f"{question.tool} still holds {leases.told(claim)}",
                path=claim.paths[0] if claim.paths else None,
                fact_id=claim.claim_id,
                owner=claim.tool,
                hint=f"rally say release --tool {question.tool} --ref {claim.claim_id}",
            )


def _handoffs_to(question: Question) -> Iterator[Finding]:
    for handoff in question.state.handoffs.values():
        if open_for(handoff, question.tool):
            fact = handoff.fact
            yield Finding(
                "open-handoff",
                WARN,
                f"{fact.tool} waits for an answer: {fact.get('subject')}",
                fact_id=fact.event_id,
                owner=fact.tool,
                hint=f"rally say receipt --tool {question.tool} --ref {fact.event_id} --state done",
            )


def _blockers(question: Question) -> Iterator[Finding]:
    caller = (question.tool, question.session_id)
    for blocker in concerning(question.state, caller, question.now_ms):
        found = _open_blocker(blocker.fact, question.tool)
        is_own = blocker.fact.tool == question.tool
        yield found if is_own else found._replace(hint=f"rally show {found.fact_id}")


def _open_blocker(fact: Fact, tool: str) -> Finding:
    return Finding(
        "open-blocker",
        WARN,
        f"open blocker of {fact.tool}: {fact.get('subject')}",
        path=fact.paths[0] if fact.paths else None,
        fact_id=fact.event_id,
        owner=fact.tool,
        hint=f"rally say resolve --tool {tool} --ref {fact.event_id}",
    )


def is_overdue(handoff: Handoff, now_ms: int) -> bool:
    """Contract P4: its `ack_by` has passed without any receipt of the addressee."""
    return handoff.ack_by_ms is not None and handoff.ack_by_ms <= now_ms and not handoff.receipts


def check_ci(state: RoomState, now_ms: int, bare_artifacts: Iterable[Fact]) -> list[Finding]:
    """What should not be left open when work is merged (contract K6).

    Args:
        bare_artifacts: artifacts without evidence, from the ledger.
    """
    findings = [_open_blocker(blocker.fact, "TOOL") for blocker in state.blockers.values()]
    for handoff in state.handoffs.values():
        if is_overdue(handoff, now_ms):
            fact = handoff.fact
            findings.append(
                Finding(
                    "overdue-handoff",
                    WARN,
                    f"{fact.doc['target']} has not answered {fact.tool}: {fact.get('subject')}",
                    fact_id=fact.event_id,
                    owner=fact.doc["target"],
                    hint=f"rally inbox --tool {fact.tool} --sent",
                )
            )
    findings += [
        Finding(
            "lapsed-claim",
            WARN,
            f"{claim.tool}'s lease on {leases.told(claim)} lapsed at {to_rfc3339(claim.expires_ms)}",
            path=claim.paths[0] if claim.paths else None,
            fact_id=claim.claim_id,
            owner=claim.tool,
            hint=f"rally say release --tool {claim.tool} --ref {claim.claim_id}",
        )
        for claim in state.claims.values()
        if not leases.binds(claim, now_ms)
    ]
    findings += [
        Finding(
            "artifact-without-evidence",
            WARN,
            f"artifact of {fact.tool} without evidence: {fact.get('subject')}",
            fact_id=fact.event_id,
            owner=fact.tool,
            hint=_with_evidence(fact),
        )
        for fact in bare_artifacts
    ]
    return findings


def _with_evidence(artifact: Fact) -> str:
    """The commands that say an artifact again, with evidence, and withdraw the bare one."""
    fields = ("run", "step", "uri")
    named = "".join(
        f" --{name} {word(artifact.doc[name])}" for name in fields if artifact.get(name)
    )
    subject = word(artifact.get("subject", ""))
    return (
        f"rally say artifact --tool {artifact.tool} --subject {subject}{named} "
        f"--evidence 'make test: passed' && rally say retract --tool {artifact.tool} "
        f"--ref {artifact.event_id} --reason 'said again, with evidence'"
    )
