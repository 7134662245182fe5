"""`rally ui`: the room on one line, for a status bar or a prompt."""

from __future__ import annotations

from typing import Any

import click

from rally.cli.command import verb
from rally.cli.options import tool_filter
from rally.cli.plan import Answered, Session, Work
from rally.cli.text.ui import show_tmux_status, show_ui
from rally.model.errors import EXIT_FAILURE, EXIT_OK, Failure


@verb("ui", example="rally ui --tmux-status", exits=(0, 1, 2))
@tool_filter("Whose inbox is counted (default: RALLY_TOOL).")
@click.option("--tmux-status", is_flag=True, help="For the status line of tmux.")
def ui(*, tool: str | None, tmux_status: bool) -> Work:
    """The room on one line, for a status bar.

    What your inbox holds, how many standbys are due, blockers open, claims held; an empty line where
    there is no room. Reading writes nothing and renews no lease. In ~/.tmux.conf:

        set -g status-right '#(rally ui --tmux-status)'

    tmux runs that in the folder in which its client was started; with `cd #{q:pane_current_path} &&`
    before `rally` it follows the pane.
    """

    async def ask(session: Session) -> Answered:
        params = session.params({"tool": tool} if tool else {}, is_caller=True)
        params.pop("session_id", None)
        try:
            return await session.ask("ui", params)
        except Failure as failure:
            if session.wants_json or not tmux_status:
                raise
            # tmux shows what a command prints and nothing else, and an empty bar would say: no room.
            return {"failure": failure.code}, []

    return Work(ask, show_tmux_status if tmux_status else show_ui, _verdict)


def _verdict(data: dict[str, Any]) -> int:
    return EXIT_FAILURE if "failure" in data else EXIT_OK
