"""`rally workstream` (contract W1 to W4, W6).

`verify` starts processes, so the whole group runs in the caller's process and the daemon never loads
it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from rally.cli.backend import ask
from rally.cli.command import JSON, NUMBER, Entry, VerbGroup, verb
from rally.cli.options import caller, needed_run, run_name
from rally.cli.plan import Answered, Session, Text, Warnings, Work, given
from rally.cli.text import workstream as text
from rally.model.errors import RallyError, UsageError
from rally.model.text import check_choice

if TYPE_CHECKING:
    from rally.workstream.lint import Report

# Of thousands of warnings of one kind so many are told; the answer itself lists all.
_TOLD_MAX = 20
LINT_FORMATS = ("text", "json", "sarif")
PACKET_FORMATS = ("text", "json")

ACTIONS = (
    Entry("lint", f"{__name__}:lint", "Everything that is wrong with a descriptor, at once."),
    Entry("packet", f"{__name__}:packet", "One prompt for each task."),
    Entry("start", f"{__name__}:start", "Register a run and its tasks."),
    Entry("status", f"{__name__}:status", "What is done, claimed, pending and to be dispatched."),
    Entry("verify", f"{__name__}:verify", "Run the validations of what has landed again."),
    Entry("schema", f"{__name__}:schema", "The JSON Schema of a descriptor."),
)

workstream = VerbGroup(
    "workstream",
    entries=ACTIONS,
    help="""Plan a fan-out and follow it: lint, packets, start, status, verify.

A descriptor is a JSON file with a list of tasks: what each is to do, which paths it owns, what it
builds on, and the command that proves it. See docs/workstreams.md.""",
    example="rally workstream lint plan.json",
    exits=(0, 1, 2, 3, 4),
)

_file = click.argument("file", metavar="FILE")
_run = run_name("The run.")


def _form(form: str | None, choices: tuple[str, ...]) -> str:
    form = check_choice(form or "text", "--format", choices)
    if form == "json":
        click.get_current_context().meta[JSON] = True
    return form


def _read(session: Session, file: str, how: str, **more: Any) -> Report:
    """lint's report on a file: any (`lint_file`), or a clean one (`clean_file`)."""
    from rally.workstream import files  # pydantic, and only who reads a descriptor needs it

    call = session.call
    read: Callable[..., Report] = getattr(files, how)
    return read(file, session.place(), cwd=call.cwd, stdin=call.stdin, **more)


def _noted(report: Report, *, all_of_them: bool = False) -> Warnings:
    """lint's warnings, the first of each code; missing paths concern only who asks for lint."""
    told: Counter[str] = Counter()
    noted = []
    for one in report.warnings:
        told[one.code] += 1
        if told[one.code] <= _TOLD_MAX and (all_of_them or one.code != "missing-path"):
            message = f"{one.task}: {one.message}" if one.task else one.message
            noted.append({"code": one.code, "message": message})
    for code, number in told.items():
        if number > _TOLD_MAX and (all_of_them or code != "missing-path"):
            more = {"code": code, "message": f"{number - _TOLD_MAX} more of the kind {code}"}
            noted.append(more)
    return noted


async def _live_claims(session: Session) -> tuple[list[dict[str, Any]], Warnings]:
    """Who holds what in the room now; a room that cannot be asked is warned of, for lint needs none."""
    from rally.facilitation.ledger.folder import has_room  # only who reads a descriptor

    if not has_room(session.place().root):
        return [], []
    try:
        data, _ = await ask(session, "room", session.params({"limit": 0}, is_caller=False))
    except RallyError as error:
        message = f"nobody's claims were compared: {error.message}"
        return [], [{"code": error.code, "message": message}]
    return data["active_claims"], []


# -- lint ---------------------------------------------------------------------------------------------


@verb(
    "lint",
    example="rally workstream lint plan.json",
    exits={0: "clean", 1: "violations", 2: "unreadable"},
)
@_file
@click.option("--format", "form", metavar="|".join(LINT_FORMATS), help="How to answer.")
def lint(*, file: str, form: str | None) -> Work:
    """Everything that is wrong with a descriptor, at once.

    Boundaries that overlap, dependencies on nothing and in a circle, validations that depend on time
    or chance, and every value that is not what it should be. FILE may be - for standard input.
    """
    form = _form(form, LINT_FORMATS)

    async def run(session: Session) -> Answered:
        claims, unknown = await _live_claims(session)
        report = _read(session, file, "lint_file", claims=claims)
        data: dict[str, Any] = {
            "action": "lint",
            "file": file,
            "clean": report.clean,
            "violations": [one.as_json() for one in report.violations],
            "warnings": [one.as_json() for one in report.warnings],
        }
        if form == "sarif":
            from rally.workstream.sarif import sarif

            data["sarif"] = sarif(report, file)
        return data, [*_noted(report, all_of_them=True), *unknown]

    return Work(run, text.show_lint, lambda data: 0 if data["clean"] else 1)


# -- packet -------------------------------------------------------------------------------------------


@verb(
    "packet",
    example="rally workstream packet plan.json --run api-2 --out packets/",
    exits=(0, 1, 2),
)
@_file
@_run
@click.option("--task", metavar="ID", help="Of this task only.")
@click.option("--out", metavar="DIR", help="Write each packet to DIR/<task id>.md.")
@click.option(
    "--tool-prefix",
    "prefix",
    metavar="NAME",
    default="agent",
    help="Tool ids are NAME:<task id> (default: agent).",
)
@click.option("--format", "form", metavar="|".join(PACKET_FORMATS), help="How to answer.")
def packet(*, file: str, run: str | None, form: str | None, **options: Any) -> Work:
    """One prompt for each task: what to do, within which boundary, with every command filled in.

    The same descriptor gives the same bytes. A descriptor that does not lint clean is refused.
    """
    _form(form, PACKET_FORMATS)
    run_id, out = needed_run(run), options["out"]
    if out == "":
        # A variable without a value, and no wish to fill the folder that one happens to be in.
        raise UsageError("missing-field", "--out is empty", hint="--out packets/")

    async def make(session: Session) -> Answered:
        from rally.workstream.packet import packets, write_packets

        report = _read(session, file, "clean_file")
        made = packets(report, run_id, task=options["task"], prefix=options["prefix"])
        entries = [one._asdict() for one in made]
        if out is not None:
            files = write_packets(made, os.path.join(session.call.cwd, out))
            entries = [{**entry, "file": one} for entry, one in zip(entries, files, strict=True)]
        data = {"action": "packet", "run": run_id, "packets": entries, "out": out}
        return data, _noted(report)

    return Work(make, text.show_packets)


# -- start --------------------------------------------------------------------------------------------


@verb(
    "start",
    example="rally workstream start plan.json --run api-2 --tool claude:1",
    exits=(0, 1, 2, 3),
)
@_file
@_run
@caller
def start(*, file: str, run: str | None, **options: Any) -> Work:
    """Register a run and its tasks, all of them or none.

    Doing it again with the same descriptor changes nothing. A changed one needs a run of its own, or
    `rally task add` for what is new.
    """
    run_id = needed_run(run)

    async def register(session: Session) -> Answered:
        from rally.workstream.files import start_params

        report = _read(session, file, "clean_file")
        params = session.params({**given(options), **start_params(report, run_id)}, is_caller=True)
        data, warnings = await session.ask("task", params)
        return data, [*_noted(report), *warnings]

    return Work(register, text.show_start)


# -- status -------------------------------------------------------------------------------------------


@verb(
    "status",
    example="rally workstream status --run api-2",
    exits={0: "complete", 1: "", 2: "", 3: "work remains"},
)
@click.argument("file", metavar="FILE", required=False)
@_run
def status(*, file: str | None, run: str | None) -> Work:
    """What is done, claimed, pending and to be dispatched.

    With FILE also for tasks that nobody registered. An agent can be sent to what is to be
    dispatched: its dependencies have landed, and nobody holds it or sleeps over it.
    """
    run_id = needed_run(run)

    async def sum_up(session: Session) -> Answered:
        from rally.workstream.status import progress

        params: dict[str, Any] = {"action": "list", "run": run_id}
        noted: Warnings = []
        if file is not None:
            report = _read(session, file, "clean_file")
            assert report.descriptor is not None
            noted = _noted(report)
            params["steps"] = [
                {"id": one.id, "depends_on": list(one.depends_on)}
                for one in report.descriptor.tasks
            ]
        data, warnings = await ask(session, "task", session.params(params, is_caller=False))
        if not data["tasks"]:
            message = f"run {run_id} has no tasks"
            noted.append({"code": "empty-run", "message": message})
        return {"action": "status", **progress(run_id, data["tasks"])}, [*noted, *warnings]

    return Work(sum_up, text.show_status, lambda data: 0 if data["complete"] else 3)


# -- verify -------------------------------------------------------------------------------------------

_VERDICTS = {"complete": 0, "incomplete": 3, "unverified": 3, "broken": 4}


@verb(
    "verify",
    example="rally workstream verify --run api-2 --at HEAD",
    exits={
        0: "all landed and hold", 1: "", 2: "", 3: "work remains, or nothing shows that it holds",
        4: "something no longer holds",
    },
)  # fmt: skip
@click.argument("file", metavar="FILE", required=False)
@_run
@click.option("--step", metavar="ID", help="Only this step.")
@click.option("--at", metavar="COMMIT", help="In a clean working tree of this commit.")
@click.option("--jobs", type=NUMBER, help="Validations at one time (default: 4).")
@click.option("--timeout", metavar="DURATION", help="Time for each validation (default: 10m).")
@click.option("--dry-run", is_flag=True, help="Tell what would be run; write nothing.")
@caller
def verify(*, file: str | None, run: str | None, **options: Any) -> Work:
    """Run the validations of what has landed again.

    In the room's root, or in a clean working tree of a commit. Each outcome is recorded as a note of
    the step, by --tool (default: verify). With FILE also for tasks that nobody registered.
    """
    run_id = needed_run(run)
    wished = {**given(options), "run": run_id}

    async def work(session: Session) -> Answered:
        from rally.cli.verify import verify_run

        noted: Warnings = []
        described: tuple[dict[str, Any], ...] = ()
        if file is not None:
            report = _read(session, file, "clean_file")
            assert report.descriptor is not None
            noted = _noted(report)
            described = tuple(
                {"id": one.id, "depends_on": one.depends_on, "validation": one.validation}
                for one in report.descriptor.tasks
            )
        data, warnings = await verify_run(session, wished, session.place().root, described)
        return data, [*noted, *warnings]

    return Work(work, text.show_verify, lambda data: _VERDICTS.get(data.get("verdict", ""), 0))


# -- schema -------------------------------------------------------------------------------------------


@verb("schema", example="rally workstream schema", exits=(0, 1, 2))
def schema() -> Text:
    """The JSON Schema of a descriptor."""
    from rally.cli.text.workstream import document
    from rally.workstream.descriptor import schema as describe

    described = describe()
    return Text(document(described), {"action": "schema", "schema": described})
