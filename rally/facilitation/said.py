"""What a `say` is answered with."""

from __future__ import annotations

from typing import NamedTuple

from rally.facilitation.decide.context import Decision
from rally.facilitation.intake import Asked
from rally.facilitation.state.entities import Claim
from rally.facilitation.writer import Outcome
from rally.model.fact import Fact


class Said(NamedTuple):
    """The fact that was asked for, and what else is to be known.

    Attributes:
        facts: all that was written, in order; empty for a replay.
        fence: of the claim that was granted.
        ended: the claims that it ended.
    """

    fact: Fact
    facts: list[Fact]
    replayed: bool
    fence: int | None
    warnings: list[dict[str, str]]
    ended: list[Claim]


def outcome_of(decision: Decision, asked: Asked) -> Outcome:
    """A decision as the writer carries it out."""
    return Outcome(
        lambda facts: Said(
            facts[0], facts, False, decision.fence, decision.warnings, decision.ends
        ),
        decision.contents,
        asked.origin,
    )


def replayed(first: Fact, warnings: list[dict[str, str]]) -> Said:
    """The answer to a wish that was granted before (contract F6)."""
    return Said(first, [], True, first.get("fence"), warnings, [])
