"""What every operation shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rally.facilitation.decide.context import Context, Decision
from rally.facilitation.decide.say import decide
from rally.facilitation.intake import Asked, check_caller
from rally.facilitation.places import Place, canonical_path
from rally.facilitation.said import Said
from rally.facilitation.service import RoomService
from rally.model.errors import UsageError
from rally.model.paths import canonical_text
from rally.model.text import check_tool

Params = Mapping[str, Any]
LIST_LIMIT_DEFAULT = 50
# Set by a watcher for the commands that it runs: its label (contract X1).
WATCH_VARIABLE = "RALLY_WATCH"


class Reply(NamedTuple):
    """The main result of an operation, and what the caller should know beside it."""

    data: dict[str, Any]
    warnings: list[dict[str, str]]


class Ask(NamedTuple):
    """One request: to which room, from where, with what, in which environment."""

    service: RoomService
    place: Place
    params: Params
    env: Mapping[str, str] = MappingProxyType({})

    async def say(
        self, asked: Asked, decider: Callable[[Context, Asked], Decision] = decide
    ) -> Said:
        """Write what was asked for, marked where a watcher's child asks (see `Asked.origin`).

        Raises:
            UsageError: `bad-tool`, for a marker that is no label; or as `RoomService.say`.
        """
        asked.origin = self.origin()
        return await self.service.say(asked, decider)

    def origin(self) -> str | None:
        """What the facts carry that this request leads to: `watch:<label>` from a watcher's child.

        Raises:
            UsageError: `bad-tool`, for a marker that is no label.
        """
        label = self.env.get(WATCH_VARIABLE)
        return f"watch:{check_tool(label, name=WATCH_VARIABLE)}" if label else None

    def caller(self) -> tuple[str, str | None]:
        """The caller's tool and session.

        Raises:
            UsageError: `missing-tool` or `bad-tool`.
        """
        return check_caller(self.params.get("tool"), self.params.get("session_id"))

    def path(self, raw: str) -> str:
        """One path in its canonical form (contract C1).

        Raises:
            UsageError: `path-outside-room`, `bad-path`, `bad-text`, `too-long`.
        """
        return canonical_path(raw, self.place)

    def paths(self) -> tuple[str, ...]:
        """The paths asked about, canonical, each once, in order."""
        return tuple(dict.fromkeys(self.path(raw) for raw in self.params.get("paths") or ()))

    def names(self) -> tuple[str, ...]:
        """The same of files as a repository calls them: relative to the room's root, no link followed.

        Raises:
            UsageError: see `canonical_text`.
        """
        return tuple(
            dict.fromkeys(
                canonical_text(raw, ignore_case=self.place.ignore_case)
                for raw in self.params.get("paths") or ()
            )
        )

    def seq(self, name: str) -> int | None:
        """`--since` or `--until`: a place in the history.

        Raises:
            UsageError: `bad-value`, when it is negative.
        """
        seq = self.params.get(name)
        if seq is not None and seq < 0:
            raise UsageError(
                "bad-value", f"--{name} is {seq}; a seq is 0 or more", hint="rally log"
            )
        return seq

    def limit(self, default: int) -> int:
        """`--limit`: 0 means all.

        Raises:
            UsageError: `bad-value`, when it is negative.
        """
        limit = self.params.get("limit")
        if limit is None:
            return default
        if limit < 0:
            raise UsageError(
                "bad-value", f"--limit is {limit}; it must be 0 (all) or more", hint="--limit 50"
            )
        return int(limit)
