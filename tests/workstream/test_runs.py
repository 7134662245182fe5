"""What is ready is kept in order while facts arrive; this is what it must come to (contract P3, W5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rally.facilitation.state.dump import dump, load
from rally.facilitation.state.entities import Task
from rally.facilitation.state.room import RoomState
from rally.facilitation.state.runs import Run
from rally.model.fact import GENESIS, seal

IDS = ("a", "b", "c", "d", "e")

moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"), st.sampled_from(IDS), st.integers(-2, 2),
            st.lists(st.sampled_from(IDS), max_size=3, unique=True),
        ),
        st.tuples(st.sampled_from(["remove", "land", "unland"]), st.sampled_from(IDS)),
    ),
    max_size=40,
)  # fmt: skip


def made(seq: int, task_id: str, priority: int, depends_on: list[str]) -> Task:
    """A task as the fold makes it."""
    content = {"event_id": f"e{seq}", "kind": "task", "tool": "x", "run": "r", "step": task_id}
    return Task(task_id, seal(content, seq=seq, prev=GENESIS), tuple(depends_on), priority, False)


@given(moves)
def test_ready_is_what_it_would_be_if_all_were_looked_at(moves: list[tuple[object, ...]]) -> None:
    """Whatever was registered, withdrawn, landed and taken back, in whatever order."""
    run = Run("r")
    tasks: dict[str, Task] = {}
    landed: set[str] = set()
    for seq, (move, *values) in enumerate(moves, 1):
        task_id = str(values[0])
        if move == "add":
            task = made(seq, *values)  # type: ignore[arg-type]
            tasks[task_id] = task
            run.add(task)
        elif move == "remove":
            tasks.pop(task_id, None)
            run.remove(task_id)
        elif move == "land":
            landed.add(task_id)
            run.land(task_id)
        else:
            landed.discard(task_id)
            run.unland(task_id)
        waiting = [one for one in tasks.values() if one.task_id not in landed]
        waiting.sort(key=lambda one: (one.priority, one.fact.seq))
        ready = [one for one in waiting if landed.issuperset(one.depends_on)]
        assert list(run.tasks.items()) == list(tasks.items())
        assert run.open_tasks() == waiting
        assert list(run.ready()) == ready
        assert run.finished == (not waiting)
        for step in IDS:
            named = {one.task_id for one in tasks.values() if step in one.depends_on}
            assert set(run.dependents(step)) == named
    state = RoomState()
    state.runs["r"] = run
    again = load(dump(state)).runs["r"]
    assert list(again.ready()) == list(run.ready())
    assert again.finished == run.finished
