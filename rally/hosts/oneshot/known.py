"""The agents that can be called once, by name."""

from __future__ import annotations

from rally.hosts.oneshot import claude, codex, cursor, gemini, opencode
from rally.hosts.oneshot.shape import OneShot

ONE_SHOTS: dict[str, OneShot] = {
    one.host.name: one
    for one in (
        claude.ONE_SHOT,
        codex.ONE_SHOT,
        gemini.ONE_SHOT,
        opencode.ONE_SHOT,
        cursor.ONE_SHOT,
    )
}
