"""What a room must answer to each wish to write, from the list of its facts alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from naive import (
    Doc,
    History,
    Life,
    Party,
    overlapping,
    party,
    same_owner,
    step_of,
)

SEAT_SILENCE_MS = 2 * 3_600_000


class No(Exception):
    """The room must say no, with this code."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass
class Wish:
    """One `say`: the kind, who says it, and the parameters as they were given."""

    kind: str
    caller: Party
    given: Doc = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter."""
        return self.given.get(name, default)

    def as_claim(self) -> Doc:
        """The claim that is wished for, in the form of a fact."""
        tool, session = self.caller
        doc = {**self.given, "tool": tool}
        if session:
            doc["session_id"] = session
        return doc


def judge(history: History, wish: Wish, now_ms: int) -> list[str]:
    """The kinds of the facts that a wish must write, renewals aside.

    Raises:
        No: it must be refused.
    """
    ref = wish.get("ref", wish.get("ref_standby"))
    target = None
    if ref is not None:
        target = history.find(ref)
        if target is None:
            raise No("unknown-id")
    rule = RULES.get(wish.kind)
    return rule(history, wish, target, now_ms) if rule else [wish.kind]


def same_content(first: Wish, second: Wish, history: History) -> bool:
    """Whether two wishes with the same key ask for the same."""

    def plain(wish: Wish) -> Doc:
        defaults = {"mode": "exclusive", "ttl": "30m"} if wish.kind == "claim" else {}
        doc = {**defaults, **wish.given}
        doc.pop("release", None)
        if "ref" in doc and (found := history.find(doc["ref"])):
            doc["ref"] = found["event_id"]
        return {**doc, "kind": wish.kind, "caller": wish.caller}

    return plain(first) == plain(second)


def warnings(history: History, wish: Wish) -> set[str]:
    """Codes of the warnings that come with a wish that is granted, a failed move aside."""
    tool = wish.caller[0]
    inside = history.sessions(tool)
    if wish.kind == "enter":
        others = [one for one in inside if not same_owner((tool, one), wish.caller)]
        return {"duplicate-tool"} if others else set()
    if wish.kind == "lead":  # a seat given to nobody
        seated = wish.get("target")
        return {"not-entered"} if seated and not history.sessions(seated) else set()
    told = set() if inside or wish.kind in ("leave", "mission") else {"not-entered"}
    if wish.kind == "renew" and not _own(history, wish.caller):
        told.add("nothing-to-renew")
    return told


def _claim(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    conflicts = history.in_the_way(wish.as_claim(), now_ms)
    if conflicts:
        raise No("claim-conflict", holders={life.id for life in conflicts})
    return ["claim"]


def _renew(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    return ["renew"]


def _own(history: History, caller: Party) -> list[Life]:
    return [life for life in history.open_claims() if same_owner(life.owner(), caller)]


def _release(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    if target is None:
        paths = wish.get("paths")
        mine = _own(history, wish.caller)
        if not any(overlapping(life.claim.get("paths", []), paths) for life in mine):
            raise No("nothing-to-release", mine={life.id for life in mine})
        return ["release"]
    if target["kind"] != "claim":
        raise No("wrong-kind")
    life = history.life(target)
    if life.ended is not None:
        mine = _own(history, wish.caller)
        raise No("nothing-to-release", mine={life.id for life in mine})
    if same_owner(life.owner(), wish.caller) or now_ms >= life.expires_ms:
        return ["release"]
    forced = wish.get("force") and wish.get("reason")
    if forced and (wish.caller[0] == history.lead() or is_person(wish.caller[0])):
        return ["release"]
    raise No("not-owner")


def is_person(tool: str) -> bool:
    """Whether a tool id stands for a person."""
    return tool.partition(":")[0] == "human"


def _artifact(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    if not wish.get("release"):
        return ["artifact"]
    step = step_of(wish.given)
    if step is None:
        raise No("missing-field")
    mine = [life for life in _own(history, wish.caller) if step_of(life.claim) == step]
    if not mine:
        raise No("nothing-to-release")
    return ["artifact", *["release" for _ in mine]]


def _resolve(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    assert target is not None
    kind, tool = target["kind"], wish.caller[0]
    if kind in ("blocker", "risk"):
        open_ones = history.blockers() + history.risks()
    elif kind == "handoff":
        open_ones = history.handoffs()
        if tool not in (target["target"], target["tool"]) and target["target"] != "all":
            raise No("not-target")
    elif kind == "artifact":
        open_ones = history.reviews()
        if tool != target.get("target"):
            raise No("not-target")
    else:
        raise No("wrong-kind")
    if target not in open_ones:
        raise No("already-closed")
    return ["resolve"]


def _decision(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    if target is None:
        return ["decision"]
    if target["kind"] != "decision":
        raise No("wrong-kind")
    return ["decision"]


def _handoff(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    if wish.get("claim") is None:
        return ["handoff"]
    claim = history.find(wish.get("claim"))
    if claim is None:
        raise No("unknown-id")
    if claim["kind"] != "claim":
        raise No("wrong-kind")
    life = history.life(claim)
    if life.ended is not None:
        raise No("already-closed")
    if not same_owner(life.owner(), wish.caller):
        raise No("not-owner")
    if wish.get("target") == "all":
        raise No("bad-value")
    return ["handoff"]


def _receipt(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    assert target is not None
    tool = wish.caller[0]
    if target["kind"] == "artifact":
        if tool != target.get("target"):
            raise No("not-target")
        return ["receipt"]
    if target["kind"] != "handoff":
        raise No("wrong-kind")
    if target["target"] not in (tool, "all"):
        raise No("not-target")
    to_all = target["target"] == "all"
    if to_all and history.receipts(target, tool):
        raise No("not-target")
    if target not in history.handoffs() and not (to_all and history.is_only_done(target)):
        raise No("already-closed")
    if wish.get("state") == "accepted" and moves(history, target, now_ms):
        return ["receipt", "claim"]
    return ["receipt"]


def moves(history: History, handoff: Doc, now_ms: int) -> bool:
    """Whether a claim goes over when this handoff is accepted (contract C10)."""
    claim = history.find(handoff["claim"]) if "claim" in handoff else None
    return claim is not None and any(life.claim is claim for life in history.live_claims(now_ms))


def _wake(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    assert target is not None
    if target["kind"] != "standby":
        raise No("wrong-kind")
    if target not in history.standbys():
        raise No("already-closed")
    return ["wake"]


def _standby(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    for condition in wish.get("until", []):
        form, _, rest = condition.partition(":")
        if form == "fact" and history.find(rest) is None:
            raise No("unknown-id")
        if form == "step" and not wish.get("run"):
            raise No("missing-field")
    return ["standby"]


def _retract(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    assert target is not None
    if target["kind"] in ("retract", "leave"):
        raise No("wrong-kind")
    mine = target["tool"] == wish.caller[0]
    if target["kind"] == "claim" and history.life(target).ended is None:
        mine = same_owner(party(target), wish.caller)
    if target["kind"] in ("claim", "lead", "enter") and not mine:
        raise No("not-owner")
    if target["event_id"] in history.withdrawn():
        raise No("already-closed")
    return ["retract"]


def _lead(history: History, wish: Wish, target: Doc | None, now_ms: int) -> list[str]:
    holder, tool = history.lead(), wish.caller[0]
    if wish.get("status") != "taken":
        if holder is None or (holder != tool and not is_person(tool)):
            raise No("not-lead")
    elif holder not in (None, tool):
        silent = now_ms - history.last_seen(holder) >= SEAT_SILENCE_MS
        left = history.came_in(holder) and holder not in history.present()
        if not silent and not left:
            raise No("seat-taken")
    return ["lead"]


RULES = {
    "claim": _claim,
    "renew": _renew,
    "release": _release,
    "artifact": _artifact,
    "resolve": _resolve,
    "decision": _decision,
    "handoff": _handoff,
    "receipt": _receipt,
    "wake": _wake,
    "standby": _standby,
    "retract": _retract,
    "lead": _lead,
}

__all__ = ["No", "Wish", "judge", "moves", "same_content", "warnings"]
