"""`rally log` and `rally show`: history (contract P7)."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, cast

import click

from rally.cli.command import verb
from rally.cli.options import limit, number, paths, run_name, tool_filter
from rally.cli.plan import Ask, Session, Stream, given
from rally.cli.text.log import fact_line, show_fact, show_log
from rally.model.errors import UsageError


@verb("log", example="rally log --kind claim --kind release --limit 20", exits=(0, 1, 2, 130))
@tool_filter("Only facts of this tool.")
@click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only this kind.")
@run_name("Only this run.")
@paths("Only facts on paths that overlap this one.")
@number("--since", "Only facts after this seq.")
@number("--until", "Only facts up to this seq.")
@click.option("--grep", metavar="TEXT", help="Only facts that say this, in whatever case.")
@limit(50)
@click.option("-f", "--follow", is_flag=True, help="Then go on: print each new fact as it comes.")
def log(*, follow: bool, **options: Any) -> Ask | Stream:
    """Facts in their order; --follow keeps going.

    The newest --limit facts that match, oldest first. With --follow and --json each line is one
    fact.
    """
    params = given(options)
    if not follow:
        return Ask("log", params, show_log)
    if "until" in params:
        raise UsageError("usage", "--until does not go with --follow", hint="rally log --follow")
    return Stream(lambda session: _follow(session, params))


async def _follow(session: Session, options: dict[str, Any]) -> int:
    params = session.params(options, is_caller=False)
    # The head is asked for first: what comes between the two questions is then told once.
    place = {"room": params["room"]} if "room" in params else {}
    head = (await session.ask("log", {**place, "limit": 1}))[0]["head"]
    told, _ = await session.ask("log", {**params, "until": head})
    for fact in told["facts"]:
        await _tell(session, fact)
    wanted = {name: value for name, value in params.items() if name != "limit"}
    wanted |= {"want": ["facts"], "since": max(head, params.get("since", 0))}
    events = session.rooms.subscribe(wanted, cwd=session.call.cwd, env=session.call.env)
    async with aclosing(cast(Any, events)):
        async for event in events:
            for fact in event.get("facts", ()):
                await _tell(session, fact)
    return 0


async def _tell(session: Session, fact: dict[str, Any]) -> None:
    await session.say_line(fact if session.wants_json else fact_line(fact, session.screen))


@verb("show", example="rally show 12", exits=(0, 1, 2))
@click.argument("id", metavar="ID")
def show(**options: Any) -> Ask:
    """One fact, whole, and what refers to it.

    ID is an event id (claim-8f3k…) or a seq.
    """
    return Ask("show", given(options), show_fact)
