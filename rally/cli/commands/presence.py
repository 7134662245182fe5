"""`rally enter`, `rally leave`, `rally whoami` (contract P1, P7)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import JSON, verb
from rally.cli.options import caller, fields
from rally.cli.plan import Answered, Ask, Session, Work, given
from rally.cli.standard_input import fill
from rally.cli.text.presence import show_enter, show_exports, show_leave, show_whoami
from rally.model.errors import UsageError


@verb(
    "enter", example="rally enter --tool claude:1 --role reviewer --path src/api/", exits=(0, 1, 2)
)
@caller
@fields("role", "tier", "paths", "subject", "summary", "key")
@click.option(
    "--shell",
    is_flag=True,
    help="Print exports for this shell's session: RALLY_TOOL and RALLY_SESSION_ID.",
)
def enter(*, shell: bool, **options: Any) -> Ask | Work:
    """Come into the room and learn what to know.

    Answers what to do, what not to touch, what was decided, whom to answer, and what is new since
    you last came. Makes the room where there is none.

    With --path only what concerns these paths is shown.

    With --shell every later command of the shell is this session's, and claims are its own:

        eval "$(rally enter --tool claude:1 --shell)"

    A session id is minted unless one is given or in the environment already.
    """
    if not shell:
        return Ask("enter", given(options), show_enter, is_caller=True, reads=("summary",))
    if click.get_current_context().meta.get(JSON):
        raise UsageError(
            "usage", "--shell prints lines for a shell, --json one object: take one of them",
            hint="rally enter --shell",
        )  # fmt: skip
    return Work(lambda session: _enter_shell(session, given(options)), show_exports)


async def _enter_shell(session: Session, options: dict[str, Any]) -> Answered:
    from rally.facilitation.rooms import new_event_id  # loaded by the question below anyway

    params = session.params(options, is_caller=True)
    noted = fill(params, ("summary",), session.call.stdin)
    if not params.get("session_id"):
        params["session_id"] = new_event_id("shell")
    data, warnings = await session.ask("enter", params)
    return data, [*warnings, *noted]


@verb("leave", example="rally leave --tool claude:1", exits=(0, 1, 2))
@caller
@fields("subject", "summary", "reason", "key")
def leave(**options: Any) -> Ask:
    """Leave the room; your claims and standbys end."""
    return Ask("leave", given(options), show_leave, is_caller=True, reads=("summary",))


@verb("whoami", example="rally whoami --tool claude:1", exits=(0, 1, 2))
@caller
def whoami(**options: Any) -> Ask:
    """How the room sees you.

    Which room this is, whether you have entered it, what you hold. Without a tool only where you
    are.
    """
    return Ask("whoami", given(options), show_whoami, is_caller=True)
