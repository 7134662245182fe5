"""`rally run`, `sessions`, `adopt` and `stop` (contract X2). They ask tmux, so they run in the caller's
process; the daemon never loads this module."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import click
import orjson

from rally.cli.command import verb
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.sessions import show_adopt, show_run, show_sessions, show_stop
from rally.execution.sessions.adopt import adopt as adopt_pane
from rally.execution.sessions.book import Book
from rally.execution.sessions.life import look
from rally.execution.sessions.start import Wish, preview, start
from rally.execution.sessions.stop import stop as stop_session
from rally.execution.sessions.worktrees import Worktrees, has_repository
from rally.hosts.known import HOSTS
from rally.model.errors import UsageError
from rally.model.session_names import check_session_name
from rally.model.text import check_encodable, check_tool, nearest

BACKENDS = ("tmux",)
# tmux takes 16 KiB for a whole command, environment included.
COMMAND_BYTES_MAX = 8 * 1024
_COMMAND_EXAMPLE = """--command-json '["python3", "agent.py"]'"""


def book_of(session: Session, tool: str | None = None) -> Book:
    """The room that a command was typed in; `tool` is its `--tool`, where that says who calls."""
    return Book(env=session.call.env, cwd=session.call.cwd, room=session.room, tool=tool)


@verb(
    "run",
    example="rally run claude --worktree",
    exits={0: "", 1: "no tmux, or the agent does not start", 2: "", 3: "the name is taken"},
)
@click.argument("agent", metavar="AGENT")
@click.option("--name", metavar="NAME", help="The session's name (default: AGENT-01, -02, …).")
@click.option("--backend", metavar="|".join(BACKENDS), default="tmux", help="Where it runs.")
@click.option("--tool", metavar="ID", help="The agent's tool id (default: the session's name).")
@click.option("--worktree", is_flag=True, help="Give it a git worktree and a branch of its own.")
@click.option(
    "--command-json", metavar="JSON", help="Its command, as a JSON array of strings; no shell."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def run(*, agent: str, backend: str, command_json: str | None, **options: Any) -> Work:
    """Start an agent in tmux.

    AGENT is claude, codex, gemini, opencode or cursor; with --command-json any name will do. The
    agent starts in the room's root, or in its worktree, and finds RALLY_TOOL, RALLY_SESSION_ID and
    RALLY_ROOM in its environment. One that ends within a second counts as not started.

    RALLY_TMUX_SOCKET names the tmux server: a name as for `tmux -L`, or a path.
    """
    if backend not in BACKENDS:
        raise UsageError(
            "bad-value", f"--backend is {backend!a}; it must be one of {', '.join(BACKENDS)}",
            hint="--backend tmux",
        )  # fmt: skip
    check_session_name(agent, "AGENT")
    argv = None if command_json is None else command_of(command_json)
    if argv is None and agent not in HOSTS:
        near = nearest(agent, tuple(HOSTS))
        raise UsageError(
            "unknown-agent", f"no agent {agent!a} is known; known are: {', '.join(HOSTS)}",
            hint=f"rally run {near}" if near else f"rally run {agent} {_COMMAND_EXAMPLE}",
            details={"agents": list(HOSTS), "nearest": near},
        )  # fmt: skip
    checked = {
        "name": check_session_name(options["name"]) if options["name"] is not None else None,
        "tool": check_tool(options["tool"]) if options["tool"] is not None else None,
        "worktree": options["worktree"],
    }

    async def carry_out(session: Session) -> Answered:
        words = argv or _host_command(agent, session.call.env)
        wish = Wish(agent, words, **checked)
        async with book_of(session) as book:
            return await (preview if options["dry_run"] else start)(book, wish)

    return Work(carry_out, show_run)


def command_of(text: str) -> tuple[str, ...]:
    """The command behind `--command-json`.

    Raises:
        UsageError: `bad-value`, `bad-text`, `too-long`.
    """
    check_encodable(text, "--command-json")
    try:
        words = orjson.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(
            "bad-value", f"--command-json is no JSON array of strings: {text[:200]!a}",
            hint=_COMMAND_EXAMPLE,
        )  # fmt: skip
    if not words or not words[0].strip() or "=" in words[0]:  # env(1) would take it for a variable
        raise UsageError(
            "bad-value", f"--command-json names no program: {text[:200]!a}", hint=_COMMAND_EXAMPLE
        )
    size = sum(len(check_encodable(word, "--command-json")) + 1 for word in words)
    if size > COMMAND_BYTES_MAX:
        raise UsageError(
            "too-long", f"--command-json has {size} bytes, at most {COMMAND_BYTES_MAX} are allowed",
            hint="put it into a script, and name that",
        )  # fmt: skip
    return tuple(words)


def _host_command(agent: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """A known agent's command: the first of its programs that is there, or would have to be."""
    programs = HOSTS[agent].programs
    found = (one for one in programs if shutil.which(one, path=env.get("PATH")))
    return (next(found, programs[0]),)


@verb("sessions", example="rally sessions", exits=(0, 1, 2))
def sessions() -> Work:
    """Managed agents: what they are called, and whether they live.

    Which sessions there are stands in the ledger; how they are is read from tmux at this moment:
    running, dead (the program has ended, its last screen can be captured), gone (there is no such
    pane), or unknown.
    """

    async def carry_out(session: Session) -> Answered:
        async with book_of(session) as book:
            listed = await book.session("list")
        env, room = session.call.env, listed["room"]
        rows = [life.row(env) for life in look(listed["sessions"], env)]
        trees: list[dict[str, Any]] = []
        if has_repository(room):
            worktrees, names = Worktrees(room, env), {row["name"] for row in rows}
            trees = [
                {
                    "name": name,
                    "path": worktrees.path(name),
                    "branch": branch,
                    "live": name in names,
                }
                for name, branch in worktrees.listed()
            ]
        data = {"room": room, "sessions": rows, "worktrees": trees}
        return {**data, "totals": {"sessions": len(rows), "worktrees": len(trees)}}, listed.warnings

    return Work(carry_out, show_sessions)


@verb("adopt", example="rally adopt %3 --tool codex:api", exits=(0, 1, 2, 3))
@click.argument("pane", metavar="PANE", required=False)
@click.option("--name", metavar="NAME", help="The session's name (default: AGENT-01, -02, …).")
@click.option("--tool", metavar="ID", help="The agent's tool id (default: the session's name).")
@click.option(
    "--agent", metavar="AGENT", default="adopted", help="What sessions without a name are called."
)
def adopt(*, pane: str | None, name: str | None, tool: str | None, agent: str) -> Work:
    """Take a tmux pane that is there already as a session.

    PANE is tmux's name for it, such as %3 or work:1.0; inside tmux it defaults to your own. The
    program in it is left alone.
    """
    check_session_name(agent, "--agent")
    if name is not None:
        check_session_name(name)
    if tool is not None:
        check_tool(tool)

    async def carry_out(session: Session) -> Answered:
        async with book_of(session) as book:
            return await adopt_pane(book, pane, agent=agent, name=name, tool=tool)

    return Work(carry_out, show_adopt)


@verb("stop", example="rally stop claude-01", exits=(0, 1, 2))
@click.argument("target", metavar="TARGET")
@click.option("--forget", is_flag=True, help="Let its pane go on; only end the session.")
@click.option("--remove-worktree", is_flag=True, help="Remove its worktree too, if it is clean.")
def stop(*, target: str, forget: bool, remove_worktree: bool) -> Work:
    """End a managed agent.

    Its terminal is closed; what outlives that gets SIGTERM, then SIGKILL. TARGET is a session's
    name or a tool id. A worktree with changes that are not committed stays, whatever is asked.
    """

    async def carry_out(session: Session) -> Answered:
        async with book_of(session) as book:
            return await stop_session(book, target, forget=forget, remove_worktree=remove_worktree)

    return Work(carry_out, show_stop)
