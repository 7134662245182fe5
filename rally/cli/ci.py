"""What the checks for CI share: their formats, and that there is a ledger to check against.

A checkout in CI has no ledger, for it is not in git. A room without facts answers that nothing is
claimed, which would make every job green; so a check that reports to CI fails there (contract K0).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import click

from rally.cli.command import JSON
from rally.cli.plan import Session
from rally.model.errors import Failure
from rally.model.text import check_choice

FORMATS = ("text", "json", "github")
F = TypeVar("F", bound=Callable[..., Any])
AskRoom = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


def formats(function: F) -> F:
    """`--format`, as the parameter `form`."""
    return click.option(
        "--format", "form", metavar="|".join(FORMATS), default="text",
        help="github: annotations of a workflow; fails where there is no ledger (default: text).",
    )(function)  # fmt: skip


def is_github(form: str) -> bool:
    """Whether a format is GitHub's; `json` is the same as --json.

    Raises:
        UsageError: `bad-value`, there is no such format.
    """
    check_choice(form, "--format", FORMATS)
    meta = click.get_current_context().meta
    if form == "json":
        meta[JSON] = True
    return form == "github" and not meta.get(JSON)


async def check_ledger(ask: AskRoom, session: Session) -> None:
    """Make sure that there is something to check against.

    Raises:
        Failure: `unavailable`; the room holds no fact.
    """
    seen = await ask("whoami", {})
    if seen["head"] == 0:
        raise Failure(
            "unavailable",
            f"there is no ledger in {seen['room']}, so nothing can be checked against it",
            hint="RALLY_ROOM=<folder of the room>; see docs/git.md, in CI"
            if session.named_room is None
            else "rally init, in the room's folder",
            details={"room": seen["room"]},
        )
