"""Putting text into a pane: a bracketed paste, then Enter, one writer at a time.

The text goes through a buffer of tmux and not through key presses, so no byte of it is a command. A
line feed stays a line feed (`-r`): in programs that know no bracketed paste, a carriage return would
send off every line by itself.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import NamedTuple

from rally.execution.sessions.tmux import Refusal, TimedOut, Tmux

# Agents take a key that comes in the same breath as a paste for a part of it.
ENTER_PAUSE_S = 0.1
LOCK_FILE = ".rally/inject.lock"
_LOCK_S = 10.0
_LOCK_LOOK_S = 0.02
_BLOCKED = "#{||:#{pane_in_mode},#{pane_dead}}"


class Pasted(NamedTuple):
    """What became of a text.

    Attributes:
        reached: it was handed to the pane's terminal.
        submitted: Enter was pressed after it.
        reason: why one of them did not happen: `copy-mode` (or the pane has just died), `busy`,
            `tmux-time-out`, `gone`; empty where all did.
    """

    reached: bool
    submitted: bool
    reason: str


def paste(tmux: Tmux, pane: str, text: str, *, enter: bool, root: str) -> Pasted:
    """Paste a text into a pane and press Enter.

    Args:
        pane: its number.
        text: cleaned (see `text.clean`).
        root: the room's root, where the writers' lock is.
    """
    try:
        with _alone(root, pane):
            if not _paste(tmux, pane, text):
                return Pasted(False, False, "copy-mode")
            if not enter:
                return Pasted(True, False, "")
            time.sleep(ENTER_PAUSE_S)
            return _enter(tmux, pane)
    except TimeoutError:
        return Pasted(False, False, "busy")
    except TimedOut:
        return Pasted(False, False, "tmux-time-out")
    except Refusal:
        return Pasted(False, False, "gone")


def _paste(tmux: Tmux, pane: str, text: str) -> bool:
    buffer = f"rally-{token_hex(8)}"
    told = tmux.run(
        ["load-buffer", "-b", buffer, "-"],
        # Looked at and done in one go: nobody enters copy mode in between.
        ["if-shell", "-F", "-t", pane, _BLOCKED,
         f"delete-buffer -b {buffer} ; display-message -p blocked",
         f"paste-buffer -p -r -d -b {buffer} -t {pane} ; display-message -p pasted"],
        stdin=text.encode(),
    )  # fmt: skip
    return told.strip() == "pasted"


def _enter(tmux: Tmux, pane: str) -> Pasted:
    """Press Enter; the text is there whatever comes of it."""
    try:
        told = tmux.run(
            ["if-shell", "-F", "-t", pane, _BLOCKED, "display-message -p blocked",
             f"send-keys -t {pane} Enter ; display-message -p sent"],
        )  # fmt: skip
    except TimedOut:
        return Pasted(True, False, "tmux-time-out")
    except Refusal:
        return Pasted(True, False, "gone")
    sent = told.strip() == "sent"
    return Pasted(True, sent, "" if sent else "copy-mode")


@contextmanager
def _alone(root: str, pane: str) -> Iterator[None]:
    """Keep other writers of the same pane away: between a paste and its Enter nothing may come.

    One file for the room, one byte of it for each pane; the lock goes with the process.

    Raises:
        TimeoutError: another one wrote for longer than `_LOCK_S`.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        lock = os.open(f"{root}/{LOCK_FILE}", flags, 0o600)
    except OSError:  # read-only: an overlap is rare, and no text at all would be worse
        yield
        return
    try:
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(pane.removeprefix("%")))
                break
            except (BlockingIOError, PermissionError):
                if time.monotonic() > deadline:
                    raise TimeoutError(pane) from None
                time.sleep(_LOCK_LOOK_S)
        yield
    finally:
        with suppress(OSError):
            os.close(lock)
