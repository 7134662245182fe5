"""`rally check` and `rally check-ci` (contract K1-K6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from rally.cli.ci import check_ledger, formats, is_github
from rally.cli.command import NUMBER, Entry, VerbGroup, verb
from rally.cli.options import caller, limit, paths, run_name, strict
from rally.cli.plan import Answered, Ask, Session, Work, given
from rally.cli.text.check import show_check, show_ci
from rally.cli.text.github import show_github
from rally.model.errors import EXIT_OK, EXIT_STRICT_STOP

EXITS = (0, 1, 2, 4)
# What reads git is in a module of its own, which the daemon never loads.
_GIT = "rally.cli.commands.check_git"

PHASES = (
    Entry("before-write", f"{__name__}:before_write", "May these paths be written now?"),
    Entry("before-complete", f"{__name__}:before_complete", "May you say that you are done?"),
    Entry(
        "before-commit", f"{_GIT}:before_commit", "May what is staged in git be committed?",
        is_client=True,
    ),
    Entry(
        "range", f"{_GIT}:commit_range", "May what these commits changed have been written?",
        is_client=True,
    ),
)  # fmt: skip

check = VerbGroup(
    "check",
    entries=PHASES,
    help="""Ask before you write, complete or commit.

The answer is `allow` or `stop`, with the findings behind it. Only --strict makes a stop exit 4;
a check that cannot be answered is exit 1 and never an allow. A check writes nothing but the
renewal of your own leases.""",
    example="rally check before-write --tool claude:1 --path src/api/users.py --strict",
    exits=EXITS,
)


def verdict(data: dict[str, Any]) -> int:
    """Exit 4 exactly for a stop in strict mode (contract O3)."""
    return EXIT_STRICT_STOP if data["mode"] == "strict" and not data["allow"] else EXIT_OK


@verb(
    "before-write",
    example="rally check before-write --tool claude:1 --path src/api/users.py --strict",
    exits=EXITS,
    is_sparse=True,
)
@caller
@paths("A path that is to be written.")
@strict("Exit 4 when anything says stop.")
@click.option("--fence", type=NUMBER, help="The fence of your claim; a stop once that has ended.")
@run_name("The run of the step.")
@click.option("--step", metavar="STEP", help="The step that you work on; its claim is the measure.")
@click.option("--require-claim", is_flag=True, help="A path without a claim of yours is a stop.")
def before_write(**options: Any) -> Ask:
    """May these paths be written now?"""
    return _check("before-write", options)


@verb(
    "before-complete", example="rally check before-complete --tool claude:1 --strict", exits=EXITS
)
@caller
@strict("Exit 4 when you still hold a claim.")
def before_complete(**options: Any) -> Ask:
    """May you say that you are done?

    A claim that you still hold is a stop; handoffs to you are warnings, and so
    are blockers: yours, those on your claims, and those that name no path.
    """
    return _check("before-complete", options)


@verb(
    "check-ci",
    example="rally check-ci --strict",
    exits={0: "", 1: "", 2: "", 4: "a finding, with --strict"},
)
@strict("Exit 4 when there is any finding.")
@limit(50)
@formats
def check_ci(*, form: str, **options: Any) -> Ask | Work:
    """What should not be open when work is merged.

    Open blockers, overdue handoffs, lapsed claims, artifacts without evidence.
    """
    if is_github(form):
        return Work(partial(_ci_in_github, given(options)), show_github({}), ci_verdict)
    return Ask("check-ci", given(options), show_ci, verdict=ci_verdict)


async def _ci_in_github(options: dict[str, Any], session: Session) -> Answered:
    async def ask(op: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return (await session.ask(op, session.params(params, is_caller=False)))[0]

    await check_ledger(ask, session)
    return await session.ask("check-ci", session.params(options, is_caller=False))


def ci_verdict(data: dict[str, Any]) -> int:
    """Exit 4 exactly for a finding in strict mode (contract K6)."""
    return EXIT_STRICT_STOP if data["mode"] == "strict" and data["findings"] else EXIT_OK


def _check(phase: str, options: dict[str, Any]) -> Ask:
    params = {"phase": phase, **given(options)}
    return Ask("check", params, show_check, verdict=verdict, is_caller=True)
