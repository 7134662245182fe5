"""`rally loop`: one task, carried out by an agent and landed only when the evidence says so."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import verb
from rally.cli.options import needed_run, run_name
from rally.cli.plan import Answered, Session, Work, given
from rally.cli.text.loop import show_loop
from rally.hosts.known import HOSTS

TIMEOUT = "30m"


@verb(
    "loop",
    example="rally loop --run api-2 --tool claude:1 --agent claude",
    exits={
        0: "the task passed and has landed", 1: "rally, the machine or the agent's installation failed",
        2: "", 3: "it did not pass, or nothing could be taken", 130: "",
    },
    context_settings={"allow_interspersed_args": False},
)  # fmt: skip
@run_name("The run.")
@click.option("--id", metavar="ID", help="This task (default: the next one that is ready).")
@click.option("--tool", metavar="ID", help="Who holds the task (default: RALLY_TOOL).")
@click.option("--session-id", metavar="ID", help="A session of the tool (default: one of its own).")
@click.option("--agent", metavar="|".join(HOSTS), help="A known agent, called once.")
@click.option(
    "--judge",
    metavar="COMMAND",
    help="Ask this whether the intent was met; JSON on standard input.",
)
@click.option("--timeout", metavar="DURATION", help=f"Time for each program (default: {TIMEOUT}).")
@click.option("--dry-run", is_flag=True, help="Tell what would be run; run and write nothing.")
@click.argument("argv", metavar="COMMAND", nargs=-1, type=click.UNPROCESSED)
def loop(*, run: str | None, argv: tuple[str, ...], **options: Any) -> Work:
    """Have an agent carry one task out, and land it only when the evidence says so.

    Takes the task, gives its packet to the agent on standard input, runs the validation itself, and
    checks five things: the validation passed, what the output names is there, only owned paths
    changed according to git, the judge says that the intent was met, the agent's report is true. What
    is wrong goes back to the agent once; then a blocker is said and the task is given back.

    COMMAND is any program that reads a prompt and prints one JSON object last: task, changed_files,
    validation_result. With --agent it is further arguments of that agent.
    """
    params = {**given(options), "run": needed_run(run), "argv": argv}

    async def work(session: Session) -> Answered:
        from rally.cli.loop import loop as carry_out

        return await carry_out(session, params, session.place())

    return Work(work, show_loop, lambda data: 0 if data.get("verdict", "passed") == "passed" else 3)
