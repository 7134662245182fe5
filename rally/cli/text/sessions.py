"""The answers of `run`, `sessions`, `adopt`, `stop`, `inject` and `capture`."""

from __future__ import annotations

import shlex
from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import joined
from rally.model.clock import from_rfc3339
from rally.model.durations import span
from rally.model.visible import visible

_SESSIONS = (
    Column("name"),
    Column("tool", 12),
    Column("state"),
    Column("pane"),
    Column("since"),
    Column("worktree", 12),
    Column("command", 12),
)
_TREES = (Column("worktree"), Column("branch", 12), Column("path", 16))
_STYLES = {"running": "ok", "dead": "stop", "gone": "dim", "unknown": "warn"}
WHY = {
    "no-session": "no session of it runs",
    "gone": "its pane is gone",
    "dead": "its program has ended",
    "unknown": "tmux could not be asked about it",
    "copy-mode": "somebody scrolls or selects in its pane",
    "shell-prompt": "a shell waits there for commands, and no agent",
    "busy": "another text was being put there",
    "tmux-time-out": "tmux did not answer in time",
}


def show_run(data: dict[str, Any], screen: Screen) -> str:
    """What runs where, or what would."""
    name = screen.paint(visible(data["name"]), "name")
    tool = "" if data["tool"] == data["name"] else f" as {visible(data['tool'])}"
    if data["dry_run"]:
        lines = [
            f"{name} would start{tool} in {visible(data['cwd'])}",
            f"command: {_command(data['command'])}",
        ]
        return joined(lines)
    lines = [f"{name} runs{tool} in pane {data['pane']} (pid {data['pid']})"]
    if data.get("worktree"):
        lines.append(f"worktree: {visible(data['worktree'])} on {visible(data['branch'])}")
    return joined([*lines, f"look: rally attach {visible(data['name'])}"])


def show_adopt(data: dict[str, Any], screen: Screen) -> str:
    """Which pane is which session now."""
    name = screen.paint(visible(data["name"]), "name")
    return joined([f"pane {data['pane']} is {name}, tool {visible(data['tool'])}"])


def show_sessions(data: dict[str, Any], screen: Screen) -> str:
    """One row for each session, and beneath them the working trees whose session is over."""
    rows = [_row(one, screen) for one in data["sessions"]]
    left = [one for one in data["worktrees"] if not one["live"]]
    lines = [screen.paint(f"sessions ({len(rows)})", "title")] if rows else ["no sessions"]
    lines += table(_SESSIONS, rows, screen)
    if left:
        lines.append(screen.paint(f"worktrees without a session ({len(left)})", "title"))
        lines += table(_TREES, [[one["name"], one["branch"], one["path"]] for one in left], screen)
        lines.append(f"remove: rally stop {visible(left[0]['name'])} --remove-worktree")
    return joined(lines)


def _row(one: dict[str, Any], screen: Screen) -> list[Cell]:
    state = one["state"]
    said = f"dead ({_ending(one)})" if state == "dead" else state
    if one.get("at_prompt"):
        said = "at a shell prompt"
    elif one.get("in_mode"):
        said = "running, copy mode"
    elif one["status"] == "starting":
        said = f"starting, {state}"
    return [
        (one["name"], "name"),
        one["tool"],
        (said, _STYLES.get(state, "")),
        one.get("pane", ""),
        span(screen.now_ms - from_rfc3339(one["since"])),
        one.get("branch", ""),
        shlex.join(one.get("command", [])),
    ]


def _ending(one: dict[str, Any]) -> str:
    if one.get("exit_status") is not None:
        return f"exit {one['exit_status']}"
    return f"signal {one['signal']}" if one.get("signal") is not None else "how is not known"


def show_stop(data: dict[str, Any], screen: Screen) -> str:
    """What is over."""
    fact = data.get("fact")
    verb = {"released": "let go"}.get(fact["status"], "stopped") if fact else "over already"
    lines = [f"{screen.paint(visible(data['name']), 'name')} {verb} (it was {data['was']})"]
    if data.get("worktree_removed"):
        lines.append(f"removed {visible(data['worktree_removed'])}")
    return joined(lines)


def show_inject(data: dict[str, Any], screen: Screen) -> str:
    """How far the text came; no more than is known."""
    who, ack = visible(data["name"] or data["tool"]), data["ack"]
    why = WHY.get(data["reason"] or "", visible(data["reason"] or ""))
    if data["reached_target"]:
        line = screen.paint(f"reached the terminal of {who}", "ok")
        lines = [f"{line}; Enter was not pressed: {why}" if why else line]
    else:
        lines = [screen.paint(f"not delivered to {who}", "warn") + f": {why}"]
    if data["queued"]:
        lines.append(f"it waits in the inbox of {visible(data['tool'])} as {data['handoff_id']}")
    if ack["received"]:
        lines.append(
            f"{visible(data['tool'])} answered: {visible(ack['state'])} ({ack['event_id']})"
        )
    elif ack["timed_out"]:
        lines.append(f"no answer yet to {data['handoff_id']}; it may still come")
    return joined(lines)


def show_capture(data: dict[str, Any], screen: Screen) -> str:
    """The screen as it is, escapes made visible."""
    return joined(visible(line) for line in data["lines"]) if data["lines"] else ""


def _command(words: list[str]) -> str:
    return visible(shlex.join(words))
