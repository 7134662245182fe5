"""`rally hook`: the command that the programs of agents call (docs/hooks.md)."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from rally.cli.command import Verb
from rally.cli.hook.request import Request, read_words
from rally.cli.plan import Session, Stream
from rally.model.errors import UsageError


class HookVerb(Verb):
    """A command whose words are never a usage error: exit 2 would keep its host's tool from running."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; what cannot be is handed on as a problem."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except (UsageError, click.ClickException) as error:
            request = read_words(words, error.message)
            ctx.params = request._asdict()
            ctx.args = []
            return []


@click.command(
    "hook",
    cls=HookVerb,
    example="rally hook claude PreToolUse --auto-claim < payload.json",
    exits={
        0: "go on; also when rally could not do its work (see its log)",
        2: "the write is blocked; the reason is on standard error",
    },
)
@click.argument("host", metavar="HOST", required=False, default="")
@click.argument("event", metavar="EVENT", required=False, default="")
@click.option("--auto-claim", is_flag=True, help="Claim what is free before it is written.")
@click.option("--fail-closed", is_flag=True, help="Before a write: block what cannot be checked.")
def hook(**options: Any) -> Stream:
    """Answer an event of an agent's program: claude, codex, cursor, gemini or opencode.

    EVENT is the host's own name for it, such as PreToolUse. The host's JSON comes on standard input,
    and the answer is in the host's form, also with --json. cursor is denied with exit 0 and its JSON.

    Checks a write before it happens, by the path that is written; enters and leaves the room with the
    session; notes what was touched. A hook that cannot do its work lets the host go on and writes a
    line to hooks.log beside the daemon's log.
    """
    return Stream(partial(_run, request=Request(**options)))


async def _run(session: Session, request: Request) -> int:
    from rally.cli.hook.answer import run_hook  # what it needs is not needed for --help

    return await run_hook(session, request)
