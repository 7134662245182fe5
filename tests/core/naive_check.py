"""What `check` must find, from the list of a room's facts alone (contract K2, K3)."""

from __future__ import annotations

from dataclasses import dataclass

from naive import (
    Doc,
    History,
    Life,
    Party,
    collide,
    overlapping,
    party,
    same_owner,
    scoped,
    step_of,
)
from naive_paths import covers, overlap

# (code, severity, path or None, fact id or None)
Finding = tuple[str, str, str | None, str | None]


@dataclass
class Question:
    """One `check before-write`."""

    caller: Party
    paths: list[str]
    fence: int | None = None
    step: tuple[str, str] | None = None
    require_claim: bool = False


def before_write(history: History, asked: Question, now_ms: int) -> set[Finding]:
    """All findings, as a set."""
    found: set[Finding] = set()
    found |= stale_fence(history, asked)
    found |= blockers(history, asked)
    if not asked.paths:
        found.add(("missing-path", "warn", None, None))
    mine = [
        one
        for one in history.live_claims(now_ms)
        if same_owner(one.owner(), asked.caller) and one.claim.get("paths")
    ]
    step = [
        one
        for one in history.live_claims(now_ms)
        if same_owner(one.owner(), asked.caller) and asked.step and step_of(one.claim) == asked.step
    ]
    strangers = [
        one
        for one in history.live_claims(now_ms)
        if asked.step and step_of(one.claim) == asked.step and one not in step
    ]
    read_only = step and not any(one.claim.get("paths") for one in step)
    for path in asked.paths:
        if read_only or registered_read_only(history, asked.step):
            found.add(("read-only-step", "stop", path, None))
        found |= others(history, asked.caller, path, now_ms)
        found |= ours(asked, path, mine, step, strangers if not step else [])
        if any(code == "claimed-path" and at == path for code, _, at, _ in found):
            found.discard(("unclaimed-path", "info", path, None))
    return found


def registered_read_only(history: History, step: tuple[str, str] | None) -> bool:
    """Whether a step was registered as a read-only task and has not landed."""
    if step is None or step in history.landed():
        return False
    tasks = [one for one in history.standing("task") if step_of(one) == step]
    return any(one["data"]["read_only"] for one in tasks)


def stale_fence(history: History, asked: Question) -> set[Finding]:
    """The claim behind the fence is over (contract C7)."""
    if asked.fence is None:
        return set()
    claim = history.find(str(asked.fence))
    if claim is not None and claim["kind"] == "claim":
        life = history.life(claim)
        if life.ended is None and same_owner(life.owner(), asked.caller):
            return set()
        return {("stale-fence", "stop", None, life.id)}
    return {("stale-fence", "stop", None, None)}


def blockers(history: History, asked: Question) -> set[Finding]:
    """Blockers and binding decisions in the way."""
    found: set[Finding] = set()
    for one in history.blockers():
        if not scoped(one):
            freeze = history.freezes(one)
            code, severity = ("room-freeze", "stop") if freeze else ("unscoped-blocker", "warn")
            found.add((code, severity, None, one["event_id"]))
        for path in asked.paths:
            if overlapping(one.get("paths", []), [path]):
                found.add(("active-blocker", "stop", path, one["event_id"]))
    for one in history.decisions():
        if one.get("status", "binding") != "binding":
            continue
        for path in asked.paths:
            if overlapping(one.get("paths", ["."]), [path]):
                found.add(("binding-decision", "info", path, one["event_id"]))
    return found


def others(history: History, caller: Party, path: str, now_ms: int) -> set[Finding]:
    """Claims on a path that are live and another's, or lapsed."""
    found: set[Finding] = set()
    for life in history.open_claims():
        if not overlapping(life.claim.get("paths", []), [path]):
            continue
        if now_ms >= life.expires_ms:
            found.add(("lapsed-claim", "warn", path, life.id))
        elif not same_owner(life.owner(), caller):
            shared = life.claim.get("mode") == "shared"
            code, severity = ("shared-claim", "warn") if shared else ("claimed-path", "stop")
            found.add((code, severity, path, life.id))
    for life in lost(history, caller):
        if overlapping(life.claim.get("paths", []), [path]):
            found.add(("lapsed-claim", "warn", path, life.id))
    return found


def lost(history: History, caller: Party) -> list[Life]:
    """Lapsed claims of the caller that another took over, and after which it claimed nothing there."""

    def settled(fact: Doc, life: Life) -> bool:
        if fact["kind"] == "retract":
            return bool(fact["ref"] == life.id)
        if not same_owner(party(fact), life.owner()):
            return False
        again = overlapping(fact.get("paths", []), life.claim.get("paths", []))
        return fact["kind"] == "leave" or (fact["kind"] == "claim" and again)

    return [
        life
        for life in history.lives()
        if life.ended is not None
        and life.ended["kind"] == "claim"
        and life.ended.get("claim") != life.id
        and same_owner(life.owner(), caller)
        and not same_owner(party(life.ended), life.owner())
        and not same_owner(party(life.ended), caller)
        and not any(settled(fact, life) for fact in history.facts[life.ended["seq"] :])
    ]


def ours(
    asked: Question, path: str, mine: list[Life], step: list[Life], strangers: list[Life]
) -> set[Finding]:
    """Whether the caller's own claims, or those of whoever has its step, cover a path."""

    def covered(lives: list[Life]) -> bool:
        return any(covers(held, path) for life in lives for held in life.claim.get("paths", []))

    found: set[Finding] = set()
    holders = step if any(one.claim.get("paths") for one in step) else strangers
    if holders and not covered(holders):
        found.add(("outside-claim", "stop", path, None))
    elif mine and not covered(mine):
        found.add(("outside-claim", "warn", path, None))
    if not covered(mine):
        severity = "stop" if asked.require_claim else "info"
        found.add(("unclaimed-path", severity, path, None))
    return found


def before_complete(history: History, caller: Party, now_ms: int) -> set[Finding]:
    """What the caller leaves open (contract K3)."""
    found: set[Finding] = set()
    for life in history.live_claims(now_ms):
        if same_owner(life.owner(), caller):
            found.add(("owned-active-claim", "stop", None, life.id))
    for one in history.inbox(caller[0]):
        found.add(("open-handoff", "warn", None, one["event_id"]))
    mine = [one.claim for one in history.live_claims(now_ms) if same_owner(one.owner(), caller)]
    for one in history.blockers():
        near = any(collide({**one, "mode": "exclusive"}, claim) for claim in mine)
        if one["tool"] == caller[0] or not scoped(one) or near:
            found.add(("open-blocker", "warn", None, one["event_id"]))
    return found


__all__ = ["Finding", "Question", "before_complete", "before_write", "overlap"]
