"""enter, leave, lead, mission: who is here, and what for."""

from __future__ import annotations

from rally.facilitation.decide.context import Context, Decision, warning
from rally.facilitation.intake import Asked
from rally.facilitation.state import leases
from rally.facilitation.state.entities import Lead
from rally.facilitation.state.rules import is_person
from rally.model.clock import to_rfc3339
from rally.model.errors import Refused

LEAD_SILENT_MS = 2 * 3_600_000


def enter(context: Context, asked: Asked) -> Decision:
    """The tool is in the room. Another live session of the same id is accepted with a warning."""
    decision = Decision([context.begin(asked)])
    presence = context.state.tools.get(asked.tool)
    others = [
        session
        for session in (presence.sessions if presence else ())
        if session and asked.session_id and session != asked.session_id
    ]
    if others:
        decision.warnings.append(
            warning(
                "duplicate-tool",
                f"{asked.tool} is here already under session {', '.join(others)}; "
                "two agents should not share one tool id",
            )
        )
    return decision


def leave(context: Context, asked: Asked) -> Decision:
    """Out of the room: own claims and standbys end when the fact is folded."""
    own = leases.own_claims(context.state, asked.tool, asked.session_id)
    return Decision([context.begin(asked)], ends=own)


def lead(context: Context, asked: Asked) -> Decision:
    """Take, give or drop the one seat (contract P10).

    `asked.content["status"]` is `taken`, `given` (to `target`) or `dropped`.

    Raises:
        Refused: `seat-taken` when another holds it and is neither gone nor silent for 2 h; `not-lead`
            when the caller gives or drops a seat that is not its own.
    """
    seat = context.state.lead
    status = asked.content["status"]
    if status == "taken":
        if seat is not None and seat.tool != asked.tool and not _vacant(context, seat):
            raise Refused(
                "seat-taken",
                f"{seat.tool} holds the lead's seat since {to_rfc3339(seat.since_ms)}",
                hint=f"rally say handoff --tool {asked.tool} --target {seat.tool} "
                "--subject 'please give me the lead'",
                details={"holder": seat.tool, "since": to_rfc3339(seat.since_ms)},
            )
    elif seat is None or (seat.tool != asked.tool and not is_person(asked.tool)):
        holder = seat.tool if seat else None
        raise Refused(
            "not-lead",
            f"{asked.tool} does not hold the lead's seat; {holder or 'nobody'} does",
            hint="rally lead" if holder else f"rally lead take --tool {asked.tool}",
            details={"holder": holder},
        )
    decision = Decision([context.begin(asked)])
    target = asked.content.get("target")
    if target and not context.state.is_present(target):
        decision.warnings.append(
            warning(
                "not-entered", f"{target} is not in the room; nobody may sit on the lead's seat"
            )
        )
    return decision


def _vacant(context: Context, seat: Lead) -> bool:
    """Whether the holder of the seat has left, or has written nothing for too long."""
    presence = context.state.tools.get(seat.tool)
    if presence is not None and not presence.present:
        return True
    return context.now_ms - seat.seen_ms >= LEAD_SILENT_MS


def mission(context: Context, asked: Asked) -> Decision:
    """Set the room's goal; the newest counts."""
    return Decision([context.begin(asked)])
