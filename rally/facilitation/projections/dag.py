"""What a run looks like: its steps, what they build on, and where each stands (contract P5).

The graph is a pure function of the run's facts, which are history, and of the little that only the
live state knows (leases, due standbys, open blockers), which is handed in as a `LiveRun`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from rally.model.clock import from_rfc3339
from rally.model.fact import Fact
from rally.model.graph import cycles, knot_numbers, ordered

ROOT = "root"
STATUSES = ("planned", "in_flight", "stalled", "landed")
PARENT_STEP = "parent_step"
REF = "ref"

# They announce work and are no work: a step with nothing else is planned.
_REGISTRATIONS = frozenset({"task", "run"})


@dataclass(slots=True, frozen=True)
class LiveRun:
    """What only the live state knows about one run, at the instant that is asked about.

    A key `ROOT` stands for what names the run and no step.

    Attributes:
        lapsed_steps: steps with a claim whose lease is over and that has not ended otherwise.
        lost_claims: event ids of claims that lapsed and were taken over by another.
        held_steps: steps that a live claim holds.
        due_standbys: event id of each due standby of the run, with its cause (contract S4).
        live_standbys: event ids of all standbys of the run that have not ended, due ones included.
        blocked_steps: step to the id of an open blocker that names the run and the step, or a path
            that the step's live claim holds.
    """

    lapsed_steps: Set[str] = frozenset()
    lost_claims: Set[str] = frozenset()
    held_steps: Set[str] = frozenset()
    due_standbys: Mapping[str, str] = field(default_factory=dict)
    live_standbys: Set[str] = frozenset()
    blocked_steps: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Step:
    """One step as its facts tell it; the dicts without values are ordered sets."""

    step_id: str
    first_seq: int
    registered: bool = False
    dropped: bool = False
    registered_parents: dict[str, None] = field(default_factory=dict)
    named_parents: dict[str, None] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    work: list[Fact] = field(default_factory=list)
    artifacts: list[Fact] = field(default_factory=list)
    claim: Fact | None = None
    standby: Fact | None = None

    @property
    def parents(self) -> list[str]:
        return list(self.registered_parents | self.named_parents)

    @property
    def is_announcement(self) -> bool:
        """Whether nothing but the run's registration is here: nobody is ever to land that."""
        return not self.parents and all(
            fact.kind == "run" and fact.step is None for fact in self.facts
        )


def dag(
    run: str, facts: Sequence[Fact], *, retracted: Collection[str], live: LiveRun, now_ms: int
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The graph of a run (the `dag` object of contract P5) and warnings about it.

    Nodes stand parents first; among steps that are free of each other the one spoken of first comes
    first. A run without facts has no nodes.

    Args:
        run: the run's id.
        facts: every fact of the run, of any kind, ascending by seq.
        retracted: event ids that were withdrawn; others may be among them.
        live: the live state's knowledge at `now_ms`.
        now_ms: the instant of the answer.
    """
    gone = frozenset(retracted)
    counted = [fact for fact in facts if fact.event_id not in gone and fact.kind != "retract"]
    steps = _gather(counted)
    parent_edges = {
        (parent, step.step_id): None for step in steps.values() for parent in step.parents
    }
    ref_edges = _ref_edges(counted, steps)
    order = _order(steps, parent_edges, ref_edges)
    behind = _blocked_after(steps, live)
    nodes = [_node(steps[step_id], live, now_ms, behind.get(step_id)) for step_id in order]
    tally = dict.fromkeys(STATUSES, 0)
    for node in nodes:
        tally[node["status"]] += 1
    graph = {
        "run_id": run,
        "nodes": nodes,
        "edges": _edges(order, parent_edges, ref_edges),
        "counts": tally,
        "facts_scanned": len(facts),
    }
    return graph, _cycle_warnings(steps, parent_edges)


def _gather(facts: Sequence[Fact]) -> dict[str, _Step]:
    """The steps of the graph, in the order in which the run first speaks of them."""
    steps: dict[str, _Step] = {}
    for fact in facts:
        step_id = fact.step or ROOT
        step = steps.get(step_id)
        if step is None:
            step = steps[step_id] = _Step(step_id, fact.seq)
        _take_in(step, fact)
    # A dropped task that nothing else was ever said about is no step of the run any more.
    kept = {step.step_id: step for step in steps.values() if step.registered or step.work}
    if len(kept) > 1 and ROOT in kept and kept[ROOT].is_announcement:
        del kept[ROOT]
    for step in list(kept.values()):
        for parent in step.parents:
            if parent not in kept:
                named_at = step.facts[0].seq
                kept[parent] = steps.get(parent) or _Step(parent, named_at)
    return dict(sorted(kept.items(), key=lambda item: item[1].first_seq))


def _take_in(step: _Step, fact: Fact) -> None:
    step.facts.append(fact)
    parents = dict.fromkeys(fact.get("parent_steps", ()))
    if fact.kind == "task":
        step.dropped = fact.get("status") == "dropped"
        step.registered = not step.dropped
        step.registered_parents = parents if step.registered else {}
        return
    step.named_parents |= parents
    if fact.kind in _REGISTRATIONS:
        step.registered = True
        return
    step.work.append(fact)
    if not fact.has_effect:  # contract T3: shown
        return
    if fact.kind == "artifact":
        step.artifacts.append(fact)
    elif fact.kind == "claim":
        step.claim = fact
    elif fact.kind == "standby":
        step.standby = fact


def _ref_edges(facts: Sequence[Fact], steps: Mapping[str, _Step]) -> dict[tuple[str, str], None]:
    step_of = {fact.event_id: fact.step or ROOT for fact in facts}
    pairs = ((step_of.get(fact.ref or ""), fact.step or ROOT) for fact in facts)
    return {
        (source, target): None
        for source, target in pairs
        if source is not None and source != target and source in steps and target in steps
    }


def _order(
    steps: Mapping[str, _Step],
    parent_edges: Collection[tuple[str, str]],
    ref_edges: Collection[tuple[str, str]],
) -> list[str]:
    """Parents first. References count too, unless they contradict the parents or each other."""
    knot = knot_numbers(_graph(steps, [*parent_edges, *ref_edges]))
    agreeing = [(source, target) for source, target in ref_edges if knot[source] != knot[target]]
    return ordered(_graph(steps, [*parent_edges, *agreeing]))


def _graph(
    steps: Collection[str], edges: Collection[tuple[str, str]]
) -> dict[str, dict[str, None]]:
    graph: dict[str, dict[str, None]] = {step_id: {} for step_id in steps}
    for source, target in edges:
        graph[source][target] = None
    return graph


def _edges(
    order: Sequence[str],
    parent_edges: Collection[tuple[str, str]],
    ref_edges: Collection[tuple[str, str]],
) -> list[dict[str, str]]:
    place = {step_id: number for number, step_id in enumerate(order)}
    edges = [(source, target, PARENT_STEP) for source, target in parent_edges if source != target]
    edges += [(source, target, REF) for source, target in ref_edges]
    edges.sort(key=lambda edge: (place[edge[0]], place[edge[1]], edge[2]))
    return [
        {"from_step": source, "to_step": target, "kind": kind} for source, target, kind in edges
    ]


def _cycle_warnings(
    steps: Collection[str], parent_edges: Collection[tuple[str, str]]
) -> list[dict[str, str]]:
    return [
        {"code": "cycle", "message": f"steps wait for each other: {' → '.join(path)}"}
        for path in cycles(_graph(steps, parent_edges))
    ]


def _blocked_after(steps: Mapping[str, _Step], live: LiveRun) -> dict[str, str]:
    """What steps that have not landed hang on, although it is blocked: step to the step that is."""
    children: dict[str, list[str]] = {}
    for step in steps.values():
        for parent in step.parents:
            children.setdefault(parent, []).append(step.step_id)
    found: dict[str, str] = {}
    for blocked in live.blocked_steps:
        todo = [blocked]
        while todo:
            one = todo.pop()
            if one in steps and one not in found and not steps[one].artifacts:
                found[one] = blocked
                todo.extend(children.get(one, ()))
    return {step: blocked for step, blocked in found.items() if step != blocked}


def _node(step: _Step, live: LiveRun, now_ms: int, behind: str | None) -> dict[str, Any]:
    status, detail = _status(step, live, now_ms)
    if behind is not None:
        blocker = f"waits for {behind}, blocked by {live.blocked_steps[behind]}"
        detail = f"{detail}; {blocker}" if detail else blocker
    subjects = dict.fromkeys(fact.get("subject") for fact in step.facts)
    speaker = step.claim or next(iter(step.work or step.facts), None)
    return {
        "step_id": step.step_id,
        "status": status,
        "detail": detail,
        "tool": speaker.tool if speaker else None,
        "event_ids": [fact.event_id for fact in step.facts],
        "subjects": [subject for subject in subjects if subject],
        "parents": [parent for parent in step.parents if parent != step.step_id],
        "started_at": step.work[0].get("created_at") if step.work else None,
        "landed_at": step.artifacts[0].get("created_at") if step.artifacts else None,
        "evidence": [entry for fact in step.artifacts for entry in fact.get("evidence", ())],
    }


def _status(step: _Step, live: LiveRun, now_ms: int) -> tuple[str, str]:
    """Landed before stalled before in flight before planned; the detail names every reason."""
    if step.artifacts:
        return "landed", ""
    reasons = _stalls(step, live, now_ms)
    if reasons:
        return "stalled", "; ".join(reasons)
    if not step.work:
        return "planned", "task dropped" if step.dropped else ""
    if step.standby is not None and step.standby.event_id in live.live_standbys:
        return "in_flight", f"standby {step.standby.event_id} waits"
    return "in_flight", ""


def _stalls(step: _Step, live: LiveRun, now_ms: int) -> list[str]:
    reasons = []
    if step.standby is not None:  # the latest one alone: an old wake must not hide a new stall
        cause = _due(step.standby, live, now_ms)
        if cause:
            reasons.append(f"standby {step.standby.event_id} due ({cause})")
    if step.step_id in live.blocked_steps:
        reasons.append(f"blocked by {live.blocked_steps[step.step_id]}")
    if step.step_id not in live.held_steps:
        if step.step_id in live.lapsed_steps:
            reasons.append("claim lapsed")
        elif step.claim is not None and step.claim.event_id in live.lost_claims:
            reasons.append("claim lapsed and was taken over")
        elif step.claim is not None:
            given_back = _reason_of_release(step)
            why = f": {given_back}" if given_back else ""
            reasons.append(f"claim released without an artifact{why}")
    return reasons


def _reason_of_release(step: _Step) -> str:
    """Why the latest holder gave the step back, where that was said."""
    releases = (fact for fact in reversed(step.work) if fact.kind == "release")
    last = next(releases, None)
    return str(last.get("reason", "")) if last is not None else ""


def _due(standby: Fact, live: LiveRun, now_ms: int) -> str | None:
    cause = live.due_standbys.get(standby.event_id)
    if cause or standby.event_id not in live.live_standbys:
        return cause
    # What is due to be fired passes a trust gate (contract P6); a step whose standby does not pass
    # it is stalled all the same once its time is over.
    wake_after = standby.get("wake_after")
    return "time" if wake_after and from_rfc3339(wake_after) <= now_ms else None
