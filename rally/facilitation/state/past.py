"""What the fold and the decisions may know of history beyond the live state.

The state keeps only what is live, yet some facts point at older ones (a retraction, a reply, an
idempotency key, a step that landed long ago). Those are fetched before folding or deciding, and
handed in as a `Past`, so both stay pure: the same facts and the same past give the same state.
What the past says of a fact with number `n` is what the ledger said before `n`, so a replay years
later sees the same past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rally.model.fact import Fact


@dataclass(slots=True)
class Wants:
    """What has to be fetched for some facts or wishes.

    Attributes:
        ids: event ids or decimal seqs, as they were typed.
        keys: idempotency keys.
        steps: (run, step) pairs whose landings matter.
        retracted: ids of facts about to be withdrawn; what they were about is fetched too.
        registered: (run, step) pairs about to be registered as tasks.
        answered: ids of what is about to be answered with a receipt.
    """

    ids: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    steps: set[tuple[str, str]] = field(default_factory=set)
    retracted: set[str] = field(default_factory=set)
    registered: set[tuple[str, str]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.ids or self.keys or self.steps or self.retracted)

    def merge(self, other: Wants) -> None:
        """Want what another wants too."""
        self.ids |= other.ids
        self.keys |= other.keys
        self.steps |= other.steps
        self.retracted |= other.retracted
        self.registered |= other.registered
        self.answered |= other.answered

    def add(self, kind: str, content: Mapping[str, Any]) -> None:
        """Add what one fact (or the content of a wish) needs."""
        for name in ("ref", "claim"):
            if name in content:
                self.ids.add(content[name])
        if "key" in content:
            self.keys.add(content["key"])
        if kind == "retract" and "ref" in content:
            self.retracted.add(content["ref"])
        if kind == "receipt" and "ref" in content:
            self.answered.add(content["ref"])
        run = content.get("run")
        self._add_conditions(content.get("until", ()), run)
        if kind == "task" and run:
            self.registered.add((run, content.get("step", "")))
            steps = (*content.get("parent_steps", ()), content.get("step"))
            self.steps.update((run, step) for step in steps if step)

    def _add_conditions(self, conditions: Iterable[str], run: str | None) -> None:
        for condition in conditions:
            form, _, rest = condition.partition(":")
            if form == "fact":
                self.ids.add(rest)
            elif form == "step" and run:
                self.steps.add((run, rest))


@dataclass(slots=True)
class Past:
    """Answers to `Wants`, with the facts of the batch in hand laid over them.

    Attributes:
        facts: by the id or seq that was asked for; those that do not exist are absent.
        keys: first fact said with each key.
        landed: artifacts, not withdrawn, that landed each step asked for.
        threads: for the entity that a fact to be retracted was about: that entity's fact followed by
            all that refer to it and were not withdrawn, in ledger order.
        answers: of each handoff to `all` that is about to be answered: what refers to it and was not
            withdrawn, in ledger order.
        withdrawn: ids of facts to be retracted that were retracted before.
        ended: ids of standbys in `threads` that were ended for good (see `rules.ends_standby`).
        led: ids of blockers in `threads` whose author held the lead's seat when they were said.
        registered: the task fact of each (run, step) pair that was asked for and has landed.
        tasks: of the run whose step an artifact to be retracted landed: its tasks, less withdrawn
            ones, in ledger order.
        pending: facts decided in this batch and not yet in the ledger, in order; `note` adds one.
    """

    facts: dict[str, Fact] = field(default_factory=dict)
    keys: dict[str, Fact] = field(default_factory=dict)
    landed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    threads: dict[str, list[Fact]] = field(default_factory=dict)
    answers: dict[str, list[Fact]] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    led: set[str] = field(default_factory=set)
    registered: dict[tuple[str, str], Fact] = field(default_factory=dict)
    tasks: dict[str, list[Fact]] = field(default_factory=dict)
    pending: list[Fact] = field(default_factory=list)
    # The same by what is asked for: a run of thousands of tasks is decided and folded as one batch.
    _by_id: dict[str, Fact] = field(default_factory=dict)
    _by_key: dict[str, Fact] = field(default_factory=dict)
    _landing: dict[tuple[str | None, str | None], list[str]] = field(default_factory=dict)
    _gone: set[str | None] = field(default_factory=set)

    def note(self, fact: Fact) -> None:
        """Lay one more fact of this batch over the past."""
        self.pending.append(fact)
        self._by_id[fact.event_id] = self._by_id[str(fact.seq)] = fact
        if key := fact.get("key"):
            self._by_key.setdefault(key, fact)
        if fact.kind == "artifact" and fact.has_effect:
            self._landing.setdefault((fact.run, fact.step), []).append(fact.event_id)
        elif fact.withdraws:
            self._gone.add(fact.withdraws)

    def fact(self, asked: str) -> Fact | None:
        """The fact with this event id or seq, if there is one."""
        return self.facts.get(asked) or self._by_id.get(asked)

    def by_key(self, key: str) -> Fact | None:
        """The first fact said with this idempotency key."""
        return self.keys.get(key) or self._by_key.get(key)

    def landings(self, run: str, step: str, *, without: str | None = None) -> list[str]:
        """Ids of the artifacts that landed a step, one id left out on request."""
        ids = [*self.landed.get((run, step), ()), *self._landing.get((run, step), ())]
        return [one for one in ids if one != without and one not in self._gone]

    def is_withdrawn(self, event_id: str) -> bool:
        """Whether a fact about to be retracted was retracted before."""
        return event_id in self.withdrawn or event_id in self._gone

    def thread(self, event_id: str, *, without: str) -> list[Fact]:
        """An entity's fact and those about it, less withdrawn ones and the one being withdrawn."""
        gone = self._gone | {without}
        facts = list(self.threads.get(event_id, ()))
        facts += [fact for fact in self.pending if event_id in (fact.event_id, fact.ref)]
        return [fact for fact in facts if fact.event_id not in gone]

    def answers_to(self, event_id: str) -> list[Fact]:
        """What refers to a handoff to `all` that is about to be answered, less withdrawn ones."""
        facts = list(self.answers.get(event_id, ()))
        facts += [fact for fact in self.pending if fact.ref == event_id]
        return [fact for fact in facts if fact.event_id not in self._gone]


def wants_of(facts: Iterable[Fact]) -> Wants:
    """What folding these facts needs to know of the past."""
    wants = Wants()
    for fact in facts:
        wants.add(fact.kind, fact.doc)
    return wants
