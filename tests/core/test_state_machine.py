"""Random lives of a room: the core against the naive model, step by step.

Every step goes through one of two services on the same ledger. After it the naive model, which knows
nothing but the list of facts, must give the same verdict, the same facts and the same answers.
"""

from __future__ import annotations

from typing import Any

from orjson import loads
from harness import FakeClock, MemoryRoom
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from naive import Doc, History, Life, Party, at, instant, same_owner
from naive_check import Question, before_complete, before_write
from naive_paths import LITERALS, PATHS
from naive_say import No, Wish, judge, same_content, warnings

from rally.model.durations import parse_duration_ms
from rally.model.errors import RallyError

TOOLS = ("a:1", "b:1", "c:1", "human:d")
STEPS = ("build", "test")

callers = st.tuples(st.sampled_from(TOOLS), st.sampled_from([None, "s1", "s2"]))
doors = st.integers(0, 1)
picks = st.integers(0, 11)
path_lists = st.lists(st.sampled_from(PATHS), min_size=1, max_size=2, unique=True)
maybe_paths = st.one_of(st.just([]), path_lists)
ttls = st.sampled_from(["30s", "90s", "30m", "2h"])
steps = st.one_of(st.none(), st.sampled_from(STEPS))
keys = st.one_of(st.none(), st.none(), st.none(), st.sampled_from(["k1", "k2"]))
targets = st.sampled_from([*TOOLS, "all"])


def without_empty(**given: Any) -> Doc:
    """Parameters, less those that were not given."""
    return {name: value for name, value in given.items() if value not in (None, [], False)}


class RoomMachine(RuleBasedStateMachine):
    """One room's life."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.room = MemoryRoom(self.clock)
        self.facts: list[Doc] = []
        self.wishes: dict[str, Wish] = {}
        self.shadow = self.room.folded()
        self.subjects = 0

    def teardown(self) -> None:
        try:
            assert self.room.folded() == self.room.folded(self.shadow), "a whole replay tells another story"
        finally:
            self.room.close()

    # -- helpers -------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        return History(self.facts)

    @property
    def now(self) -> int:
        return self.history.now(self.clock.ms)

    def pick(self, pick: int, *kinds: str) -> str:
        """The id or seq of one of the newest facts, mostly of the right kind; or of none."""
        if pick == 0 or not self.facts:
            return "no-such-fact"
        fitting = [f for f in self.facts if f["kind"] in kinds] if pick > 1 else []
        fact = (fitting or self.facts)[-1 - pick // 2 % len(fitting or self.facts)]
        return str(fact["seq"] if pick % 2 else fact["event_id"])

    def subject(self) -> str:
        self.subjects += 1
        return f"subject {self.subjects}"

    # -- saying --------------------------------------------------------------------------------

    def say(self, door: int, wish: Wish, op: str = "say", **params: Any) -> None:
        """Carry out one wish and compare everything about the answer."""
        history, now = self.history, self.now
        tool, session = wish.caller
        given = {"kind": wish.kind, **wish.given} if op == "say" else params
        expected, refusal = self.expectation(history, wish, now)
        asked = {"tool": tool, "session_id": session, **given}
        try:
            reply = self.room.call(door, op, asked)
        except RallyError as error:
            assert refusal is not None, f"{asked} was refused: {error!r}"
            assert error.code == refusal.code, f"{asked}: {error!r} where {refusal!r} was due"
            self.compare_details(error, refusal)
            assert self.room.tail(len(self.facts)) == [], "a refusal wrote something"
            return
        assert refusal is None, f"{asked} was granted: {reply.data}; due was {refusal!r}"
        fact = reply.data["fact"]
        if expected is None:  # a replay
            assert reply.data.get("replayed", True)
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
        first = next((f for f in self.facts if wish.get("key") and f.get("key") == wish.get("key")), None)
        if first is not None:
            if same_content(self.wishes[first["event_id"]], wish, history):
                return None, None
            return [], No("key-conflict")
        try:
            return judge(history, wish, now), None
        except No as refusal:
            return [], refusal

    def compare_details(self, error: RallyError, refusal: No) -> None:
        """What a refusal tells beside its code."""
        if "holders" in refusal.details:
            told = {one["claim_id"] for one in error.details["conflicts"]}
            assert told == refusal.details["holders"]
        if "mine" in refusal.details:
            told = {one["claim_id"] for one in error.details["open_claims"]}
            assert told == refusal.details["mine"]

    def compare_fact(self, fact: Doc, wish: Wish, now: int) -> None:
        """The fact says what was wished."""
        assert fact["kind"] == wish.kind
        assert (fact["tool"], fact.get("session_id")) == wish.caller
        assert at(fact) == now
        for name, value in wish.given.items():
            if name in ("release", "force", "wake_after", "ack_within", "until"):
                continue
            if name in ("ref", "claim", "ref_standby"):
                found = self.history.find(value)
                assert found is not None
                name, value = name.removesuffix("_standby"), found["event_id"]
            assert fact[name] == value, name
        if wish.kind == "claim":
            ttl_ms = parse_duration_ms(wish.get("ttl", "30m"))
            assert instant(fact["lease_expires_at"]) == now + ttl_ms
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
            still = {life.id for life in self.history.live_claims(now)}
            late = [life for life in due if life.id in still]
            assert not late, f"{late} should have been renewed"
        for fact in new:
            assert at(fact) == now
            assert fact["tool"] == caller[0]

    # -- rules: presence -----------------------------------------------------------------------

    @initialize(inside=st.lists(callers, max_size=3))
    def some_are_here(self, inside: list[Party]) -> None:
        for caller in inside:
            self.say(0, Wish("enter", caller))

    @rule(door=doors, caller=callers, paths=maybe_paths, key=keys)
    def enter(self, door: int, caller: Party, paths: list[str], key: str | None) -> None:
        self.say(door, Wish("enter", caller, without_empty(paths=paths, key=key)))

    @rule(door=doors, caller=callers)
    def leave(self, door: int, caller: Party) -> None:
        self.say(door, Wish("leave", caller))

    @rule(door=doors, caller=callers, status=st.sampled_from(["taken", "given", "dropped"]),
          to=st.sampled_from(TOOLS))  # fmt: skip
    def lead(self, door: int, caller: Party, status: str, to: str) -> None:
        given = {"status": status, **({"target": to} if status == "given" else {})}
        action = {"taken": "take", "given": "give", "dropped": "drop"}[status]
        self.say(door, Wish("lead", caller, given), "lead", action=action, to=to)

    @rule(door=doors, caller=callers)
    def mission(self, door: int, caller: Party) -> None:
        text = self.subject()
        self.say(door, Wish("mission", caller, {"summary": text}), "mission", text=text)

    # -- rules: claims -------------------------------------------------------------------------

    @rule(door=doors, caller=callers, paths=path_lists, ttl=ttls, key=keys,
          mode=st.sampled_from([None, "shared", "exclusive"]), step=steps)  # fmt: skip
    def claim(self, door: int, caller: Party, **asked: Any) -> None:
        step = asked.pop("step")
        given = without_empty(**asked, **({"run": "r", "step": step} if step else {}))
        self.say(door, Wish("claim", caller, given))

    @rule(door=doors, caller=callers, resource=st.sampled_from([None, "port:1", "gpu"]), step=steps,
          paths=maybe_paths)  # fmt: skip
    def claim_something_else(
        self, door: int, caller: Party, resource: str | None, step: str | None, paths: list[str]
    ) -> None:
        if resource is None and step is None and not paths:
            return
        given = without_empty(paths=paths, resources=[resource] if resource else [])
        if step:
            given |= {"run": "r", "step": step}
        self.say(door, Wish("claim", caller, given))

    @rule(door=doors, caller=callers)
    def renew(self, door: int, caller: Party) -> None:
        self.say(door, Wish("renew", caller))

    @rule(door=doors, caller=callers, pick=picks, force=st.booleans())
    def release(self, door: int, caller: Party, pick: int, force: bool) -> None:
        given = {"ref": self.pick(pick, "claim")}
        if force:
            given |= {"force": True, "reason": "it is in the way"}
        self.say(door, Wish("release", caller, given))

    @rule(door=doors, caller=callers, paths=path_lists)
    def release_paths(self, door: int, caller: Party, paths: list[str]) -> None:
        self.say(door, Wish("release", caller, {"paths": paths}))

    # -- rules: everything else that is said ------------------------------------------------------

    @rule(door=doors, caller=callers, step=steps, release=st.booleans(), key=keys,
          to=st.one_of(st.none(), st.sampled_from(TOOLS)), pick=st.one_of(st.none(), picks))  # fmt: skip
    def artifact(
        self, door: int, caller: Party, step: str | None, release: bool, key: str | None,
        to: str | None, pick: int | None,
    ) -> None:  # fmt: skip
        given = without_empty(
            subject="built" if key else self.subject(), release=release, key=key, target=to,
            ref=None if pick is None else self.pick(pick, "standby", "handoff"),
            **({"run": "r", "step": step} if step else {}),
        )  # fmt: skip
        self.say(door, Wish("artifact", caller, given))

    @rule(door=doors, caller=callers, paths=maybe_paths, step=steps,
          kind=st.sampled_from(["blocker", "risk", "note", "lesson"]), key=keys)  # fmt: skip
    def remark(
        self, door: int, caller: Party, kind: str, paths: list[str], step: str | None, key: str | None
    ) -> None:
        given = without_empty(
            subject="one" if key else self.subject(), paths=paths, key=key,
            **({"run": "r", "step": step} if step else {}),
        )  # fmt: skip
        self.say(door, Wish(kind, caller, given))

    @rule(door=doors, caller=callers, pick=picks)
    def resolve(self, door: int, caller: Party, pick: int) -> None:
        ref = self.pick(pick, "blocker", "risk", "handoff", "artifact")
        self.say(door, Wish("resolve", caller, {"ref": ref}))

    @rule(door=doors, caller=callers, pick=st.one_of(st.none(), picks), paths=maybe_paths,
          status=st.sampled_from([None, "binding", "advisory"]))  # fmt: skip
    def decision(
        self, door: int, caller: Party, pick: int | None, paths: list[str], status: str | None
    ) -> None:
        ref = None if pick is None else self.pick(pick, "decision")
        given = without_empty(subject=self.subject(), ref=ref, paths=paths, status=status)
        self.say(door, Wish("decision", caller, given))

    @rule(door=doors, caller=callers, to=targets, claim=st.one_of(st.none(), picks),
          intent=st.sampled_from([None, "work", "review", "plan", "question", "message"]),
          ack_within=st.sampled_from([None, "10m"]))  # fmt: skip
    def handoff(
        self, door: int, caller: Party, to: str, claim: int | None, intent: str | None,
        ack_within: str | None,
    ) -> None:  # fmt: skip
        given = without_empty(
            subject=self.subject(), target=to, intent=intent, ack_within=ack_within,
            claim=None if claim is None else self.pick(claim, "claim"),
        )  # fmt: skip
        self.say(door, Wish("handoff", caller, given))

    @precondition(lambda self: self.history.live_claims(self.now))
    @rule(door=doors, pick=picks, to=targets)
    def offer(self, door: int, pick: int, to: str) -> None:
        """An owner hands a live claim over."""
        lives = self.history.live_claims(self.now)
        life = lives[pick % len(lives)]
        given = {"subject": self.subject(), "target": to, "claim": life.id}
        self.say(door, Wish("handoff", life.owner(), given))

    @rule(door=doors, caller=callers, pick=picks,
          state=st.sampled_from(["acked", "accepted", "rejected", "done"]))  # fmt: skip
    def receipt(self, door: int, caller: Party, pick: int, state: str) -> None:
        ref = self.pick(pick, "handoff", "artifact")
        self.say(door, Wish("receipt", caller, {"ref": ref, "state": state}))

    @precondition(lambda self: self.history.handoffs())
    @rule(door=doors, caller=callers, pick=picks,
          state=st.sampled_from(["acked", "accepted", "accepted", "rejected", "done"]))  # fmt: skip
    def answer(self, door: int, caller: Party, pick: int, state: str) -> None:
        """The addressee of an open handoff answers."""
        handoffs = self.history.handoffs()
        handoff = handoffs[pick % len(handoffs)]
        tool = caller[0] if handoff["target"] == "all" else handoff["target"]
        given = {"ref": handoff["event_id"], "state": state}
        self.say(door, Wish("receipt", (tool, caller[1]), given))

    @rule(door=doors, caller=callers, step=steps, wake_after=st.sampled_from([None, "+60s", "+1h"]),
          pick=picks,
          conditions=st.lists(st.sampled_from(["free", "fact", "step"]), max_size=2, unique=True),
          path=st.sampled_from(PATHS))  # fmt: skip
    def standby(
        self, door: int, caller: Party, step: str | None, wake_after: str | None,
        conditions: list[str], pick: int, path: str,
    ) -> None:  # fmt: skip
        forms = {
            "free": f"free:{path}", "step": f"step:{STEPS[pick % 2]}",
            "fact": f"fact:{self.pick(pick, 'blocker', 'handoff', 'claim', 'artifact')}",
        }  # fmt: skip
        given = without_empty(wake_after=wake_after, until=[forms[one] for one in conditions])
        if step:
            given |= {"run": "r", "step": step}
        self.say(door, Wish("standby", caller, given))

    @rule(door=doors, caller=callers, pick=picks)
    def wake(self, door: int, caller: Party, pick: int) -> None:
        self.say(door, Wish("wake", caller, {"ref_standby": self.pick(pick, "standby")}))

    @rule(door=doors, caller=callers, pick=picks, kind=st.sampled_from(
        ["claim", "lead", "resolve", "receipt", "artifact", "decision", "standby", "wake", "release",
         "enter", "leave", "handoff", "blocker", "renew", "retract", "mission", "risk"]))  # fmt: skip
    def retract(self, door: int, caller: Party, pick: int, kind: str) -> None:
        given = {"ref": self.pick(pick, kind), "reason": "it was wrong"}
        self.say(door, Wish("retract", caller, given))

    # -- rules: time and processes -------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 9, 31, 61, 601, 1_801, 3_601, 7_201, -40, -4_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds * 1_000)

    @rule(door=doors)
    def reopen(self, door: int) -> None:
        self.room.reopen(door)

    # -- questions -----------------------------------------------------------------------------

    @rule(door=doors, caller=callers, paths=st.lists(st.sampled_from(LITERALS), max_size=2, unique=True),
          pick=st.one_of(st.none(), st.none(), picks), step=steps, require_claim=st.booleans())  # fmt: skip
    def check_before_write(
        self, door: int, caller: Party, paths: list[str], pick: int | None, step: str | None,
        require_claim: bool,
    ) -> None:  # fmt: skip
        fence = None
        if pick is not None:
            found = self.history.find(self.pick(pick, "claim"))
            fence = found["seq"] if found else 9_999
        asked = Question(caller, paths, fence, ("r", step) if step else None, require_claim)
        params = without_empty(paths=paths, fence=fence, step=step, require_claim=require_claim)
        history, now = self.history, self.now
        data = self.ask(door, caller, "check", phase="before-write", run="r", **params)
        history = self.history if len(self.facts) > len(history.facts) else history
        found_set = {
            (f["code"], f["severity"], f["path"], None if f["code"] in SELF_MADE else f["fact_id"])
            for f in data["findings"]
        }
        assert found_set == before_write(history, asked, now)
        assert data["allow"] == all(f["severity"] != "stop" for f in data["findings"])

    @rule(door=doors, caller=callers)
    def check_before_complete(self, door: int, caller: Party) -> None:
        now = self.now
        data = self.ask(door, caller, "check", phase="before-complete")
        found_set = {(f["code"], f["severity"], None, f["fact_id"]) for f in data["findings"]}
        assert found_set == before_complete(self.history, caller, now)

    @rule(door=doors, caller=callers)
    def inbox(self, door: int, caller: Party) -> None:
        now = self.now
        data = self.ask(door, caller, "inbox")
        items = self.history.inbox(caller[0])
        assert [one["event_id"] for one in data["items"]] == [one["event_id"] for one in items]
        for shown, handoff in zip(data["items"], items, strict=True):
            answers = self.history.receipts(handoff)
            late = "ack_by" in handoff and instant(handoff["ack_by"]) <= now and not answers
            assert shown["overdue"] == late

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
        for life in history.open_claims():
            entry = next(
                one for one in data["active_claims"] + data["lapsed_claims"]
                if one["event_id"] == life.id
            )  # fmt: skip
            assert instant(entry["lease_expires_at"]) == life.expires_ms

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


# Findings about the caller's own claims name any one of them.
SELF_MADE = frozenset({"read-only-step", "outside-claim"})


def ids(facts: list[Doc]) -> list[str]:
    """The ids of facts, sorted."""
    return sorted(fact["event_id"] for fact in facts)


def claims(lives: list[Life]) -> list[Doc]:
    """The claim facts of some lives."""
    return [life.claim for life in lives]


VIEWS = {
    "active_claims": lambda history, now: claims(history.live_claims(now)),
    "lapsed_claims": lambda history, now: claims(history.lapsed_claims(now)),
    "active_blockers": lambda history, now: history.blockers(),
    "open_handoffs": lambda history, now: history.handoffs(),
    "current_decisions": lambda history, now: history.decisions(),
    "open_risks": lambda history, now: history.risks(),
    "standbys": lambda history, now: history.standbys(),
    "recent_artifacts": lambda history, now: history.standing("artifact"),
}


def renewal_due(life: Life, caller: Party, now: int) -> bool:
    """Whether a third of a lease has gone since it was last extended (contract, `renew`)."""
    ttl_ms = instant(life.claim["lease_expires_at"]) - at(life.claim)
    return same_owner(life.owner(), caller) and (now + ttl_ms - life.expires_ms) * 3 >= ttl_ms


TestRoom = RoomMachine.TestCase
TestRoom.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
