"""News in batches: one command for all facts that came since the last one (contract X1).

What counts as news is decided in `is_news`. A watcher's own children never count: the facts that they
say carry its label. Two watchers that answer each other's facts would still never come to rest, so
the pause between two batches doubles for as long as the room does not become quiet in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Doc = dict[str, Any]


class Batch(NamedTuple):
    """Facts that are dealt with by one command.

    Attributes:
        first_seq, last_seq: the first and the last of them.
        facts: how many there are.
    """

    first_seq: int
    last_seq: int
    facts: int


def origin_of(label: str) -> str:
    """What the facts of a watcher's children carry (see `facilitation.ops.common`)."""
    return f"watch:{label}"


def is_news(fact: Doc, label: str) -> bool:
    """Whether a fact is activity for the watcher with this label.

    Not what its own children, or itself, said; not the keeping of leases; and not what came from
    other machines unchecked, which runs nothing (contract T3).
    """
    return (
        fact["kind"] != "renew"
        and fact.get("origin") != origin_of(label)
        and fact.get("trust") != "untrusted"
    )


def gathered(batch: Batch | None, facts: Iterable[Doc], label: str) -> Batch | None:
    """The batch with those of the facts that are news; None where there are none at all."""
    for fact in facts:
        if is_news(fact, label):
            seq = fact["seq"]
            first = batch.first_seq if batch else seq
            batch = Batch(first, seq, batch.facts + 1 if batch else 1)
    return batch


class Pace:
    """When the next batch may begin.

    The first comes at once. After each there is a pause; a batch that waited for the end of the pause,
    or came right behind it, makes the next pause twice as long, a quiet spell makes it short again.

    Args:
        shortest_ms, longest_ms: of the pauses.
    """

    def __init__(self, *, shortest_ms: int, longest_ms: int) -> None:
        self._shortest_ms = shortest_ms
        self._longest_ms = longest_ms
        self._pause_ms = shortest_ms
        self._ended_ms: int | None = None

    def next_ms(self) -> int:
        """The instant before which no batch begins; 0 where none did yet."""
        return 0 if self._ended_ms is None else self._ended_ms + self._pause_ms

    def begin(self, now_ms: int) -> None:
        """A batch begins."""
        if self._ended_ms is None:
            return
        if now_ms - self._ended_ms < 2 * self._pause_ms:
            self._pause_ms = min(2 * self._pause_ms, self._longest_ms)
        else:
            self._pause_ms = self._shortest_ms

    def end(self, now_ms: int) -> None:
        """It is over."""
        self._ended_ms = now_ms
