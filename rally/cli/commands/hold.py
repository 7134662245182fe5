"""`rally hold` (contract X4)."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import verb
from rally.cli.console import Console
from rally.cli.options import caller, fields, paths
from rally.cli.plan import OutputClosedError, Takeover
from rally.execution.hold import Hold, InterruptedBySignal, Wanted, claim_fields, signalled
from rally.facilitation.intake import TTL_MS_MAX, TTL_MS_MIN
from rally.model.durations import parse_duration_ms
from rally.model.errors import Interrupted, RallyError

TTL = "5m"
_STDERR = 2


@verb(
    "hold",
    example="rally hold --tool claude:1 --path src/gen/ --wait 60s -- make generate",
    exits={
        0: "done, or the command's own code", 1: "", 2: "", 3: "refused, the command was not started",
        126: "it cannot be executed", 127: "it was not found", 130: "",
    },
    context_settings={"allow_interspersed_args": False},
)  # fmt: skip
@caller
@paths("A path or pattern to hold.")
@fields("resources", "mode", "wait", "subject")
@click.option(
    "--ttl",
    metavar="DURATION",
    default=TTL,
    help=f"The lease, renewed while the command runs (default: {TTL}).",
)
@click.argument("argv", metavar="COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
def hold(*, argv: tuple[str, ...], **options: Any) -> Takeover:
    """Run a command while a claim is held.

    The claim is renewed as long as the command runs, and released at its end, whatever the end was.
    The command runs in the foreground, as if called directly: signals, terminal and standard input are
    its own, and its exit code is passed on (128 + n for signal n). It finds the claim's fence in
    RALLY_FENCE.
    """  # fmt: skip
    console = Console.of(click.get_current_context())
    ttl_ms = parse_duration_ms(options["ttl"], min_ms=TTL_MS_MIN, max_ms=TTL_MS_MAX, name="--ttl")
    for name, variable in (("tool", "RALLY_TOOL"), ("session_id", "RALLY_SESSION_ID")):
        options[name] = options[name] or console.call.env.get(variable)
    claim = {"tool": None, **claim_fields(options, argv)}
    # Standard output is promised to one JSON object (contract O1).
    stdout = _STDERR if console.wants_json else None
    wanted = Wanted(console.root(), claim, ttl_ms, argv, stdout)
    return Takeover(lambda: _hold(console, wanted))


def _hold(console: Console, wanted: Wanted) -> int:
    def warn(message: str) -> None:
        if not console.wants_json:
            console.call.err(f"rally hold: {message}\n".encode(errors="backslashreplace"))

    try:
        held = Hold(wanted, env=console.call.env, clock=console.clock, warn=warn).run()
    except InterruptedBySignal as interrupted:
        code = signalled(interrupted.number)
        return console.fail(Interrupted(code)) if console.wants_json else code
    except RallyError as error:
        return console.fail(error)
    if console.wants_json:
        data = {
            "claim_id": held.claim_id, "fence": held.fence, "exit_code": held.exit_code,
            "lost": held.is_lost,
        }  # fmt: skip
        try:
            console.answer(data, held.warnings)
        except OutputClosedError:
            return held.exit_code
    return held.exit_code
