"""`rally doctor`: what is wrong with the surroundings, and the command that puts it right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import click

from rally.cli.command import verb
from rally.cli.doctor import daemon, hooks, machine, room
from rally.cli.doctor.finding import SEVERITIES, Finding, Patient
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.doctor import show_doctor
from rally.model.errors import RallyError

_UNHEALTHY = 1


@verb(
    "doctor",
    example="rally doctor --probe-hooks",
    exits={0: "healthy: at most warnings", 1: "a problem was found", 2: ""},
)
@click.option(
    "--probe-hooks", is_flag=True,
    help="Run the hook commands that are installed, in a room of their own: do they deny?",
)  # fmt: skip
@click.option("--fix", is_flag=True, help="Put right what can be without any risk.")
@click.option("--dry-run", is_flag=True, help="With --fix: say what would be done.")
def doctor(*, probe_hooks: bool, fix: bool, dry_run: bool) -> Work:
    """What is wrong here, and what puts it right.

    Looks at the room, its ledger (all of it) and checkpoint, the daemon, the hooks of each agent, git's
    worktrees, the clock, sockets and versions. It starts no daemon and changes nothing without --fix.
    --fix removes the socket of a dead daemon, sets a damaged checkpoint aside, closes the room's folder
    to others, keeps it out of git, and replaces a daemon of another version. --probe-hooks runs each
    installed command against a scratch room in which somebody holds a path; that proves the command,
    not that the agent calls it.
    """
    options = {"is_probing": probe_hooks, "is_mending": fix, "dry_run": dry_run}
    return Work(partial(_examine, options), show_doctor, _verdict)


async def _examine(options: dict[str, bool], session: Session) -> Answered:
    call = session.call
    patient = Patient(call.env, call.cwd, session.rooms.clock.now_ms())
    override = session.named_room
    found: list[Finding] = []
    for name, part in (
        ("room", lambda: room.examine(patient, override)),
        ("daemon", lambda: daemon.examine(patient)),
        (
            "hooks",
            lambda: hooks.examine(patient, is_probing=options["is_probing"], room=session.room),
        ),
        ("machine", lambda: asyncio.to_thread(machine.examine, patient)),
        ("clock", lambda: machine.clock(patient)),
    ):
        found += await _part(name, part)
    if options["is_mending"] and not options["dry_run"]:
        for finding in found:
            await asyncio.to_thread(_mend, finding)
    found.sort(key=lambda one: SEVERITIES.index(one.severity))
    return _answer(found, patient, options), []


async def _part(name: str, examine: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """One part; what nobody foresaw in it must not hide what the others find."""
    try:
        return await examine()
    except RallyError as error:
        return [Finding(error.code, "problem", name, error.message)]
    except Exception as error:
        what = f"cannot be examined: {type(error).__name__}: {error}"
        return [Finding("internal", "problem", name, what, "rally daemon logs")]


def _mend(finding: Finding) -> None:
    if finding.mend is None:
        return
    try:
        finding.mend()
    except OSError as error:
        finding.message += f"; it was not put right: {error.strerror or error}"
    except RallyError as error:
        finding.message += f"; it was not put right: {error.message}"
    else:
        finding.fixed = True


def _answer(found: list[Finding], patient: Patient, options: dict[str, bool]) -> dict[str, Any]:
    left = [one for one in found if not one.fixed]
    totals = {name: sum(one.severity == name for one in left) for name in SEVERITIES}
    return {
        "healthy": not totals["problem"],
        "room": patient.place.root if patient.place is not None else None,
        "findings": [one.as_json() for one in found],
        "totals": {**totals, "fixed": len(found) - len(left), "findings": len(found)},
        "dry_run": options["is_mending"] and options["dry_run"],
        "probed": options["is_probing"],
        "hooks": [],
        **patient.measured,
    }


def _verdict(data: dict[str, Any]) -> int:
    return 0 if data["healthy"] else _UNHEALTHY
