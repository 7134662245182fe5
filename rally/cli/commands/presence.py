"""`rally enter`, `rally leave`, `rally whoami` (contract P1, P7)."""

from __future__ import annotations

from typing import Any

from rally.cli.command import verb
from rally.cli.options import caller, fields
from rally.cli.plan import Ask, given
from rally.cli.text.presence import show_enter, show_leave, show_whoami


@verb(
    "enter", example="rally enter --tool claude:1 --role reviewer --path src/api/", exits=(0, 1, 2)
)
@caller
@fields("role", "tier", "paths", "subject", "summary", "key")
def enter(**options: Any) -> Ask:
    """Come into the room and learn what to know.

    Answers what to do, what not to touch, what was decided, whom to answer, and what is new since
    you last came. Makes the room where there is none.

    With --path only what concerns these paths is shown.
    """
    return Ask("enter", given(options), show_enter, is_caller=True, reads=("summary",))


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
