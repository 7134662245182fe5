"""decide(context, asked): from a checked wish to the facts to append, or a refusal (law 2's input).

Pure: the same state, past and time give the same decision. Nothing here appends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rally.facilitation.decide import claims, dialogue, presence, standbys
from rally.facilitation.decide.context import Context, Decision, warning
from rally.facilitation.intake import Asked
from rally.facilitation.state import leases
from rally.model.clock import from_rfc3339
from rally.model.errors import Refused
from rally.model.fact import Fact


def plain(context: Context, asked: Asked) -> Decision:
    """A fact that needs no permission; what it refs must exist."""
    return Decision([context.begin(asked)])


DECIDERS: dict[str, Callable[[Context, Asked], Decision]] = {
    "enter": presence.enter,
    "leave": presence.leave,
    "claim": claims.claim,
    "renew": claims.renew,
    "release": claims.release,
    "artifact": dialogue.artifact,
    "blocker": plain,
    "resolve": dialogue.resolve,
    "decision": dialogue.decision,
    "handoff": dialogue.handoff,
    "receipt": dialogue.receipt,
    "risk": plain,
    "lesson": plain,
    "note": plain,
    "standby": standbys.standby,
    "wake": standbys.wake,
    "retract": dialogue.retract,
    "lead": presence.lead,
    "mission": presence.mission,
}


def decide(context: Context, asked: Asked) -> Decision:
    """The facts that follow from a wish.

    Raises:
        UsageError, Refused: nothing is to be appended.
    """
    if "ref" in asked.content:  # words that are wrong are said to be so before anything is refused
        flag = "--ref-standby" if asked.kind == "wake" else "--ref"
        context.known(asked.content["ref"], flag)
    decision = DECIDERS[asked.kind](context, asked)
    comes_or_goes = asked.kind in ("enter", "leave", "lead", "mission")
    if not comes_or_goes and not context.state.is_present(asked.tool):
        decision.warnings.append(
            warning(
                "not-entered",
                f"{asked.tool} has not entered the room; it is recorded and not counted as present "
                f"(rally enter --tool {asked.tool})",
            )
        )
    return decision


# What differs between two tellings of the same thing, and is no content.
_MOMENT = frozenset(
    (
        "event_id",
        "seq",
        "created_at",
        "prev",
        "hash",
        "lease_expires_at",
        "fence",
        "origin",
        "trust",
    )
)
_RELATIVE = ("wake_after", "ack_by")


def replay_of(context: Context, asked: Asked) -> Fact | None:
    """The fact that was said first with the same key, if the content is the same (contract F6).

    The content is compared as it would be stored now; a time that was given relative to the moment
    (`+30m`) is the same when it is as far from its own fact's moment.

    Raises:
        Refused: `key-conflict`, when the key was used with other content.
    """
    key = asked.content.get("key")
    first = context.past.by_key(key) if key else None
    if first is None:
        return None
    told, now_told = dict(first.doc), as_stored(context, asked)
    for name in _RELATIVE:
        before, now = told.pop(name, None), now_told.pop(name, None)
        if before == now:
            continue
        if before is None or now is None or _offset(first.doc, before) != _offset(now_told, now):
            raise _key_conflict(str(key), first, name)
    for name in sorted((told.keys() | now_told.keys()) - _MOMENT):
        if told.get(name) != now_told.get(name):
            raise _key_conflict(str(key), first, name)
    return first


def replay_warnings(context: Context, first: Fact) -> list[dict[str, str]]:
    """What whoever repeats a command should know: a claim that was granted then may be over now."""
    if first.kind != "claim":
        return []
    claim = context.state.claims.get(first.event_id)
    if claim is not None and leases.binds(claim, context.now_ms):
        return []
    message = (
        f"{first.event_id} has ended since; it holds nothing any more (claim with a new --key)"
    )
    return [warning("claim-ended", message)]


def _offset(doc: dict[str, Any], instant: str) -> int:
    return from_rfc3339(instant) - from_rfc3339(doc["created_at"])


def _key_conflict(key: str, first: Fact, name: str) -> Refused:
    return Refused(
        "key-conflict",
        f"--key {key} was used by {first.tool} for {first.kind} {first.event_id} with another {name}",
        hint="use a new key for a new fact",
        details={"fact_id": first.event_id, "seq": first.seq, "differs": name},
    )


def as_stored(context: Context, asked: Asked) -> dict[str, Any]:
    """What the fact of a wish would hold, whatever the state says about it by now."""
    if asked.kind == "standby":
        return standbys.standby(context, asked).contents[0]
    if asked.kind == "retract":  # deciding it anew would say that it is withdrawn already
        return dialogue.retraction(context, asked, context.known(asked.content["ref"], "--ref"))
    content = context.begin(asked)
    if asked.kind == "release" and "ref" in content:
        content.pop("paths", None)
        if asked.options.get("force"):
            content["data"] = {**content.get("data", {}), "forced": True}
    return content
