"""The tasks of a run, from the list of a room's facts alone (contract W5)."""

from __future__ import annotations

from dataclasses import dataclass

from naive import Doc, History, Party, same_owner, step_of
from naive_say import No


@dataclass
class Taking:
    """What `task take` must claim."""

    task: Doc
    paths: list[str]


def registered(history: History, run: str) -> dict[str, Doc]:
    """The run's tasks by id."""
    return {one["step"]: one for one in history.standing("task") if one["run"] == run}


def add(history: History, run: str, asked: Doc) -> list[str]:
    """Kinds that registering a task writes: none when it is known with the same content."""
    known = registered(history, run).get(asked["id"])
    if known is None:
        if asked["id"] in waited_for(history, run, asked["depends_on"]):
            raise No("bad-value")
        return ["task"]
    content = {
        "subject": asked["intent"], "paths": asked["owns"], "parent_steps": asked["depends_on"],
        "data": {"read_only": asked["read_only"], "priority": asked["priority"]},
    }  # fmt: skip
    if any(known.get(name, []) != value for name, value in content.items()):
        raise No("task-exists")
    return []


def waited_for(history: History, run: str, steps: list[str]) -> set[str]:
    """Steps, and all that those of them wait for that are registered and have not landed."""
    found, known = set(steps), registered(history, run)
    while True:
        more = {
            parent
            for step in found & set(known)
            if (run, step) not in history.landed()
            for parent in known[step].get("parent_steps", [])
        }
        if more <= found:
            return found
        found |= more


def ready(history: History, run: str, now_ms: int) -> list[Doc]:
    """Tasks that could be taken, in order: not landed, dependencies landed, held and blocked by
    nobody."""
    landed = history.landed()
    blocked = {step_of(one) for one in history.blockers()}
    held = {step_of(life.claim) for life in history.live_claims(now_ms)}
    found = [
        one
        for one in registered(history, run).values()
        if step_of(one) not in landed | held | blocked
        and all((run, step) in landed for step in one.get("parent_steps", []))
    ]
    return sorted(found, key=lambda one: (one["data"]["priority"], one["seq"]))


def take(history: History, caller: Party, run: str, now_ms: int) -> Taking:
    """The task that the caller must get."""
    for one in ready(history, run, now_ms):
        paths = [] if one["data"]["read_only"] else one.get("paths", [])
        wanted = {"tool": caller[0], "paths": paths, "run": run, "step": one["step"]}
        if caller[1]:
            wanted["session_id"] = caller[1]
        if not history.in_the_way(wanted, now_ms):
            return Taking(one, paths)
    raise No("nothing-ready")


def finish(history: History, caller: Party, run: str, task_id: str) -> list[str]:
    """Kinds that giving a task back writes: the end of each claim by which the caller holds it."""
    mine = [
        "release"
        for life in history.open_claims()
        if step_of(life.claim) == (run, task_id) and same_owner(life.owner(), caller)
    ]
    if mine:
        return mine
    if (run, task_id) in history.landed():
        raise No("already-closed")
    raise No("not-owner" if task_id in registered(history, run) else "unknown-task")
