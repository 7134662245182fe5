"""One room's life beside its naive model: carrying out a wish and comparing all there is to compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import FakeClock, Room
from hypothesis.stateful import RuleBasedStateMachine, invariant
from naive import Doc, History, Life, Party, at, instant, lease_ms, same_owner
from naive_say import No, Wish, judge, same_content, warnings
from orjson import loads

from rally.facilitation.ops.common import Reply
from rally.model.durations import parse_duration_ms
from rally.model.errors import RallyError

# Parameters that are not stored as they were given.
STEERING = frozenset({"release", "force", "wake_after", "ack_within", "until"})


class RoomMachine(RuleBasedStateMachine):
    """The real room behind two doors, and the list of its facts."""

    room_kind: Callable[[FakeClock], Room]

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.room = type(self).room_kind(self.clock)
        self.facts: list[Doc] = []
        self.wishes: dict[str, Wish] = {}
        self.shadow = self.room.folded()
        self.subjects = 0
        self.expected_claim: Doc = {}

    def teardown(self) -> None:
        try:
            story = loads(self.room.folded())
            assert story == loads(self.room.folded(self.shadow)), "a replay tells another story"
        finally:
            self.room.close()

    @property
    def history(self) -> History:
        """All facts so far."""
        return History(self.facts)

    @property
    def now(self) -> int:
        """The room's present."""
        return self.history.now(self.clock.ms)

    def has(self, *kinds: str) -> bool:
        """Whether there is any fact of these kinds."""
        return any(fact["kind"] in kinds for fact in self.facts)

    def pick(self, pick: int, *kinds: str) -> str:
        """The id or seq of one of the newest facts, mostly of the right kind; or of none."""
        if pick == 0 or not self.facts:
            return "no-such-fact"
        fitting = [f for f in self.facts if f["kind"] in kinds] if pick > 1 else []
        fact = (fitting or self.facts)[-1 - pick // 2 % len(fitting or self.facts)]
        return str(fact["seq"] if pick % 2 else fact["event_id"])

    def pick_or_none(self, pick: int | None) -> str | None:
        """The id or seq of any fact, where there is a pick."""
        return None if pick is None else self.pick(pick)

    def subject(self) -> str:
        """A text that nothing else has."""
        self.subjects += 1
        return f"subject {self.subjects}"

    # -- saying --------------------------------------------------------------------------------

    def say(self, door: int, wish: Wish, op: str = "say", **params: Any) -> None:
        """Carry out one wish and compare everything about the answer."""
        history, now = self.history, self.now
        given = {"kind": wish.kind, **wish.given} if op == "say" else params
        expected, refusal = self.expectation(history, wish, now)
        asked = {"tool": wish.caller[0], "session_id": wish.caller[1], **given}
        try:
            reply = self.room.call(door, op, asked)
        except RallyError as error:
            assert refusal is not None, f"{asked} was refused: {error!r}"
            assert error.code == refusal.code, f"{asked}: {error!r} where {refusal!r} was due"
            compare_details(error, refusal)
            assert self.room.tail(len(self.facts)) == [], "a refusal wrote something"
            return
        assert refusal is None, f"{asked} was granted: {reply.data}; due was {refusal!r}"
        fact = reply.data["fact"]
        if expected is None:
            assert reply.data.get("replayed", True)
            live = {life.id for life in history.live_claims(now)}
            over = fact["kind"] == "claim" and fact["event_id"] not in live
            told = [one["code"] for one in reply.warnings]
            assert told == (["claim-ended"] if over else [])
            self.take_in(history, wish.caller, [], now)
            return
        told = {one["code"] for one in reply.warnings} - {"claim-not-moved"}
        assert told == warnings(history, wish)
        self.take_in(history, wish.caller, expected, now)
        self.wishes[fact["event_id"]] = wish
        self.compare_fact(fact, wish, now)
        if "claim" in expected:
            claim = next(f for f in self.facts[fact["seq"] - 1 :] if f["kind"] == "claim")
            assert reply.data["fence"] == claim["seq"] == claim["fence"]

    def expectation(
        self, history: History, wish: Wish, now: int
    ) -> tuple[list[str] | None, No | None]:
        """Kinds to be written (None for a replay), or the refusal that is due."""
        key = wish.get("key")
        first = next((f for f in self.facts if key and f.get("key") == key), None)
        if first is not None:
            if same_content(self.wishes[first["event_id"]], wish, history):
                return None, None
            return [], No("key-conflict")
        try:
            return judge(history, wish, now), None
        except No as refusal:
            return [], refusal

    def compare_fact(self, fact: Doc, wish: Wish, now: int) -> None:
        """The fact says what was wished."""
        assert fact["kind"] == wish.kind
        assert (fact["tool"], fact.get("session_id")) == wish.caller
        assert at(fact) == now
        for name, value in wish.given.items():
            if name in ("ref", "claim", "ref_standby"):
                found = self.history.find(value)
                assert found is not None
                assert fact[name.removesuffix("_standby")] == found["event_id"]
            elif name not in STEERING:
                assert fact[name] == value, name
        if wish.kind == "claim":
            assert lease_ms(fact) == parse_duration_ms(wish.get("ttl", "30m"))
        if "wake_after" in wish.given:
            assert instant(fact["wake_after"]) == now + parse_duration_ms(wish.get("wake_after"))
        if "ack_within" in wish.given:
            assert instant(fact["ack_by"]) == now + parse_duration_ms(wish.get("ack_within"))

    def take_in(self, history: History, caller: Party, expected: list[str], now: int) -> None:
        """Read the new facts; they must be the expected ones and at most one renewal."""
        new = self.room.tail(len(self.facts))
        kinds = [fact["kind"] for fact in new]
        due = [life for life in history.live_claims(now) if renewal_due(life, caller, now)]
        renewed = kinds.count("renew") > expected.count("renew")
        if renewed:
            assert due, "a lease was renewed too early"
            kinds.remove("renew")
        assert kinds == expected
        self.facts = [*self.facts, *new]
        if not renewed and "renew" not in expected:
            live = self.history.live_claims(
                now
            )  # without what has ended, or was extended otherwise
            late = [
                life for life in live if renewal_due(life, caller, now) and life.claim not in new
            ]
            assert not late, f"{late} should have been renewed"
        for fact in new:
            assert at(fact) == now
            assert fact["tool"] == caller[0]

    def compare_in_the_ledgers_order(
        self, wishes: list[Wish], answers: list[Reply | BaseException]
    ) -> None:
        """Wishes that were decided in an order nobody chose: the ledger's order explains them all."""
        now = self.now
        by_id = {
            answer.data["fact"]["event_id"]: wish
            for wish, answer in zip(wishes, answers, strict=True)
            if not isinstance(answer, BaseException)
        }
        new = self.room.tail(len(self.facts))
        assert {fact["event_id"] for fact in new if fact["kind"] != "renew"} == set(by_id)
        for fact in new:
            if fact["kind"] != "renew":
                assert judge(self.history, by_id[fact["event_id"]], now) == ["claim"]
            self.facts = [*self.facts, fact]
        for wish, answer in zip(wishes, answers, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, RallyError), answer
                _, refusal = self.expectation(self.history, wish, now)
                assert refusal is not None, f"{wish} was refused, and nothing is in its way"
                assert refusal.code == answer.code

    def ask(self, door: int, caller: Party, op: str, **params: Any) -> Doc:
        """A question by somebody: nothing but a renewal is written."""
        history, now = self.history, self.now
        asked = {"tool": caller[0], "session_id": caller[1], **params}
        data = self.room.call(door, op, asked).data
        self.take_in(history, caller, [], now)
        return data

    # -- what must hold after every step ----------------------------------------------------------

    @invariant()
    def the_room_shows_what_history_says(self) -> None:
        history, now = self.history, self.now
        data = self.room.call(len(self.facts), "room", {"limit": 0}).data
        shown = {name: ids(data[name]) for name in VIEWS}
        assert shown == {name: ids(view(history, now)) for name, view in VIEWS.items()}
        assert data["totals"] == {name: len(data[name]) for name in data["totals"]}
        inside = {one["tool"] for one in data["tools"] if one["status"] != "gone"}
        assert inside == history.present()
        assert (data["lead"] or {}).get("tool") == history.lead()
        assert (data["mission"] or {}).get("text") == history.mission()
        leases = {life.id: life.expires_ms for life in history.open_claims()}
        for entry in data["active_claims"] + data["lapsed_claims"]:
            assert instant(entry["lease_expires_at"]) == leases[entry["event_id"]]

    @invariant()
    def the_due_standbys_are_due(self) -> None:
        data = self.room.call(len(self.facts) + 1, "wake-due", {}).data
        due = self.history.due(self.now)
        assert {one["standby_event_id"] for one in data["due"]} == set(due)
        for one in data["due"]:
            assert one["cause"] in due[one["standby_event_id"]]

    @invariant()
    def landed_steps_are_landed(self) -> None:
        nodes = self.room.call(0, "dag", {"run": "r"}).data["nodes"]
        landed = {("r", node["step_id"]) for node in nodes if node["status"] == "landed"}
        assert landed == self.history.landed()

    @invariant()
    def every_way_to_the_state_gives_the_same_state(self) -> None:
        self.shadow = self.room.folded(self.shadow)
        for door in (0, 1):
            assert loads(self.room.kept_state(door)) == loads(self.shadow)
            assert self.room.kept_state(door) == self.shadow


def compare_details(error: RallyError, refusal: No) -> None:
    """What a refusal tells beside its code."""
    if "holders" in refusal.details:
        told = {one["claim_id"] for one in error.details["conflicts"]}
        assert told == refusal.details["holders"]
    if "mine" in refusal.details:
        told = {one["claim_id"] for one in error.details["open_claims"]}
        assert told == refusal.details["mine"]


def renewal_due(life: Life, caller: Party, now: int) -> bool:
    """Whether a third of a lease has gone since it was last extended (contract, `renew`)."""
    ttl_ms = lease_ms(life.claim)
    return same_owner(life.owner(), caller) and (now + ttl_ms - life.expires_ms) * 3 >= ttl_ms


def ids(facts: list[Doc]) -> list[str]:
    """The ids of facts, sorted."""
    return sorted(fact["event_id"] for fact in facts)


def claims(lives: list[Life]) -> list[Doc]:
    """The claim facts of some lives."""
    return [life.claim for life in lives]


View = Callable[[History, int], list[Doc]]
VIEWS: dict[str, View] = {
    "active_claims": lambda history, now: claims(history.live_claims(now)),
    "lapsed_claims": lambda history, now: claims(history.lapsed_claims(now)),
    "active_blockers": lambda history, _: history.blockers(),
    "open_handoffs": lambda history, _: history.handoffs(),
    "current_decisions": lambda history, _: history.decisions(),
    "open_risks": lambda history, _: history.risks(),
    "standbys": lambda history, _: history.standbys(),
    "recent_artifacts": lambda history, _: history.standing("artifact"),
}
