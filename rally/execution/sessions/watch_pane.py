"""Looking at a session: its screen as text, or the terminal itself."""

from __future__ import annotations

from collections.abc import Mapping

from rally.execution.process import become
from rally.execution.sessions.book import Doc
from rally.execution.sessions.life import DEAD, Life, need_pane
from rally.execution.sessions.start import last_lines
from rally.model.errors import Failure
from rally.model.shell import word


def capture(life: Life, lines: int | None) -> Doc:
    """What a session's pane shows.

    Args:
        lines: so many of the last lines, those that scrolled away included; None: the screen, and
            of a program that has ended all that is left.

    Raises:
        Failure: `session-gone`, `tmux-failed`.
    """
    pane = need_pane(life)
    if lines is None and life.state != DEAD:
        shown = life.tmux.run(["capture-pane", "-p", "-J", "-t", pane.pane]).splitlines()
        text = [line.rstrip() for line in shown]
        while text and not text[-1]:
            text.pop()
    else:
        text = last_lines(life.tmux, pane.pane, lines or 0)
    session = life.session
    return {
        "name": session["name"], "tool": session["tool"], "state": life.state, "pane": pane.pane,
        "exit_status": pane.exit_status if pane.dead else None, "lines": text,
    }  # fmt: skip


def attach_words(life: Life, env: Mapping[str, str]) -> list[str]:
    """The command that shows a session's terminal here.

    Raises:
        Failure: `session-gone`, `no-tmux`.
    """
    pane = need_pane(life)
    around = env.get("TMUX", "").partition(",")[0]
    if around and around == life.session.get("socket"):  # no terminal inside itself
        return life.tmux.argv(["switch-client", "-t", pane.pane])
    return life.tmux.argv(["attach-session", "-t", pane.pane])


def attach(words: list[str], life: Life, env: Mapping[str, str]) -> None:
    """Become tmux. On success this call does not return.

    Raises:
        Failure: `tmux-failed`.
    """
    own = life.tmux.env
    if words[-3] == "switch-client":  # it asks the terminal that it was called in
        own |= {name: env[name] for name in ("TMUX", "TMUX_PANE") if name in env}
    try:
        become(words, env=own)
    except OSError as error:
        raise Failure(
            "tmux-failed", f"tmux cannot be run: {error}", hint=" ".join(map(word, words))
        ) from error
