"""A naive room: the list of all facts as plain dictionaries, and every answer by going through it.

An independent reading of the contract. No index, nothing kept between two questions, nothing shared
with the core but the facts: slow, and simple enough to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from naive_paths import overlap

Doc = dict[str, Any]
Party = tuple[str, str | None]

LEASE_MS = 30 * 60_000
ENDS_HANDOFF = {"rejected", "done"}
TAKEN_ON_IS_ENOUGH = {"plan", "shutdown", "question", "message"}


def instant(text: str) -> int:
    """Milliseconds since the epoch of a fact's time."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def at(fact: Doc) -> int:
    """When a fact was written."""
    return instant(fact["created_at"])


def party(fact: Doc) -> Party:
    """Who wrote it."""
    return fact["tool"], fact.get("session_id")


def same_owner(one: Party, other: Party) -> bool:
    """Contract C5."""
    return one[0] == other[0] and (not one[1] or not other[1] or one[1] == other[1])


def step_of(fact: Doc) -> tuple[str, str] | None:
    """The step that a fact belongs to, where it names run and step."""
    return (fact["run"], fact["step"]) if "run" in fact and "step" in fact else None


def overlapping(paths: list[str], others: list[str]) -> bool:
    """Whether any of some paths overlaps any of others (contract C2)."""
    return any(overlap(one, other) for one in paths for other in others)


def collide(one: Doc, other: Doc) -> bool:
    """Whether two claims of different owners cannot both be held (contract C2, C4)."""
    if one.get("mode") == "shared" and other.get("mode") == "shared":
        return False
    if overlapping(one.get("paths", []), other.get("paths", [])):
        return True
    if set(one.get("resources", [])) & set(other.get("resources", [])):
        return True
    return step_of(one) is not None and step_of(one) == step_of(other)


@dataclass
class Life:
    """What became of one claim: `ended` is the fact that ended it, None while it is held or lapsed."""

    claim: Doc
    expires_ms: int
    ended: Doc | None = None

    @property
    def id(self) -> str:
        return str(self.claim["event_id"])

    def owner(self) -> Party:
        return party(self.claim)


class History:
    """Some facts, oldest first, and what follows from them.

    Args:
        facts: all facts of a ledger, or its beginning, for what was known at an earlier time.
    """

    def __init__(self, facts: list[Doc]) -> None:
        self.facts = facts

    # -- the list ------------------------------------------------------------------------------

    def before(self, fact: Doc) -> History:
        """What was known when a fact was written."""
        return History(self.facts[: fact["seq"] - 1])

    def now(self, clock_ms: int) -> int:
        """The present: the ledger's own time never goes back."""
        return max([clock_ms, *map(at, self.facts)])

    def find(self, asked: str) -> Doc | None:
        """The fact with this id or seq."""
        for fact in self.facts:
            if asked in (fact["event_id"], str(fact["seq"])):
                return fact
        return None

    def withdrawn(self) -> set[str]:
        """Ids that a retract withdrew."""
        return {fact["ref"] for fact in self.facts if fact["kind"] == "retract"}

    def standing(self, *kinds: str) -> list[Doc]:
        """Facts of some kinds that nobody withdrew."""
        gone = self.withdrawn()
        return [f for f in self.facts if f["kind"] in kinds and f["event_id"] not in gone]

    def about(self, fact: Doc, *kinds: str) -> list[Doc]:
        """Standing facts of some kinds that refer to a fact."""
        return [one for one in self.standing(*kinds) if one.get("ref") == fact["event_id"]]

    # -- claims --------------------------------------------------------------------------------

    def lives(self) -> list[Life]:
        """Every claim that was ever granted, and what became of it."""
        return [self.life(fact) for fact in self.facts if fact["kind"] == "claim"]

    def life(self, claim: Doc) -> Life:
        """One claim, followed through everything that came after it."""
        life = Life(claim, instant(claim["lease_expires_at"]))
        for fact in self.facts[claim["seq"] :]:
            if ends(fact, life):
                life.ended = fact
                return life
            if same_owner(party(fact), life.owner()):
                life.expires_ms = max(life.expires_ms, kept_until(fact, life))
        return life

    def open_claims(self) -> list[Life]:
        """Claims that nothing has ended, lapsed ones among them."""
        return [life for life in self.lives() if life.ended is None]

    def live_claims(self, now_ms: int) -> list[Life]:
        """Claims that bind."""
        return [life for life in self.open_claims() if now_ms < life.expires_ms]

    def lapsed_claims(self, now_ms: int) -> list[Life]:
        """Claims whose lease is over and that nobody took over."""
        return [life for life in self.open_claims() if now_ms >= life.expires_ms]

    def in_the_way(self, wanted: Doc, now_ms: int) -> list[Life]:
        """Live claims of others that a wanted claim collides with."""
        return [
            life
            for life in self.live_claims(now_ms)
            if not same_owner(life.owner(), party(wanted)) and collide(life.claim, wanted)
        ]

    # -- presence ------------------------------------------------------------------------------

    def sessions(self, tool: str) -> list[str | None]:
        """Sessions under which a tool is in the room; empty when it is not."""
        inside: dict[str | None, Doc] = {}
        for fact in self.facts:
            if fact["kind"] == "enter" and fact["tool"] == tool:
                inside[fact.get("session_id")] = fact
            elif fact["kind"] == "leave" and fact["tool"] == tool:
                for one in [one for one in inside if same_owner((tool, one), party(fact))]:
                    del inside[one]
            elif fact["kind"] == "retract":
                for one in [one for one in inside if inside[one]["event_id"] == fact["ref"]]:
                    del inside[one]
        return list(inside)

    def present(self) -> set[str]:
        """Tools that have entered and not left."""
        return {tool for tool in {f["tool"] for f in self.facts} if self.sessions(tool)}

    def came_in(self, tool: str) -> bool:
        """Whether a tool ever entered."""
        return any(f["kind"] == "enter" and f["tool"] == tool for f in self.facts)

    def last_seen(self, tool: str) -> int:
        """When a tool last wrote anything, or was given the lead's seat."""
        given = [f for f in self.facts if f["kind"] == "lead" and f.get("target") == tool]
        return max((at(f) for f in self.facts if f["tool"] == tool or f in given), default=0)

    def lead(self) -> str | None:
        """Who has the lead's seat. A withdrawn change of hands leaves it empty."""
        changes = [fact for fact in self.facts if fact["kind"] == "lead"]
        if not changes or changes[-1]["event_id"] in self.withdrawn():
            return None
        newest = changes[-1]
        holders = {"taken": newest["tool"], "given": newest.get("target"), "dropped": None}
        return holders[newest["status"]]

    def mission(self) -> str | None:
        """The room's goal. A withdrawn goal leaves the room without one."""
        goals = [fact for fact in self.facts if fact["kind"] == "mission"]
        if not goals or goals[-1]["event_id"] in self.withdrawn():
            return None
        return str(goals[-1]["summary"])

    # -- what is open --------------------------------------------------------------------------

    def blockers(self) -> list[Doc]:
        """Open blockers."""
        return [one for one in self.standing("blocker") if not self.about(one, "resolve")]

    def risks(self) -> list[Doc]:
        """Open risks."""
        return [one for one in self.standing("risk") if not self.about(one, "resolve")]

    def freezes(self, blocker: Doc) -> bool:
        """Whether a blocker was laid over the whole room by who was its lead then."""
        return not scoped(blocker) and self.before(blocker).lead() == blocker["tool"]

    def decisions(self) -> list[Doc]:
        """Decisions that no later one supersedes."""
        return [one for one in self.standing("decision") if not self.about(one, "decision")]

    def handoffs(self) -> list[Doc]:
        """Open handoffs."""
        return [one for one in self.standing("handoff") if not self.closers(one)]

    def closers(self, handoff: Doc) -> list[Doc]:
        """The facts that close a handoff."""
        answers = self.about(handoff, "resolve", "receipt", "artifact")
        return [one for one in answers if closes(one, handoff)]

    def is_only_done(self, handoff: Doc) -> bool:
        """Whether a closed handoff to all was closed by nothing but receipts."""
        standing = any(one is handoff for one in self.standing("handoff"))
        return standing and all(one["kind"] == "receipt" for one in self.closers(handoff))

    def receipts(self, handoff: Doc, tool: str | None = None) -> list[Doc]:
        """The answers to a handoff, of one tool or of all."""
        return [f for f in self.about(handoff, "receipt") if tool is None or f["tool"] == tool]

    def inbox(self, tool: str) -> list[Doc]:
        """Open handoffs to a tool, oldest first."""
        return [one for one in self.handoffs() if self.asks(one, tool)]

    def asks(self, handoff: Doc, tool: str) -> bool:
        """Whether an open handoff still asks something of a tool."""
        if handoff["target"] != "all":
            return bool(handoff["target"] == tool)
        return handoff["tool"] != tool and not self.receipts(handoff, tool)

    def reviews(self) -> list[Doc]:
        """Artifacts that wait for the review they ask another for."""
        return [
            one
            for one in self.standing("artifact")
            if one.get("target", one["tool"]) != one["tool"]
            and not any(f.get("state") != "acked" for f in self.about(one, "resolve", "receipt"))
        ]

    def landed(self) -> set[tuple[str, str]]:
        """Steps with an artifact that was not withdrawn."""
        return {step for one in self.standing("artifact") if (step := step_of(one)) is not None}

    def unanswered(self) -> list[Doc]:
        """Everything that waits for an answer or an end."""
        claims = [life.claim for life in self.open_claims()]
        open_ones = claims + self.handoffs() + self.blockers() + self.risks() + self.reviews()
        return sorted(open_ones + self.standbys(), key=lambda fact: int(fact["seq"]))

    # -- standbys (contract S1 to S4) ----------------------------------------------------------

    def standbys(self) -> list[Doc]:
        """Standbys that nothing has ended."""
        return [one for one in self.standing("standby") if self.still_dormant(one)]

    def still_dormant(self, standby: Doc) -> bool:
        """Whether nothing has ended a standby (contract S1, S2).

        Only what refers to it can be withdrawn again; landing its step, leaving or a newer standby
        ended it for good.
        """
        for fact in self.facts[standby["seq"] :]:
            kind, own = fact["kind"], same_owner(party(fact), party(standby))
            if kind == "leave" and own:
                return False
            if kind == "standby" and own and where(fact) == where(standby):
                return False
            step = step_of(standby)
            if kind == "artifact" and step is not None and step_of(fact) == step:
                return False
        return not self.about(standby, "wake", "artifact")

    def due(self, now_ms: int) -> dict[str, set[str]]:
        """Causes of each standby that is due, by its id; only of tools that are present."""
        found: dict[str, set[str]] = {}
        present = self.present()
        for one in self.standbys():
            causes = self.causes(one, now_ms)
            if causes and one["tool"] in present:
                found[one["event_id"]] = causes
        return found

    def causes(self, standby: Doc, now_ms: int) -> set[str]:
        """Why a standby is due; empty while it is not."""
        causes = set()
        if "wake_after" in standby and instant(standby["wake_after"]) <= now_ms:
            causes.add("time")
        until = standby.get("until", [])
        if until and all(
            self.holds(one, party(standby), standby.get("run"), now_ms) for one in until
        ):
            causes.add(until[0].partition(":")[0])
        return causes

    def holds(self, condition: str, caller: Party, run: str | None, now_ms: int) -> bool:
        """Whether a condition of contract S4 holds."""
        form, _, rest = condition.partition(":")
        if form == "step":
            return run is not None and (run, rest) in self.landed()
        if form == "free":
            return not any(
                overlapping(life.claim.get("paths", []), [rest])
                for life in self.live_claims(now_ms)
                if not same_owner(life.owner(), caller)
            )
        fact = self.find(rest)
        return fact is not None and self.answered(fact)

    def answered(self, fact: Doc) -> bool:
        """Whether a fact was resolved, receipted, released or ended in another way."""
        kind = fact["kind"]
        if kind == "claim":
            return self.life(fact).ended is not None
        if kind == "handoff":
            return fact not in self.handoffs() or bool(self.receipts(fact))
        if kind == "artifact":
            return "target" in fact and fact not in self.reviews()
        open_ones = {"blocker": self.blockers, "risk": self.risks, "standby": self.standbys}
        return kind in open_ones and fact not in open_ones[kind]()


def where(fact: Doc) -> tuple[str | None, str | None]:
    """Run and step of a fact, each possibly absent."""
    return fact.get("run"), fact.get("step")


def scoped(blocker: Doc) -> bool:
    """Whether a blocker concerns some paths, resources or a step only."""
    return bool(blocker.get("paths") or blocker.get("resources") or step_of(blocker))


def closes(answer: Doc, handoff: Doc) -> bool:
    """Whether an answer to a handoff closes it (contract section 4)."""
    to_all = handoff["target"] == "all"
    if answer["kind"] == "resolve":
        return True
    if answer["kind"] == "artifact":
        return answer["tool"] == handoff["target"] or (to_all and answer["tool"] != handoff["tool"])
    if to_all:  # everybody answers for himself, until one has done it
        return bool(answer["state"] == "done")
    taken_on = answer["state"] == "accepted" and handoff["intent"] in TAKEN_ON_IS_ENOUGH
    return answer["state"] in ENDS_HANDOFF or taken_on


def ends(fact: Doc, life: Life) -> bool:
    """Whether a fact ends a claim that was still open."""
    kind, own = fact["kind"], same_owner(party(fact), life.owner())
    if kind == "leave":
        return own
    if kind == "retract":
        return bool(fact["ref"] == life.id)
    if kind == "release":
        if fact.get("ref") == life.id:
            return True
        return own and overlapping(fact.get("paths", []), life.claim.get("paths", []))
    if kind == "claim" and fact.get("claim") == life.id:
        return True  # handed over (contract C10)
    if kind == "claim" and at(fact) >= life.expires_ms:
        # One's own lapsed claim has served its time, whatever its mode.
        return collide({**fact, "mode": "exclusive"} if own else fact, life.claim)
    return False


def kept_until(fact: Doc, life: Life) -> int:
    """Until when a fact of its owner keeps a claim alive; 0 when it does not."""
    if fact["kind"] == "renew":
        return at(fact) + lease_ms(life.claim)
    if fact["kind"] == "standby" and "wake_after" in fact and at(fact) < life.expires_ms:
        return instant(fact["wake_after"])
    return 0


def lease_ms(claim: Doc) -> int:
    """How long a claim's lease runs."""
    return instant(claim["lease_expires_at"]) - at(claim)
