"""The open tasks of one run, and which of them could be begun.

What is ready is kept in order while facts arrive, instead of being sorted out whenever somebody asks, so
that taking a task costs the same whether twenty of them are open or two thousand.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from rally.facilitation.state.entities import Task

# Priority, age, id: lower is taken first.
_Rank = tuple[int, int, str]


class Run:
    """A run with registered tasks, kept while any of them has not landed.

    Attributes:
        tasks: by id, in the order in which they were registered; changed by `add` and `remove` only.
        landed: steps of the run that landed, as far as its tasks speak of them, or they were said to
            while it was open; changed by `land` and `unland` only.
    """

    __slots__ = ("_dependents", "_open", "_ranks", "_ready", "landed", "run_id", "tasks")

    def __init__(self, run_id: str, *, landed: Iterable[str] = ()) -> None:
        self.run_id = run_id
        self.tasks: dict[str, Task] = {}
        self.landed: set[str] = set(landed)
        self._dependents: dict[str, dict[str, None]] = {}
        self._open: set[str] = set()
        self._ready: list[_Rank] = []
        # The rank under which each ready task stands in the list above.
        self._ranks: dict[str, _Rank] = {}

    def add(self, task: Task) -> None:
        """Register a task, in the place of an earlier one with the same id."""
        self._detach(task.task_id)
        self.tasks[task.task_id] = task
        for step in task.depends_on:
            self._dependents.setdefault(step, {})[task.task_id] = None
        self._settle(task.task_id)

    def remove(self, task_id: str) -> None:
        """Forget a task; one that is not there is passed over."""
        self._detach(task_id)
        self.tasks.pop(task_id, None)
        self._settle(task_id)

    def land(self, step: str) -> None:
        """A step of the run landed, be it a task's or not."""
        if step not in self.landed:
            self.landed.add(step)
            self._settle_around(step)

    def unland(self, step: str) -> None:
        """What had landed a step was withdrawn."""
        if step in self.landed:
            self.landed.discard(step)
            self._settle_around(step)

    @property
    def finished(self) -> bool:
        """Whether every task has landed."""
        return not self._open

    def dependents(self, step: str) -> Iterable[str]:
        """The tasks that name a step as one to come first."""
        return self._dependents.get(step, ())

    def ready(self) -> Iterator[Task]:
        """Open tasks all of whose dependencies have landed: lower priority first, then the older."""
        return (self.tasks[task_id] for _, _, task_id in self._ready)

    def open_tasks(self) -> list[Task]:
        """All tasks that have not landed, in the same order."""
        return sorted((self.tasks[task_id] for task_id in self._open), key=_rank)

    def _detach(self, task_id: str) -> None:
        known = self.tasks.get(task_id)
        for step in known.depends_on if known is not None else ():
            self._dependents[step].pop(task_id, None)

    def _settle_around(self, step: str) -> None:
        self._settle(step)
        for task_id in self.dependents(step):
            self._settle(task_id)

    def _settle(self, task_id: str) -> None:
        """Put a task among the open and the ready ones, or take it out, as it is now."""
        task = self.tasks.get(task_id)
        known = self._ranks.pop(task_id, None)
        if known is not None:
            del self._ready[bisect_left(self._ready, known)]
        if task is None or task_id in self.landed:
            self._open.discard(task_id)
            return
        self._open.add(task_id)
        if self.landed.issuperset(task.depends_on):
            rank = self._ranks[task_id] = _rank(task)
            insort(self._ready, rank)


def _rank(task: Task) -> _Rank:
    return task.priority, task.fact.seq, task.task_id
