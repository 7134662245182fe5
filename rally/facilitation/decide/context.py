"""What every decision is given, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rally.facilitation.intake import TTL_MS_DEFAULT, Asked
from rally.facilitation.state.entities import Claim
from rally.facilitation.state.past import Past
from rally.facilitation.state.room import RoomState
from rally.model.clock import to_rfc3339
from rally.model.durations import format_duration
from rally.model.errors import UsageError
from rally.model.fact import Fact


@dataclass(slots=True)
class Decision:
    """Facts to append, in order; the first is the one that was asked for.

    Attributes:
        contents: the fields of each fact, without seq, prev and hash.
        fence: the fence that the caller got, where the decision granted a claim.
        warnings: what the caller should know beside it (contract O1).
        ends: the claims that the facts end.
    """

    contents: list[dict[str, Any]]
    fence: int | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)
    ends: list[Claim] = field(default_factory=list)


@dataclass(slots=True)
class Context:
    """State, time and past of one decision; never changed by it.

    Attributes:
        now_ms: the instant of the decision, never before the newest fact.
        new_id: mints an event id for a kind.
    """

    state: RoomState
    now_ms: int
    past: Past
    new_id: Callable[[str], str]

    def base(self, kind: str, tool: str, session_id: str | None) -> dict[str, Any]:
        """The fields that every fact has."""
        content: dict[str, Any] = {
            "event_id": self.new_id(kind),
            "kind": kind,
            "tool": tool,
            "created_at": to_rfc3339(self.now_ms),
        }
        if session_id:
            content["session_id"] = session_id
        return content

    def begin(self, asked: Asked) -> dict[str, Any]:
        """The fact that was asked for, as far as it needs no decision.

        What was left out has its default, and an id that was given as a seq is the event id.
        """
        content = {**self.base(asked.kind, asked.tool, asked.session_id), **asked.content}
        for name in ("ref", "claim"):
            if name in content and (fact := self.past.fact(content[name])) is not None:
                content[name] = fact.event_id
        match asked.kind:
            case "claim":
                content.setdefault("mode", "exclusive")
                content["ttl"] = format_duration(asked.options.get("ttl_ms", TTL_MS_DEFAULT))
            case "handoff":
                content.setdefault("intent", "work")
                if ack_within_ms := asked.options.get("ack_within_ms"):
                    content["ack_by"] = to_rfc3339(self.now_ms + ack_within_ms)
            case "decision":
                content.setdefault("status", "binding")
            case _:
                pass
        return content

    def known(self, asked_id: str, flag: str, *, durable: bool = False) -> Fact:
        """The fact with this id or seq.

        Args:
            durable: leave out what was decided a moment ago, in the same batch.

        Raises:
            UsageError: `unknown-id`.
        """
        fact = self.past.facts.get(asked_id) if durable else self.past.fact(asked_id)
        if fact is None:
            raise UsageError(
                "unknown-id", f"{flag} names no fact of this room: {asked_id!a}", hint="rally log"
            )
        return fact

    def known_kind(self, asked_id: str, flag: str, kinds: tuple[str, ...]) -> Fact:
        """The fact with this id, of one of these kinds.

        Raises:
            UsageError: `unknown-id` or `wrong-kind`.
        """
        fact = self.known(asked_id, flag)
        if fact.kind not in kinds:
            raise UsageError(
                "wrong-kind",
                f"{flag} {asked_id} is of kind {fact.kind}, and must be of kind {' or '.join(kinds)}",
                hint=f"rally log --kind {kinds[0]}",
            )
        return fact


def warning(code: str, message: str) -> dict[str, str]:
    """One entry of the envelope's `warnings`."""
    return {"code": code, "message": message}
