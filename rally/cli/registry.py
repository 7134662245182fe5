"""Every command of rally, by name; what a command needs is loaded when it is called.

Two tables, because the daemon answers only the first one and must never load what is behind the
second (law 1): the commands there start processes, read git, or are about the daemon itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from rally.cli.command import Entry, VerbGroup
from rally.cli.plan import Text

_HERE = "rally.cli.commands"

PART, LOOK, FAN_OUT, STEER, RUN, CARE = (
    "Take part",
    "Look",
    "Fan out",
    "Steer",
    "Run things",
    "Look after rally",
)

FACILITATION: tuple[Entry, ...] = (
    Entry("enter", f"{_HERE}.presence:enter", "Come into the room and learn what to know.", PART),
    Entry("leave", f"{_HERE}.presence:leave", "Leave the room; your claims and standbys end.", PART),
    Entry("say", f"{_HERE}.say:say", "Write one fact: claim, release, artifact, handoff, ….", PART),
    Entry("check", f"{_HERE}.check:check", "Ask before you write, complete or commit.", PART),
    Entry("wait", f"{_HERE}.wait:wait", "Sleep until conditions hold.", PART),
    Entry("next", f"{_HERE}.inbox:next_", "The one thing to do now.", LOOK),
    Entry("inbox", f"{_HERE}.inbox:inbox", "What others asked of you, or you of others.", LOOK),
    Entry("room", f"{_HERE}.room:room", "The whole room on one screen.", LOOK),
    Entry("log", f"{_HERE}.log:log", "Facts in their order; --follow keeps going.", LOOK),
    Entry("show", f"{_HERE}.log:show", "One fact, whole, and what refers to it.", LOOK),
    Entry("whoami", f"{_HERE}.presence:whoami", "How the room sees you.", LOOK),
    Entry("status", f"{_HERE}.room:status", "All rooms of this user.", LOOK),
    Entry("ui", f"{_HERE}.ui:ui", "The room on one line, for a status bar.", LOOK),
    Entry("dag", f"{_HERE}.dag:dag", "Draw a run: what landed, moves, is stalled, is planned.", FAN_OUT),
    Entry("task", f"{_HERE}.task:task", "Tasks of a run: add, list, take, done, drop.", FAN_OUT),
    Entry("wake-due", f"{_HERE}.inbox:wake_due", "Standbys that should be woken now.", FAN_OUT),
    Entry("memory", f"{_HERE}.memory:memory", "Named values: set, get, list.", STEER),
    Entry("lead", f"{_HERE}.lead:lead", "The lead's seat: show, take, give, drop.", STEER),
    Entry("mission", f"{_HERE}.lead:mission", "Show or set the room's goal.", STEER),
    Entry("check-ci", f"{_HERE}.check:check_ci", "What should not be open when work is merged.", STEER),
    Entry("hook", f"{_HERE}.hook:hook", "Answer an event of an agent's program.", CARE),
)  # fmt: skip

CLIENT: tuple[Entry, ...] = (
    Entry(
        "workstream", f"{_HERE}.workstream:workstream",
        "Plan a fan-out and follow it: lint, packets, start, status, verify.", FAN_OUT,
    ),
    Entry(
        "top", f"{_HERE}.top:top",
        "The room, live: claims, agents, standbys, runs, last facts.", LOOK,
    ),
    Entry(
        "watch", f"{_HERE}.watch:watch",
        "Wake whoever is due, and run a command when something happens.", RUN,
    ),
    Entry("hold", f"{_HERE}.hold:hold", "Run a command while a claim is held.", RUN),
    Entry(
        "loop", f"{_HERE}.loop:loop",
        "Have an agent carry one task out, and land it only when the evidence says so.", RUN,
    ),
    Entry("run", f"{_HERE}.sessions:run", "Start an agent in tmux.", RUN),
    Entry(
        "sessions", f"{_HERE}.sessions:sessions",
        "Managed agents: what they are called, and whether they live.", RUN,
    ),
    Entry(
        "inject", f"{_HERE}.inject:inject",
        "Put a text into an agent's terminal, and say how far it came.", RUN,
    ),
    Entry("capture", f"{_HERE}.inject:capture", "Print what an agent's terminal shows.", RUN),
    Entry("attach", f"{_HERE}.inject:attach", "Show an agent's terminal in yours.", RUN),
    Entry(
        "adopt", f"{_HERE}.sessions:adopt",
        "Take a tmux pane that is there already as a session.", RUN,
    ),
    Entry("stop", f"{_HERE}.sessions:stop", "End a managed agent.", RUN),
    Entry("mcp", f"{_HERE}.mcp:mcp", "Serve the room to an agent, as an MCP server.", RUN),
    Entry("init", f"{_HERE}.init:init", "Make a room here, and tell agents of it.", CARE),
    Entry("hooks", f"{_HERE}.hooks:hooks", "Have agents ask rally before they write.", CARE),
    Entry("doctor", f"{_HERE}.doctor:doctor", "What is wrong here, and what puts it right.", CARE),
    Entry("verify", f"{_HERE}.ledger:verify", "Prove that the history is whole.", CARE),
    Entry("daemon", f"{_HERE}.daemon:daemon", "Start, stop and watch the background process.", CARE),
    Entry("completion", f"{_HERE}.completion:completion", "Make a shell complete rally's words.", CARE),
)  # fmt: skip

_INTRODUCTION = """Rally lets coding agents share a repository without colliding.

It records who works where, answers before you write, and remembers what was agreed. Begin with:

  export RALLY_TOOL=claude:1
  rally enter
  rally say claim --path src/api/ --subject 'rework the handlers'
  rally check before-write --path src/api/users.py --strict
"""


def _help_of(context: click.Context) -> Text:
    text = context.get_help()
    return Text(text, {"help": text})


def build_root(entries: Sequence[Entry], *, is_client: bool = False) -> VerbGroup:
    """The command `rally`.

    Args:
        entries: its commands, in the order of the help.
        is_client: they run in their caller's own process, not in the daemon.
    """
    root = VerbGroup(
        "rally",
        entries=entries,
        help=_INTRODUCTION,
        example="rally room",
        exits=(0, 1, 2, 3, 4, 130),
        default=_help_of,
    )
    root.is_client = is_client
    root.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
            help="Print the version.",
        )
    )  # fmt: skip
    return root


class VersionAsked(Exception):  # no error: the answer is the version
    """Somebody typed --version."""


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        raise VersionAsked
