"""handoff, receipt, resolve, artifact, decision, retract: what answers something else."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide import claims
from rally.facilitation.decide.context import Context, Decision, warning
from rally.facilitation.intake import Asked
from rally.facilitation.state import leases
from rally.facilitation.state.rules import closed_by, handoff_of
from rally.model.clock import to_rfc3339
from rally.model.errors import Refused, UsageError
from rally.model.fact import Fact


def handoff(context: Context, asked: Asked) -> Decision:
    """Ask another tool to act; with `claim`, offer it a claim (contract C10).

    Raises:
        UsageError: `unknown-id`, `wrong-kind`, or `bad-value` for a claim that has ended or goes to all.
        Refused: `not-owner`.
    """
    content = context.begin(asked)
    if "claim" in content:
        fact = context.known_kind(asked.content["claim"], "--claim", ("claim",))
        held = context.state.claims.get(fact.event_id)
        if held is None:
            raise Refused(
                "already-closed", f"--claim {fact.event_id} has ended; there is nothing to hand over",
                hint=f"rally room --tool {asked.tool}",
            )  # fmt: skip
        if not leases.owns(held, asked.tool, asked.session_id):
            raise Refused(
                "not-owner",
                f"{held.claim_id} belongs to {held.tool}; only its owner may hand it over",
                hint=f"rally say handoff --tool {asked.tool} --target {held.tool} "
                f"--subject 'please hand over {held.claim_id}'",
                details={"owner": held.tool, "lease_expires_at": to_rfc3339(held.expires_ms)},
            )
        if content["target"] == "all":
            raise UsageError(
                "bad-value", "a claim can be handed to one tool only, not to all",
                hint="--target codex:1",
            )  # fmt: skip
    return Decision([content])


def receipt(context: Context, asked: Asked) -> Decision:
    """The addressee answers (contract section 4); accepting an offered claim moves it (C10).

    Raises:
        UsageError: `unknown-id`, `wrong-kind`.
        Refused: `not-target`, `already-closed`.
    """
    fact = context.known_kind(asked.content["ref"], "--ref", ("handoff", "artifact"))
    content = context.begin(asked)
    _check_addressee(context, asked, fact)
    open_handoff = context.state.handoffs.get(fact.event_id)
    if fact.kind == "handoff" and open_handoff is None and not _is_only_done(context, fact):
        raise already_closed(fact)
    decision = Decision([content])
    offered = fact.get("claim")
    if offered and content["state"] == "accepted":
        _move_claim(context, decision, fact, offered)
    return decision


def _check_addressee(context: Context, asked: Asked, fact: Fact) -> None:
    target = fact.get("target")
    if target == "all":
        said = context.past.answers_to(fact.event_id)
        if any(one.kind == "receipt" and one.tool == asked.tool for one in said):
            raise Refused(
                "not-target", f"{asked.tool} has answered {fact.event_id} before; once each",
                hint=f"rally show {fact.event_id}",
            )  # fmt: skip
    elif target != asked.tool:
        raise Refused(
            "not-target",
            f"{fact.event_id} is addressed to {target or 'nobody'}, not to {asked.tool}",
            hint=f"rally inbox --tool {asked.tool}",
            details={"target": target},
        )


def _is_only_done(context: Context, fact: Fact) -> bool:
    """Whether a handoff to `all` is closed by nothing but a `done`: it takes the word of nobody else,
    so the others may still give their answer, once each."""
    if fact.get("target") != "all":
        return False
    handoff = handoff_of(fact)
    closing = [
        one
        for one in context.past.answers_to(fact.event_id)
        if one.withdraws or closed_by(handoff, one)
    ]
    return bool(closing) and all(one.kind == "receipt" for one in closing)


def _move_claim(context: Context, decision: Decision, offer: Fact, claim_id: str) -> None:
    """Add the new owner's claim; folding it ends the old one in the same step."""
    held = context.state.claims.get(claim_id)
    if held is None or not leases.binds(held, context.now_ms):
        decision.warnings.append(
            warning("claim-not-moved", f"{claim_id} has ended or lapsed; nothing moved")
        )
        return
    answer = decision.contents[0]
    moved = context.base("claim", answer["tool"], answer.get("session_id"))
    for name in ("subject", "paths", "resources", "mode", "run", "step", "parent_steps"):
        if name in held.fact.doc:
            moved[name] = held.fact.doc[name]
    moved["ref"] = offer.event_id
    moved["claim"] = held.claim_id
    granted = claims.grant(context, moved, held.ttl_ms, position=1)
    decision.contents += granted.contents
    decision.fence = granted.fence


def resolve(context: Context, asked: Asked) -> Decision:
    """Close a blocker or risk (anyone), a handoff (its target or sender), a review (its target).

    Raises:
        UsageError: `unknown-id`, `wrong-kind`.
        Refused: `not-target`, `already-closed`.
    """
    fact = context.known_kind(
        asked.content["ref"], "--ref", ("blocker", "risk", "handoff", "artifact")
    )
    content = context.begin(asked)
    state = context.state
    if fact.kind == "handoff":
        if asked.tool not in (fact.tool, fact.doc["target"]) and fact.doc["target"] != "all":
            raise Refused(
                "not-target",
                f"{fact.event_id} is between {fact.tool} and {fact.doc['target']}",
                hint=f"rally inbox --tool {asked.tool}",
                details={"target": fact.doc["target"], "sender": fact.tool},
            )
        still_open = fact.event_id in state.handoffs
    elif fact.kind == "artifact":
        if asked.tool != fact.get("target"):
            raise Refused(
                "not-target",
                f"{fact.event_id} asks {fact.get('target') or 'nobody'} for a review",
                hint=f"rally inbox --tool {asked.tool}",
                details={"target": fact.get("target")},
            )
        still_open = fact.event_id in state.reviews
    else:
        still_open = fact.event_id in state.blockers or fact.event_id in state.risks
    if not still_open:
        raise already_closed(fact)
    return Decision([content])


def already_closed(fact: Fact) -> Refused:
    """The refusal to close something twice."""
    return Refused(
        "already-closed", f"{fact.kind} {fact.event_id} is closed already",
        hint=f"rally show {fact.event_id}",
    )  # fmt: skip


def artifact(context: Context, asked: Asked) -> Decision:
    """Something reviewable; with `release`, the step's claim (or the claims on its paths) end too.

    Raises:
        UsageError: `unknown-id`; `missing-field` or `nothing-to-release` for `--release`.
    """
    content = context.begin(asked)
    decision = Decision([content])
    if not asked.options.get("release"):
        return decision
    if "run" in content and "step" in content:
        step = (content["run"], content["step"])
        held = leases.own_step_claims(context.state, asked.tool, asked.session_id, step)
    elif "paths" in content:
        held = leases.own_overlapping(context.state, asked.tool, asked.session_id, content["paths"])
    else:
        raise UsageError(
            "missing-field", "--release needs --run and --step, or --path, to know which claim ends",
            hint="--release --run api-2 --step users", details={"missing": ["run", "step"]},
        )  # fmt: skip
    if not held:
        raise claims.nothing_to_release(context, asked)
    for one in held:
        ending = context.base("release", asked.tool, asked.session_id)
        ending["ref"] = one.claim_id
        for name in ("run", "step"):
            if name in content:
                ending[name] = content[name]
        decision.contents.append(ending)
    decision.ends = held
    return decision


def decision(context: Context, asked: Asked) -> Decision:
    """Bind later work; `ref` supersedes an earlier decision.

    Raises:
        UsageError: `bad-value`, `unknown-id`, `wrong-kind`.
    """
    content = context.begin(asked)
    status = content["status"]
    if status not in ("binding", "advisory"):
        raise UsageError(
            "bad-value", f"--status is {status!a}; a decision is binding or advisory",
            hint="--status binding", details={"choices": ["binding", "advisory"]},
        )  # fmt: skip
    if "ref" in content:
        context.known_kind(content["ref"], "--ref", ("decision",))
    return Decision([content])


def retract(context: Context, asked: Asked) -> Decision:
    """Withdraw a fact; a claim, a lead or an enter fact only by its owner.

    Raises:
        UsageError: `unknown-id`; `wrong-kind` for what cannot be withdrawn.
        Refused: `not-owner`, `already-closed`.
    """
    # The id of a fact of the same batch was told to nobody yet, so it was guessed; and what such a
    # fact was about has not been fetched.
    fact = context.known(asked.content["ref"], "--ref", durable=True)
    content = retraction(context, asked, fact)
    if fact.kind in ("retract", "leave"):
        raise UsageError(
            "wrong-kind", f"a {fact.kind} cannot be withdrawn: {fact.event_id}",
            hint="say what holds now instead",
        )  # fmt: skip
    if fact.kind == "claim":
        held = context.state.claims.get(fact.event_id)
        mine = leases.owns(held, asked.tool, asked.session_id) if held else fact.tool == asked.tool
    else:
        # Presence is as much its owner's as the seat: without it nobody wakes a sleeper (P6).
        mine = fact.kind not in ("lead", "enter") or fact.tool == asked.tool
    if not mine:
        raise Refused(
            "not-owner", f"{fact.event_id} is a {fact.kind} of {fact.tool}; only its owner may "
            "withdraw it",
            hint=f"rally say handoff --tool {asked.tool} --target {fact.tool} "
            f"--subject 'please retract {fact.event_id}'",
            details={"owner": fact.tool},
        )  # fmt: skip
    if context.past.is_withdrawn(fact.event_id):
        raise Refused(
            "already-closed", f"{fact.event_id} is withdrawn already",
            hint=f"rally show {fact.event_id}",
        )  # fmt: skip
    return Decision([content])


def retraction(context: Context, asked: Asked, fact: Fact) -> dict[str, Any]:
    """The retract fact; it belongs to the run and step of what it withdraws."""
    content = context.begin(asked)
    for name in ("run", "step"):
        if name not in content and name in fact.doc:
            content[name] = fact.doc[name]
    return content
