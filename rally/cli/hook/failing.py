"""What a hook answers when rally could not do its work.

    the words, the payload, the room, the daemon or the ledger is broken   neutral: the tool runs
    the same with --fail-closed, before a write                           blocked, with the reason
    outside any room, or nothing that is written                          neutral, always

Neutral is the host's own word for "nothing to say"; it never approves a call. After a write, and where
a session or a turn begins or ends, there is nothing to block: exit 2 there would mean something
else (at claude's Stop: go on working).
"""

from __future__ import annotations

from collections.abc import Mapping

from rally.cli.hook.journal import note
from rally.cli.hook.request import Request
from rally.hosts.hooks import Answer, Hooks, Moment, blocked_by_exit_code
from rally.hosts.known import HOOKS
from rally.model.visible import one_line

_WHY_CHARS_MAX = 400


def failed(request: Request, why: str, env: Mapping[str, str]) -> Answer:
    """Note why in the log, and answer the host in its own way.

    Args:
        why: what went wrong, for people.
        env: where the log is.
    """
    note(env, request, why)
    hooks = HOOKS.get(request.host)
    if request.fail_closed and _may_block(hooks, request.event):
        reason = (
            f"rally could not check this write, and was told to stop what it cannot check: "
            f"{one_line(why, _WHY_CHARS_MAX)}"
        )
        # Exit 2 is what an unknown host will most likely understand.
        return (hooks.block if hooks else blocked_by_exit_code)(request.event, reason)
    return hooks.neutral if hooks else Answer()


def _may_block(hooks: Hooks | None, event: str) -> bool:
    known = [hooks] if hooks else list(HOOKS.values())
    moments = {one.events[event] for one in known if event in one.events}
    if not moments:
        return hooks is None
    return moments == {Moment.BEFORE_WRITE}
