"""claim, renew, release: granting, extending and ending leases (contract C3-C9)."""

from __future__ import annotations

from typing import Any

from rally.facilitation.decide.context import Context, Decision, warning
from rally.facilitation.intake import TTL_MS_DEFAULT, Asked
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Claim
from rally.facilitation.state.leases import Holding
from rally.facilitation.state.rules import is_person
from rally.model.clock import to_rfc3339
from rally.model.durations import format_duration
from rally.model.errors import Refused, UsageError
from rally.model.shell import word


def claim(context: Context, asked: Asked) -> Decision:
    """Grant everything that is asked for, or refuse (contract C3).

    Raises:
        Refused: `claim-conflict`, with each conflict in `details.conflicts`.
    """
    wanted = wanted_claim(context, asked)
    blocking = leases.conflicts(context.state, wanted, now_ms=context.now_ms)
    if blocking:
        raise conflict(wanted, blocking, context.now_ms, _wished(asked))
    content = context.begin(asked)
    return grant(context, content, asked.options.get("ttl_ms", TTL_MS_DEFAULT), position=0)


def grant(context: Context, content: dict[str, Any], ttl_ms: int, *, position: int) -> Decision:
    """A claim fact with its lease and its fence.

    Args:
        position: its place among the facts of this decision; the fence is its seq (contract C7).
    """
    fence = context.state.head_seq + 1 + position
    content["ttl"] = format_duration(ttl_ms)
    content["lease_expires_at"] = to_rfc3339(context.now_ms + ttl_ms)
    content["fence"] = fence
    return Decision([content], fence=fence)


def wanted_claim(context: Context, asked: Asked) -> Claim:
    """What the caller would hold, in the form in which claims are compared."""
    content = asked.content
    return Claim(
        claim_id="",
        seq=context.state.head_seq + 1,
        tool=asked.tool,
        session_id=asked.session_id,
        paths=tuple(content.get("paths", ())),
        resources=tuple(content.get("resources", ())),
        shared=content.get("mode") == "shared",
        run=content.get("run"),
        step=content.get("step"),
        since_ms=context.now_ms,
        ttl_ms=0,
        expires_ms=0,
        fact=None,  # type: ignore[arg-type]  # nothing has been said yet
    )


def conflict(
    wanted: Claim, blocking: list[Holding], now_ms: int, wished: list[tuple[str, str]]
) -> Refused:
    """The refusal of a claim, naming holder, lease and the honest ways forward.

    Args:
        wished: flags of the caller's beside those that say what is to be held.
    """
    first = blocking[0]
    others = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
    owner = first.claim.tool
    if owner == wanted.tool:
        owner += f" in its session {first.claim.session_id}"
    held_until = leases.held_until(first, now_ms)
    return Refused(
        "claim-conflict",
        f"{first.asked} is claimed by {owner}{held_until}{others}",
        hint=(
            f"rally say claim --tool {wanted.tool} {_asked_for(wanted, wished)} --wait 5m"
            if first.what != "step"
            else f"rally next --tool {wanted.tool}"
        ),
        details={"conflicts": [describe(holding) for holding in blocking]},
    )


def _wished(asked: Asked) -> list[tuple[str, str]]:
    """What the claim was to be for, and for how long, as far as the caller said so."""
    subject, ttl_ms = asked.content.get("subject"), asked.options.get("ttl_ms")
    flags = [("ttl", format_duration(ttl_ms))] if ttl_ms else []
    return flags + ([("subject", subject)] if subject else [])


def _asked_for(wanted: Claim, wished: list[tuple[str, str]]) -> str:
    """The flags that ask for all of a claim again; part of it would be granted and be too little."""
    flags = [("path", path) for path in wanted.paths]
    flags += [("resource", resource) for resource in wanted.resources]
    flags += [("run", wanted.run)] if wanted.run else []
    flags += [("step", wanted.step)] if wanted.step else []
    flags += [("mode", "shared")] if wanted.shared else []
    flags += [("session-id", wanted.session_id)] if wanted.session_id else []
    return " ".join(f"--{name} {word(value)}" for name, value in [*flags, *wished])


def describe(holding: Holding) -> dict[str, Any]:
    """One entry of `details.conflicts` (contract C3): every key that it names, null if empty."""
    claim = holding.claim
    entry: dict[str, Any] = {
        "path": None,
        holding.what: holding.asked,
        "held": holding.held,
        "owner": claim.tool,
        "claim_id": claim.claim_id,
        "since": to_rfc3339(claim.since_ms),
        "lease_expires_at": to_rfc3339(claim.expires_ms),
        "subject": claim.fact.get("subject"),
        "mode": "shared" if claim.shared else "exclusive",
    }
    if claim.session_id:
        entry["session_id"] = claim.session_id
    return entry


def renew(context: Context, asked: Asked) -> Decision:
    """Extend all of the caller's leases, lapsed ones that nobody took over included.

    A lapsed claim that is still here was taken over by nobody, so extending it harms nobody; its fence
    stays. A renew requires nothing, so one that finds no lease is a warning.
    """
    decision = Decision([context.begin(asked)])
    if not leases.own_claims(context.state, asked.tool, asked.session_id):
        decision.warnings.append(
            warning("nothing-to-renew", f"{asked.tool} holds no claim; no lease was extended")
        )
    return decision


def renewal(context: Context, tool: str, session_id: str | None) -> dict[str, Any] | None:
    """The renewal that rally writes by itself (contract C6), when one is due."""
    if leases.renewal_due(context.state, tool, session_id, context.now_ms):
        return context.base("renew", tool, session_id)
    return None


def release(context: Context, asked: Asked) -> Decision:
    """End claims: one by id, or all own ones on some paths.

    Raises:
        UsageError: `unknown-id`, `wrong-kind`, or `nothing-to-release` with the caller's open claims.
        Refused: `not-owner`.
    """
    content = context.begin(asked)
    if "ref" not in asked.content:
        if asked.options.get("force"):
            raise _force_needs_ref(context, asked)
        own = leases.own_overlapping(
            context.state, asked.tool, asked.session_id, asked.content["paths"]
        )
        if not own:
            raise nothing_to_release(context, asked)
        return Decision([content], ends=own)
    fact = context.known_kind(asked.content["ref"], "--ref", ("claim",))
    content.pop("paths", None)
    held = context.state.claims.get(fact.event_id)
    if held is None:
        raise nothing_to_release(context, asked)
    forced = authorise_end(context, asked, held)
    if forced:
        content["data"] = {**content.get("data", {}), "forced": True}
    return Decision([content], ends=[held])


def _force_needs_ref(context: Context, asked: Asked) -> UsageError:
    """By path only own claims are ended; another's is ended by force one at a time, and by its id."""
    overlapping = leases.overlaps(context.state, paths=asked.content["paths"])
    claims = {one.claim.claim_id: one.claim for one in overlapping}
    held = [one for one in claims.values() if not leases.owns(one, asked.tool, asked.session_id)]
    listed = ", ".join(f"{one.tool} ({one.claim_id})" for one in held[:10])
    release_own = f"rally say release --tool {asked.tool}"
    return UsageError(
        "missing-field",
        "--force ends one claim of another, by its id: it needs --ref"
        + (f"; held by {listed}" if held else ""),
        hint=f"{release_own} --ref {held[0].claim_id} --force --reason 'why'"
        if held
        else f"{release_own} --path {word(asked.content['paths'][0])}",
        details={"missing": ["ref"], "claims": [one.claim_id for one in held]},
    )


def authorise_end(context: Context, asked: Asked, held: Claim) -> bool:
    """Contract C9: may the caller end this claim? Answers whether it took force.

    Raises:
        Refused: `not-owner`, naming the owner and the end of the lease.
        UsageError: `missing-field`, for force without a reason.
    """
    if leases.owns(held, asked.tool, asked.session_id):
        return False
    if not leases.binds(held, context.now_ms):
        return False
    until = to_rfc3339(held.expires_ms)
    if asked.options.get("force"):
        if not may_force(context, asked.tool):
            raise Refused(
                "not-owner",
                f"{held.claim_id} belongs to {held.tool} until {until}; only the lead or a person "
                f"may end it by force, and {asked.tool} is neither",
                hint=f"rally say handoff --tool {asked.tool} --target {held.tool} "
                f"--subject 'please release {held.claim_id}'",
                details={"owner": held.tool, "lease_expires_at": until},
            )
        if "reason" not in asked.content:
            raise UsageError(
                "missing-field", "--force needs --reason", hint="--force --reason 'why'",
                details={"missing": ["reason"]},
            )  # fmt: skip
        return True
    session = f" (session {held.session_id})" if held.session_id else ""
    raise Refused(
        "not-owner",
        f"{held.claim_id} belongs to {held.tool}{session}, and its lease runs until {until}",
        hint=f"rally say handoff --tool {asked.tool} --target {held.tool} "
        f"--subject 'please release {held.claim_id}'",
        details={"owner": held.tool, "session_id": held.session_id, "lease_expires_at": until},
    )


def may_force(context: Context, tool: str) -> bool:
    """The holder of the lead's seat, or a person: the tool ids `human`, `human:…` and `human/…`."""
    return context.state.is_led_by(tool) or is_person(tool)


def _held_by_others(context: Context, asked: Asked) -> str:
    """Whose the paths are that somebody wanted to let go of."""
    for one in leases.overlaps(context.state, paths=asked.content.get("paths", ())):
        if leases.binds(one.claim, context.now_ms) and not leases.owns(
            one.claim, asked.tool, asked.session_id
        ):
            return f"; {one.held} is held by {one.claim.tool} ({one.claim.claim_id})"
    return ""


def nothing_to_release(context: Context, asked: Asked) -> UsageError:
    """`released: 0` is no success: say what the caller does hold."""
    held = leases.own_claims(context.state, asked.tool, asked.session_id)
    open_claims = [
        {"claim_id": one.claim_id, "paths": list(one.paths), "resources": list(one.resources)}
        for one in held
    ]
    listed = "; ".join(
        f"{one.claim_id} {' '.join((*one.paths, *one.resources))}" for one in held[:10]
    )
    what = asked.content.get("ref") or " ".join(asked.content.get("paths", ["that step"]))
    return UsageError(
        "nothing-to-release",
        f"no open claim of {asked.tool} matches {what}; it holds {listed or 'no claim'}"
        + _held_by_others(context, asked),
        hint=f"rally say release --tool {asked.tool} --ref {held[0].claim_id}" if held
        else f"rally room --tool {asked.tool}",
        details={"open_claims": open_claims},
    )  # fmt: skip
