"""Random lives of a room: the core against the naive model, step by step.

Every step goes through one of two doors to the same ledger. After it the naive model, which knows
nothing but the list of facts, must give the same verdict, the same facts and the same answers.
"""

from __future__ import annotations

from typing import Any

import pytest
from harness import DiskRoom, MemoryRoom
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from machine import RoomMachine
from naive import Doc, Party, instant
from naive_check import Question, before_complete, before_write
from naive_paths import LITERALS, PATHS
from naive_say import No, Wish
from naive_tasks import add, finish, take

from rally.model.errors import RallyError

TOOLS = ("a:1", "b:1", "c:1", "human:d")
STEPS = ("build", "test")
INTENTS = (None, "work", "review", "plan", "question", "shutdown", "message")
FORMS = ("free", "fact", "step")
# What can be withdrawn, and something that cannot.
WITHDRAWN = (
    "claim", "lead", "resolve", "receipt", "artifact", "decision", "standby", "wake", "release",
    "enter", "leave", "handoff", "blocker", "renew", "retract", "mission", "risk", "task", "note",
)  # fmt: skip

callers = st.tuples(st.sampled_from(TOOLS), st.sampled_from([None, "s1", "s2"]))
doors = st.integers(0, 1)
picks = st.integers(0, 15)
maybe_picks = st.one_of(st.none(), picks)
rare_picks = st.sampled_from([*[None] * 20, 0, 1, 2, 3])
path_lists = st.lists(st.sampled_from(PATHS), min_size=1, max_size=2, unique=True)
maybe_paths = st.one_of(st.just([]), path_lists)
ttls = st.sampled_from(["30s", "90s", "30m", "2h"])
modes = st.sampled_from([None, "shared", "exclusive"])
steps = st.one_of(st.none(), st.sampled_from(STEPS))
keys = st.sampled_from([None, None, None, "k1", "k2", "k3"])
tools = st.sampled_from(TOOLS)
states = st.sampled_from(["acked", "accepted", "accepted", "accepted", "rejected", "done"])


def given(**values: Any) -> Doc:
    """Parameters, less those that were not given; a step brings its run."""
    if values.get("step"):
        values["run"] = "r"
    return {name: value for name, value in values.items() if value not in (None, [], False)}


class Life(RoomMachine):
    """What may happen in a room."""

    # -- presence ------------------------------------------------------------------------------

    @initialize(inside=st.lists(callers, max_size=6))
    def some_are_here(self, inside: list[Party]) -> None:
        for caller in inside:
            self.say(0, Wish("enter", caller))

    @rule(door=doors, caller=callers, inside=st.sampled_from([True, True, False]), key=keys,
          ref=rare_picks)  # fmt: skip
    def come_or_go(
        self, door: int, caller: Party, inside: bool, key: str | None, ref: int | None
    ) -> None:
        wanted = given(key=key, ref=self.pick_or_none(ref))
        self.say(door, Wish("enter" if inside else "leave", caller, wanted))

    @rule(door=doors, caller=callers, to=tools,
          action=st.sampled_from(["take", "take", "give", "drop", "mission"]))  # fmt: skip
    def lead(self, door: int, caller: Party, action: str, to: str) -> None:
        if action == "mission":
            text = self.subject()
            self.say(door, Wish("mission", caller, {"summary": text}), "mission", text=text)
            return
        status = {"take": "taken", "give": "given", "drop": "dropped"}[action]
        wish = Wish("lead", caller, given(status=status, target=to if action == "give" else None))
        self.say(door, wish, "lead", action=action, to=to)

    # -- claims --------------------------------------------------------------------------------

    @rule(door=doors, caller=callers, paths=path_lists, ttl=ttls, key=keys, mode=modes, step=steps,
          ref=rare_picks)  # fmt: skip
    def claim(self, door: int, caller: Party, ref: int | None, **asked: Any) -> None:
        self.say(door, Wish("claim", caller, given(ref=self.pick_or_none(ref), **asked)))

    @rule(door=doors, caller=callers, resource=st.sampled_from([None, "port:1", "gpu"]), step=steps,
          paths=maybe_paths, mode=modes)  # fmt: skip
    def claim_something_else(
        self, door: int, caller: Party, resource: str | None, **asked: Any
    ) -> None:
        wanted = given(resources=[resource] if resource else [], **asked)
        if wanted.keys() & {"paths", "resources", "step"}:
            self.say(door, Wish("claim", caller, wanted))

    @rule(door=doors, asked=st.lists(st.tuples(doors, callers, path_lists, modes), max_size=4))
    def claims_at_once(self, door: int, asked: list[tuple[int, Party, list[str], Any]]) -> None:
        """Of several claims begun together, what the ledger grants in its order is right."""
        wishes = [
            Wish("claim", who, given(paths=paths, mode=mode)) for _, who, paths, mode in asked
        ]
        params = [
            (at, {"kind": "claim", "tool": w.caller[0], "session_id": w.caller[1], **w.given})
            for (at, *_), w in zip(asked, wishes, strict=True)
        ]
        answers = self.room.all_at_once(params)
        self.compare_in_the_ledgers_order(wishes, answers)

    @precondition(lambda self: self.has("claim"))
    @rule(door=doors, caller=callers, ref=rare_picks)
    def renew(self, door: int, caller: Party, ref: int | None) -> None:
        self.say(door, Wish("renew", caller, given(ref=self.pick_or_none(ref))))

    @precondition(lambda self: self.has("claim"))
    @rule(door=doors, caller=callers, pick=picks, force=st.booleans())
    def release(self, door: int, caller: Party, pick: int, force: bool) -> None:
        reason = "it is in the way" if force else None
        wanted = given(ref=self.pick(pick, "claim"), force=force, reason=reason)
        self.say(door, Wish("release", caller, wanted))

    @precondition(lambda self: self.has("claim"))
    @rule(door=doors, caller=callers, paths=path_lists)
    def release_paths(self, door: int, caller: Party, paths: list[str]) -> None:
        self.say(door, Wish("release", caller, {"paths": paths}))

    @precondition(lambda self: self.history.open_claims())
    @rule(door=doors, pick=picks, to=tools)
    def offer(self, door: int, pick: int, to: str) -> None:
        """An owner hands a claim over."""
        lives = self.history.open_claims()
        life = lives[pick % len(lives)]
        wanted = given(subject=self.subject(), target=to, claim=life.id)
        self.say(door, Wish("handoff", life.owner(), wanted))

    # -- tasks ---------------------------------------------------------------------------------

    @rule(door=doors, caller=callers, task_id=st.sampled_from(STEPS), owns=maybe_paths,
          after=st.booleans(), priority=st.sampled_from([1, 100]))  # fmt: skip
    def task_add(
        self, door: int, caller: Party, task_id: str, owns: list[str], after: bool, priority: int
    ) -> None:
        asked = {
            "id": task_id, "intent": "do it", "owns": owns, "read_only": not owns,
            "depends_on": [one for one in STEPS if one != task_id] if after else [],
            "priority": priority,
        }  # fmt: skip
        self.task(door, caller, "add", lambda: add(self.history, "r", asked), **asked)

    @precondition(lambda self: self.has("task"))
    @rule(door=doors, caller=callers)
    def task_take(self, door: int, caller: Party) -> None:
        def expected() -> list[str]:
            taking = take(self.history, caller, "r", self.now)
            self.expected_claim = given(paths=taking.paths, step=taking.task["step"])
            return ["claim"]

        self.task(door, caller, "take", expected)

    @precondition(lambda self: self.has("task", "claim"))
    @rule(door=doors, caller=callers, task_id=st.sampled_from(STEPS),
          action=st.sampled_from(["done", "drop"]))  # fmt: skip
    def task_end(self, door: int, caller: Party, task_id: str, action: str) -> None:
        def expected() -> list[str]:
            ended = finish(self.history, caller, "r", task_id)
            return ["artifact", *ended] if action == "done" else ended

        self.task(door, caller, action, expected, id=task_id)

    def task(self, door: int, caller: Party, action: str, expected: Any, **params: Any) -> None:
        """One action on tasks, compared with what it must write."""
        history, now = self.history, self.now
        asked = given(tool=caller[0], session_id=caller[1], action=action, run="r", **params)
        try:
            kinds, refusal = expected(), None
        except No as no:
            kinds, refusal = [], no
        try:
            self.room.call(door, "task", asked)
        except RallyError as error:
            assert refusal is not None, f"{asked} was refused: {error!r}"
            assert error.code == refusal.code
            assert self.room.tail(len(self.facts)) == [], "a refusal wrote something"
            return
        assert refusal is None, f"{asked} was granted where {refusal!r} was due"
        self.take_in(history, caller, kinds, now)
        if action == "take":
            claim = self.facts[len(history.facts)]
            found = given(paths=claim.get("paths"), step=claim["step"])
            assert found == self.expected_claim

    # -- everything else that is said ------------------------------------------------------------

    @rule(door=doors, caller=callers, step=steps, release=st.booleans(), key=keys,
          to=st.one_of(st.none(), tools), pick=maybe_picks)  # fmt: skip
    def artifact(
        self, door: int, caller: Party, pick: int | None, to: str | None, **asked: Any
    ) -> None:
        ref = None if pick is None else self.pick(pick, "standby", "handoff")
        wanted = given(subject=self.subject(), target=to, ref=ref, **asked)
        self.say(door, Wish("artifact", caller, wanted))

    @rule(door=doors, caller=callers, paths=maybe_paths, step=steps, key=keys, ref=rare_picks,
          kind=st.sampled_from(["blocker", "blocker", "risk", "note", "lesson"]))  # fmt: skip
    def remark(self, door: int, caller: Party, kind: str, ref: int | None, **asked: Any) -> None:
        wanted = given(subject=self.subject(), ref=self.pick_or_none(ref), **asked)
        self.say(door, Wish(kind, caller, wanted))

    @precondition(lambda self: any("key" in fact for fact in self.facts))
    @rule(door=doors, pick=picks, other=st.booleans())
    def say_again(self, door: int, pick: int, other: bool) -> None:
        """What had a key is said again, the same or a little different."""
        said = [fact["event_id"] for fact in self.facts if "key" in fact]
        first = self.wishes[said[pick % len(said)]]
        changed = {"summary": self.subject()} if other else {}
        self.say(door, Wish(first.kind, first.caller, {**first.given, **changed}))

    @precondition(lambda self: self.has("blocker", "risk", "handoff", "artifact"))
    @rule(door=doors, caller=callers, pick=picks)
    def resolve(self, door: int, caller: Party, pick: int) -> None:
        ref = self.pick(pick, "blocker", "risk", "handoff", "artifact")
        self.say(door, Wish("resolve", caller, {"ref": ref}))

    @rule(door=doors, caller=callers, pick=maybe_picks, paths=maybe_paths,
          status=st.sampled_from([None, "binding", "advisory"]))  # fmt: skip
    def decision(self, door: int, caller: Party, pick: int | None, **asked: Any) -> None:
        ref = self.pick(pick, "decision") if pick is not None and self.has("decision") else None
        self.say(door, Wish("decision", caller, given(subject=self.subject(), ref=ref, **asked)))

    @rule(door=doors, caller=callers, to=st.sampled_from([*TOOLS, "all", "all"]),
          pick=maybe_picks, intent=st.sampled_from(INTENTS),
          ack_within=st.sampled_from([None, "10m"]))  # fmt: skip
    def handoff(self, door: int, caller: Party, to: str, pick: int | None, **asked: Any) -> None:
        claim = self.pick(pick, "claim") if pick is not None and self.has("claim") else None
        wanted = given(subject=self.subject(), target=to, claim=claim, **asked)
        self.say(door, Wish("handoff", caller, wanted))

    @precondition(lambda self: self.has("handoff", "artifact"))
    @rule(door=doors, caller=callers, pick=picks, state=states)
    def receipt(self, door: int, caller: Party, pick: int, state: str) -> None:
        ref = self.pick(pick, "handoff", "artifact")
        self.say(door, Wish("receipt", caller, {"ref": ref, "state": state}))

    @precondition(lambda self: self.history.handoffs() + self.history.reviews())
    @rule(door=doors, caller=callers, pick=picks, state=states, artifact=st.booleans())
    def answer(self, door: int, caller: Party, pick: int, state: str, artifact: bool) -> None:
        """The addressee answers, in words or with an artifact."""
        waiting = self.history.handoffs() + self.history.reviews()
        one = waiting[pick % len(waiting)]
        who = (caller[0] if one["target"] == "all" else one["target"], caller[1])
        if artifact:
            self.say(door, Wish("artifact", who, given(subject="it", ref=one["event_id"])))
        else:
            self.say(door, Wish("receipt", who, given(ref=one["event_id"], state=state)))

    @rule(door=doors, caller=callers, step=steps, wake_after=st.sampled_from([None, "+60s", "+1h"]),
          pick=picks, path=st.sampled_from(PATHS),
          forms=st.lists(st.sampled_from(FORMS), max_size=2, unique=True))  # fmt: skip
    def standby(
        self, door: int, caller: Party, forms: list[str], pick: int, path: str, **asked: Any
    ) -> None:
        if "step" in forms and pick:  # else it is not said of which run
            asked["run"] = "r"
        until = [self.condition(form, pick, path) for form in forms]
        self.say(door, Wish("standby", caller, given(until=until, **asked)))

    def condition(self, form: str, pick: int, path: str) -> str:
        """A condition to wait for; a fact that is waited for is mostly open."""
        fact = self.pick(pick, "blocker", "handoff", "claim", "artifact", "standby", "risk")
        waiting = self.history.unanswered()
        if waiting and pick % 4:
            fact = waiting[-1 - pick % len(waiting)]["event_id"]
        return {"free": f"free:{path}", "step": f"step:{STEPS[pick % 2]}", "fact": f"fact:{fact}"}[
            form
        ]

    @precondition(lambda self: self.history.open_claims())
    @rule(door=doors, pick=picks, wake_after=st.sampled_from(["+60s", "+1h", "+1d"]))
    def sleep_over_a_claim(self, door: int, pick: int, wake_after: str) -> None:
        """Whoever holds something, or did until its lease was over, goes dormant."""
        lives = self.history.open_claims()
        owner = lives[pick % len(lives)].owner()
        self.say(door, Wish("standby", owner, {"wake_after": wake_after}))

    @precondition(lambda self: self.has("standby"))
    @rule(door=doors, caller=callers, pick=picks)
    def wake(self, door: int, caller: Party, pick: int) -> None:
        self.say(door, Wish("wake", caller, {"ref_standby": self.pick(pick, "standby")}))

    @rule(
        door=doors, caller=callers, pick=picks, kind=st.sampled_from(WITHDRAWN), own=st.booleans()
    )
    def retract(self, door: int, caller: Party, pick: int, kind: str, own: bool) -> None:
        if not self.has(kind):
            kind = "note"
        ref = self.pick(pick, kind)
        fact = self.history.find(ref)
        who = (fact["tool"], fact.get("session_id")) if own and fact else caller
        self.say(door, Wish("retract", who, {"ref": ref, "reason": "it was wrong"}))

    @precondition(lambda self: self.history.standing("resolve", "receipt", "wake", "artifact"))
    @rule(door=doors, caller=callers, pick=picks)
    def take_an_answer_back(self, door: int, caller: Party, pick: int) -> None:
        """What closed something is withdrawn."""
        answers = self.history.standing("resolve", "receipt", "wake", "artifact", "decision")
        ref = answers[-1 - pick % len(answers)]["event_id"]
        self.say(door, Wish("retract", caller, {"ref": ref, "reason": "it was wrong"}))

    # -- time and processes ----------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 9, 10, 31, 60, 61, 601, 1_801, 3_601, 7_200, -40, -4_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds * 1_000)

    @rule(door=doors)
    def reopen(self, door: int) -> None:
        self.room.reopen(door)

    # -- questions -----------------------------------------------------------------------------

    @rule(door=doors, caller=callers, pick=st.one_of(st.none(), st.none(), picks), step=steps,
          paths=st.lists(st.sampled_from(LITERALS), max_size=2, unique=True),
          require_claim=st.booleans())  # fmt: skip
    def check_before_write(
        self, door: int, caller: Party, pick: int | None, step: str | None, **asked: Any
    ) -> None:
        fence = None
        if pick is not None:
            found = self.history.find(self.pick(pick, "claim"))
            fence = found["seq"] if found else 9_999
        question = Question(caller, fence=fence, step=("r", step) if step else None, **asked)
        due = before_write(self.history, question, self.now)
        params = given(phase="before-write", fence=fence, step=step, **asked)
        data = self.ask(door, caller, "check", **params)
        told = {
            (f["code"], f["severity"], f["path"], None if f["code"] in SELF_MADE else f["fact_id"])
            for f in data["findings"]
        }
        assert told == due
        assert data["allow"] == all(f["severity"] != "stop" for f in data["findings"])

    @rule(door=doors, caller=callers)
    def check_before_complete(self, door: int, caller: Party) -> None:
        due = before_complete(self.history, caller, self.now)
        data = self.ask(door, caller, "check", phase="before-complete")
        assert {(f["code"], f["severity"], None, f["fact_id"]) for f in data["findings"]} == due

    @rule(door=doors, caller=callers)
    def inbox(self, door: int, caller: Party) -> None:
        history, now = self.history, self.now
        data = self.ask(door, caller, "inbox")
        items = history.inbox(caller[0])
        assert [one["event_id"] for one in data["items"]] == [one["event_id"] for one in items]
        for shown, handoff in zip(data["items"], items, strict=True):
            answers = history.receipts(handoff)
            late = "ack_by" in handoff and instant(handoff["ack_by"]) <= now and not answers
            assert shown["overdue"] == late


# Findings about the caller's own claims name any one of them.
SELF_MADE = frozenset({"read-only-step", "outside-claim"})


class LifeInMemory(Life):
    room_kind = MemoryRoom


class LifeOnDisk(Life):
    room_kind = DiskRoom

    @rule(door=doors)
    def keep_checkpoint(self, door: int) -> None:
        self.room.keep_checkpoint(door)


common = settings(
    deadline=None, print_blob=True, report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explaining takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestInMemory = LifeInMemory.TestCase
TestInMemory.settings = settings(common, max_examples=160, stateful_step_count=60)
TestOnDisk = LifeOnDisk.TestCase
TestOnDisk.settings = settings(common, max_examples=50, stateful_step_count=40)
# A minute of work; a machine that does other work beside it may take more than the usual limit.
TestInMemory.pytestmark = TestOnDisk.pytestmark = [pytest.mark.timeout(600)]
