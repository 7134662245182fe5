"""task add and task start: the doors through which tasks of a run are registered (contract W4, W5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rally.facilitation.decide import registration as deciding
from rally.facilitation.decide.context import Context, warning
from rally.facilitation.decide.registration import History, LookAgainError, Registration
from rally.facilitation.intake import Asked, admit, check_caller
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import Ask, Params, Reply
from rally.facilitation.places import Place, canonical_path
from rally.facilitation.service import RoomService
from rally.facilitation.state.past import Wants
from rally.facilitation.task_facts import show_task, wish_of
from rally.facilitation.writer import Job, Outcome
from rally.model.errors import Failure, UsageError
from rally.model.fact import Fact
from rally.model.text import check_identity

REGISTRATIONS = frozenset({"run", "task"})
_LOOKS_MAX = 10

# What was decided (None: look again), and the facts that were written.
Done = tuple[Registration | None, list[Fact]]


def run_of(params: Params) -> str:
    """The run that is named.

    Raises:
        UsageError: `missing-field`, or what is wrong with it.
    """
    run = params.get("run")
    if not run:
        raise UsageError("missing-field", "--run is missing", hint="--run RUN")
    return check_identity(str(run), "--run")


def wishes(place: Place, params: Params) -> list[Asked]:
    """The checked wishes behind `add` or `start`, for the latter with the run's own first.

    Raises:
        UsageError: whatever is wrong with them.
    """
    caller = check_caller(params.get("tool"), params.get("session_id"))
    run = run_of(params)

    def canonical(raw: str) -> str:
        return canonical_path(raw, place)

    if params.get("action") == "add":
        return [wish_of(params, run, caller, canonical)]
    entries = params.get("tasks") or ()
    if not entries:
        raise UsageError("missing-field", "a run needs tasks", hint="rally workstream lint FILE")
    name = params.get("workstream")
    if not name:
        raise UsageError("missing-field", "the workstream's name is missing", hint="workstream")
    thread = params.get("thread")
    given = {
        "subject": name, "summary": params.get("description"), "run": run, "thread": thread,
        "data": {"digest": str(params.get("digest", "")), "tasks": len(entries)},
    }  # fmt: skip
    asked = admit("note", caller, given, canonical)
    asked.kind = "run"
    tasks = [wish_of({"thread": thread, **one}, run, caller, canonical) for one in entries]
    steps = {one.content["step"] for one in tasks}
    if len(steps) < len(tasks):
        raise UsageError("bad-value", "two tasks have the same id", hint="rally workstream lint")
    return [asked, *tasks]


async def add(ask: Ask) -> Reply:
    """Register one task; the same task again answers the first fact.

    Raises:
        Refused: `task-exists`.
    """
    (asked,) = wishes(ask.place, ask.params)
    (done, facts), warnings = await _submit(
        ask, [asked], lambda context: deciding.register(context, [asked])
    )
    assert done is not None
    fact = facts[0] if facts else done.known[asked.content["step"]]
    data = {"action": "add", "task": show_task(fact), "fact": fact.doc, "replayed": not facts}
    for step in await _strangers(ask.service, fact):
        told = f"run {fact.run} has no task {step} yet; {fact.step} waits until one has landed"
        warnings.append(warning("unknown-dependency", told))
    return Reply(data, warnings)


async def _strangers(service: RoomService, task: Fact) -> list[str]:
    """What a task depends on and nobody has registered or landed: it may be a slip of the pen."""
    run_id = task.run or ""
    run = service.state.runs.get(run_id)
    known = {*run.tasks, *run.landed} if run is not None else set()
    asked = [step for step in task.doc.get("parent_steps", ()) if step not in known]
    landed = await service.ledger.landings([(run_id, step) for step in asked])
    strangers = []
    for step in asked:
        query = FactQuery(kinds=frozenset({"task"}), run=run_id, step=step, hide_retracted=True)
        if not landed[run_id, step] and not await service.ledger.count(query):
            strangers.append(step)
    return strangers


async def start(ask: Ask) -> Reply:
    """Register a run and all its tasks in one transaction (contract W4); repeatable.

    Raises:
        Refused: `run-exists`, `task-exists`; nothing was written.
    """
    run, *tasks = wishes(ask.place, ask.params)
    run_id = run.content["run"]
    for _ in range(_LOOKS_MAX):
        history = await _history(ask.service, run_id)
        key = await _key(ask.service, run_id, history)
        if key is None:
            continue
        run.content["key"] = key
        # Only what is new is asked of the past; of two thousand tasks that landed long ago, history
        # knows all that matters.
        unknown = [one for one in tasks if one.content["step"] not in history.tasks]
        (done, facts), warnings = await _submit(ask, [run, *unknown], _starter(run, tasks, history))
        if done is not None:
            break
    else:
        raise Failure("busy", f"run {run_id} kept changing; gave up", hint="try again")
    fact = next((fact for fact in facts if fact.kind == "run"), history.run)
    data = {
        "action": "start",
        "run": run_id,
        "workstream": run.content["subject"],
        "registered": [fact.step for fact in facts if fact.kind == "task"],
        "already": list(done.known),
        "replayed": not facts,
        "fact": fact.doc if fact is not None else None,
    }
    return Reply(data, warnings)


def _starter(
    run: Asked, tasks: list[Asked], history: History
) -> Callable[[Context], Registration | None]:
    def decide(context: Context) -> Registration | None:
        try:
            return deciding.start(context, run, tasks, history)
        except LookAgainError:
            return None

    return decide


async def _submit(
    ask: Ask, wanting: Iterable[Asked], decide: Callable[[Context], Registration | None]
) -> tuple[Done, list[dict[str, str]]]:
    """Decide and append as one job of the writer."""
    wants = Wants()
    for one in wanting:
        wants.add(one.kind, one.content)
    origin = ask.origin()

    def run(context: Context) -> Outcome:
        done = decide(context)
        contents = done.contents if done is not None else []
        return Outcome(lambda facts: (done, facts), contents, origin)

    job = Job(run, wants, renews=ask.caller())
    answer: Done = await ask.service.writer.submit(job)
    return answer, job.warnings


async def _history(service: RoomService, run_id: str) -> History:
    """What the ledger says of the run's registrations."""
    head = await service.ledger.head()
    facts = await service.ledger.select(FactQuery(kinds=REGISTRATIONS, run=run_id))
    gone = await service.ledger.retracted([fact.event_id for fact in facts])
    known = History(head.seq)
    for fact in facts:
        if not fact.has_effect:
            continue
        if fact.kind == "run":
            known.run = known.run if fact.event_id in gone else fact
        elif fact.event_id in gone:
            known.withdrawn.add(fact.step or "")
        else:
            known.tasks[fact.step or ""] = fact
    known.withdrawn -= known.tasks.keys()
    return known


async def _key(service: RoomService, run_id: str, history: History) -> str | None:
    """The key of the run fact in force, or else one that no fact has.

    None: a start that the history does not know has a key already; the history is to be read again.
    Another key instead would let both of them start the run.
    """
    if history.run is not None and history.run.get("key"):
        return str(history.run.doc["key"])
    key = f"run:{run_id}"
    while found := (await service.ledger.by_key([key])).get(key):
        if found.seq > history.seen_to:
            return None
        key = f"run:{run_id}~{found.event_id}"
    return key


async def run_in_force(service: RoomService, run_id: str) -> Fact | None:
    """The `run` fact of a run, less what was withdrawn or came from another machine; None without one.

    Found by its key: a run's facts are many, and this is asked whenever a task is taken.
    """
    key = f"run:{run_id}"
    while found := (await service.ledger.by_key([key])).get(key):
        counts = found.kind == "run" and found.has_effect
        if counts and not await service.ledger.retracted([found.event_id]):
            return found
        key = f"run:{run_id}~{found.event_id}"
    return None
