"""`rally say`: its flags are made from the one table of fields (contract F3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rally.cli.command import Verb
from rally.cli.options import caller, fields
from rally.cli.plan import Ask, given
from rally.cli.text.say import show_say
from rally.model.kinds import KIND_BY_NAME, SAY_FIELDS, SAYABLE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

READS = ("summary", "evidence")
EXAMPLE = "rally say claim --tool claude:1 --path src/api/ --subject 'rework the handlers'"

# One line for each kind that can be pasted.
EXAMPLES = {
    "enter": "rally say enter --tool claude:1 --role reviewer",
    "leave": "rally say leave --tool claude:1",
    "claim": EXAMPLE,
    "renew": "rally say renew --tool claude:1",
    "release": "rally say release --tool claude:1 --path src/api/",
    "artifact": "rally say artifact --tool claude:1 --subject 'handlers reworked' "
    "--evidence 'pytest: 214 passed'",
    "blocker": "rally say blocker --tool claude:1 --subject 'no database here' --severity high",
    "resolve": "rally say resolve --tool claude:1 --ref 12",
    "decision": "rally say decision --tool claude:1 --subject 'handlers are async' --path src/api/",
    "handoff": "rally say handoff --tool claude:1 --target codex:1 --subject 'review the handlers' "
    "--intent review --ack-within 10m",
    "receipt": "rally say receipt --tool codex:1 --ref 12 --state accepted",
    "risk": "rally say risk --tool claude:1 --subject 'the cache may be stale'",
    "lesson": "rally say lesson --tool claude:1 --subject 'run the slow tests last'",
    "note": "rally say note --tool claude:1 --subject 'lunch'",
    "standby": "rally say standby --tool claude:1 --until free:src/api/ --wake-after +30m",
    "wake": "rally say wake --tool claude:1 --ref-standby 12",
    "retract": "rally say retract --tool claude:1 --ref 12 --reason 'said by mistake'",
}


class SayVerb(Verb):
    """`say`, which explains one kind when the kind was typed before `--help`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and note the kind for `--help`, which ends the parsing early."""
        ctx.meta["rally.kind"] = next((word for word in args if word in SAYABLE), None)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """The help of `say`, or of `say KIND`."""
        kind = ctx.meta.get("rally.kind")
        if kind is None:
            return super().get_help(ctx)
        from rally.cli.help import command_help  # only who asks for help

        names = [f.name for f in SAY_FIELDS if not f.kinds or kind in f.kinds]
        params = [p for p in self.params if p.expose_value and p.name != "kind"]
        one = Verb(
            "say", params=params, help=kind_help(kind), example=EXAMPLES[kind], exits=self.exits
        )
        named = click.Context(one, info_name=f"say {kind}", parent=ctx.parent)
        return command_help(one, named, only=["tool", "session_id", *names])


def kind_help(kind: str) -> str:
    """What a kind means and what it requires."""
    known = KIND_BY_NAME[kind]
    flag = {field.name: field.flag for field in SAY_FIELDS}
    needs = [
        flag[one] if isinstance(one, str) else " or ".join(flag[name] for name in one)
        for one in known.requires
    ]
    if kind == "claim":
        needs = ["--path, --resource, or --run with --step"]
    requires = f"\n\nIt needs {', '.join(needs)}." if needs else ""
    return f"{known.meaning[0].upper()}{known.meaning[1:]}.{requires}"


def _complete_kind(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # only a shell asks

    return [CompletionItem(kind) for kind in SAYABLE if kind.startswith(incomplete)]


@click.command("say", cls=SayVerb, example=EXAMPLE, exits=(0, 1, 2, 3, 130), is_sparse=True)
@click.argument("kind", metavar="KIND", shell_complete=_complete_kind)
@caller
@fields(*(field.name for field in SAY_FIELDS))
def say(**options: Any) -> Ask:
    """Write one fact: claim, release, artifact, handoff, ….

    KIND is one of enter, leave, claim, renew, release, artifact, blocker, resolve, decision,
    handoff, receipt, risk, lesson, note, standby, wake, retract. `rally say KIND --help` explains
    one of them.

    A claim is granted whole or refused (exit 3). The fact is durable when the command returns.
    """
    return Ask(
        "say", given(options), show_say, is_caller=True, reads=READS, only_shown=("released",)
    )
