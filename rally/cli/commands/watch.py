"""`rally watch` (contract X1)."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from rally.cli.command import NUMBER, verb
from rally.cli.console import Console
from rally.cli.live_line import LiveLine
from rally.cli.options import shell_command
from rally.cli.plan import OutputClosedError, OutputFailedError, Takeover, Text
from rally.execution.reporter import Reporter
from rally.execution.units import UNITS, print_unit
from rally.execution.watcher import Watcher, Wishes
from rally.model.durations import parse_duration_ms
from rally.model.errors import UsageError
from rally.model.kinds import KIND_BY_NAME
from rally.model.text import check_tool, nearest

LABEL = "watch"
INTERVAL, MAX_INTERVAL, TIMEOUT, MOST = "1s", "5m", "30m", 4
_SECOND_MS, _DAY_MS = 1_000, 86_400_000


@verb(
    "watch",
    example='rally watch --on-wake \'tmux send-keys -t "$RALLY_TOOL" "rally next" Enter\'',
    exits={0: "done, or stopped by a signal", 1: "", 2: ""},
)
@click.option(
    "--on-wake", metavar="CMD", help="Run this for a due standby, not rally's suggestion."
)
@click.option("--on-activity", metavar="CMD", help="Run this once for each batch of new facts.")
@click.option(
    "--boundaries", is_flag=True, help="Tell of writes in working trees on others' live claims."
)
@click.option("--once", is_flag=True, help="Do what is to be done now, and end: for cron.")
@click.option(
    "--tool",
    "label",
    metavar="LABEL",
    default=LABEL,
    help=f"The watcher's label (default: {LABEL}).",
)
@click.option(
    "--kind", "kinds", metavar="KIND", multiple=True, help="Only facts of this kind are activity."
)
@click.option(
    "--interval",
    metavar="DURATION",
    default=INTERVAL,
    help=f"Shortest pause between activity commands (default: {INTERVAL}).",
)
@click.option(
    "--max-interval",
    metavar="DURATION",
    default=MAX_INTERVAL,
    help=f"Longest pause, also between signs of life (default: {MAX_INTERVAL}).",
)
@click.option("--duration", metavar="DURATION", help="Stop after so long.")
@click.option(
    "--timeout",
    metavar="DURATION",
    default=TIMEOUT,
    help=f"Time for each command (default: {TIMEOUT}).",
)
@click.option(
    "--max-concurrent",
    "most",
    type=NUMBER,
    default=MOST,
    help=f"Commands that run at one time (default: {MOST}).",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Tell what would be run; write nothing.")
@click.option(
    "--print-unit",
    "unit",
    metavar="|".join(UNITS),
    help="Print a unit or a crontab line for this room, and end.",
)
def watch(**options: Any) -> Takeover | Text:
    """Wake whoever is due, and run a command when something happens.

    For every standby that falls due its suggested command is run, or yours, once, however many
    watchers there are. For new facts the activity command is run, once for each batch, and never for
    what your own commands said. A command that fails is tried five times in all. With --boundaries a
    file that is written on another's claim becomes a risk fact, once.

    Your commands run in the room's folder and find RALLY_ROOM and RALLY_WATCH; for a wake RALLY_TOOL,
    RALLY_STANDBY_ID, RALLY_RUN and RALLY_STEP; for activity RALLY_FROM_SEQ and RALLY_TO_SEQ.
    """  # fmt: skip
    console = Console.of(click.get_current_context())
    unit = options.pop("unit")
    wishes = _wishes(console, **options)
    if unit is not None:
        text = print_unit(unit, wishes)
        return Text(text, {"unit": unit, "text": text})
    return Takeover(lambda: console.guarded(lambda: _watch(console, wishes)))


async def _watch(console: Console, wishes: Wishes) -> int:
    is_closed = False
    failure: OutputFailedError | None = None
    live = LiveLine(console) if console.can_draw and not wishes.once else None

    def write(line: str | dict[str, Any], *, is_last: bool = False) -> None:
        nonlocal is_closed, failure
        if is_closed:
            return
        try:
            if live is None or isinstance(line, dict):
                console.line(line)
            elif is_last:
                live.show(line)
            else:
                live.above(line)
        except OutputClosedError:
            is_closed = True
            watcher.stop.ask("output-closed")
        except OutputFailedError as error:
            is_closed = True
            if not console.call.colour:  # of a terminal it means that it was closed
                failure = error
            # What runs is seen through to its end all the same.
            watcher.stop.ask("output-failed")

    reporter = Reporter(
        write, as_json=console.wants_json, paint=console.screen.paint, clock=console.clock,
        show=partial(write, is_last=True) if live is not None else None,
    )  # fmt: skip
    watcher = Watcher(wishes, env=console.call.env, reporter=reporter, clock=console.clock)
    await watcher.run()
    if failure is not None:
        raise failure
    return 0


def _wishes(console: Console, **options: Any) -> Wishes:
    """The checked wishes behind the options.

    Raises:
        UsageError: for the first value that is wrong.
    """
    label = check_tool(options["label"])
    interval_ms = _duration(options["interval"], "--interval")
    max_interval_ms = _duration(options["max_interval"], "--max-interval")
    if max_interval_ms < interval_ms:
        raise UsageError(
            "bad-value",
            f"--max-interval {options['max_interval']} is shorter than "
            f"--interval {options['interval']}",
            hint=f"--max-interval {options['interval']}",
        )
    most = options["most"]
    if most < 1:
        raise UsageError(
            "bad-value", f"--max-concurrent is {most}; it must be 1 or more",
            hint=f"--max-concurrent {MOST}",
        )  # fmt: skip
    if options["boundaries"] and options["once"]:
        raise UsageError(
            "bad-value", "--boundaries sees what is written while it runs; --once ends at once",
            hint="rally watch --boundaries",
        )  # fmt: skip
    duration = options["duration"]
    return Wishes(
        root=console.root(),
        label=label,
        on_wake=shell_command(options["on_wake"], "--on-wake", "'rally room'"),
        on_activity=shell_command(options["on_activity"], "--on-activity", "'rally room'"),
        kinds=tuple(dict.fromkeys(_check_kind(kind) for kind in options["kinds"])),
        once=options["once"],
        is_dry=options["is_dry"],
        interval_ms=interval_ms,
        max_interval_ms=max_interval_ms,
        duration_ms=None if duration is None else _duration(duration, "--duration"),
        timeout_ms=_duration(options["timeout"], "--timeout"),
        most=most,
        boundaries=options["boundaries"],
    )


def _duration(text: str, flag: str) -> int:
    return parse_duration_ms(text, min_ms=_SECOND_MS, max_ms=30 * _DAY_MS, name=flag)


def _check_kind(kind: str) -> str:
    known = [name for name in KIND_BY_NAME if name != "renew"]
    if kind in known:
        return kind
    if kind == "renew":
        raise UsageError(
            "bad-value", "renew is never activity: it only keeps leases alive", hint="--kind claim"
        )
    near = nearest(kind, known)
    raise UsageError(
        "unknown-kind",
        f"unknown kind {kind!a}; the kinds are: {' '.join(known)}",
        hint=f"--kind {near or 'artifact'}",
        details={"kinds": known, "nearest": near},
    )
