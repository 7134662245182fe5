"""A room in four numbers: what `status` lists of each room, and `ui` shows of this one."""

from __future__ import annotations

from rally.facilitation.projections.wake_due import wake_due
from rally.facilitation.state.leases import binds
from rally.facilitation.state.room import RoomState


def summary(state: RoomState, now_ms: int) -> dict[str, int]:
    """How many claims bind, blockers are open, standbys are due, and tools are present."""
    return {
        "claims": sum(binds(claim, now_ms) for claim in state.claims.values()),
        "blockers": len(state.blockers),
        "due": len(wake_due(state, now_ms)),
        "tools": sum(presence.present for presence in state.tools.values()),
    }
