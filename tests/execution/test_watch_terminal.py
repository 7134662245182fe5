"""`rally watch` as a person sees it: what happened, and below it how things stand."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from runner_room import PATIENCE_S, RALLY, Room

CLEAR = "\r\x1b[K"


class Screen:
    """A terminal in which a watcher runs."""

    def __init__(self, room: Room, *words: str, columns: int = 80, **env: str) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [RALLY, "watch", *words], cwd=room.root, stdin=follower, stdout=follower,
            stderr=follower, env={**room.env, "TERM": "xterm", "NO_COLOR": "1", **env},
        )  # fmt: skip
        os.close(follower)
        self.text = ""

    def until(self, wanted: str) -> None:
        """Read until something stands on the last line or above it."""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(wanted, self.text):
            ready, _, _ = select.select([self.leader], [], [], max(0, deadline - time.monotonic()))
            assert ready, (wanted, self.text)
            self.text += os.read(self.leader, 65_536).decode()

    def shown(self) -> list[str]:
        """The lines as the terminal shows them now."""
        return [line.rpartition(CLEAR)[2] for line in self.text.replace("\r\n", "\n").split("\n")]

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.leader)
        self.leader = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        if self.leader >= 0:
            self.hang_up()


@pytest.fixture
def screens(room: Room) -> Iterator[list[Screen]]:
    opened: list[Screen] = []
    yield opened
    for one in opened:
        one.close()


def test_the_last_line_tells_how_things_stand(room: Room, screens: list[Screen]) -> None:
    """It is replaced, never repeated; facts without a command and signs of life are no lines."""
    go = room.fifo("go")
    room.enter("claude:1")
    screen = Screen(room, "--on-wake", f"read line < {go}", "--max-interval", "1s")
    screens.append(screen)
    screen.until("watching repo: nothing falls due later$")
    room.say("standby", "--wake-after", "+1h", "--step", "later", tool="claude:1")
    screen.until(r"watching repo: next (at|on [-0-9]+ at) [0-9:]{8}Z$")
    room.due_standby("claude:2")
    screen.until("watching repo: 1 running, next [^\n]*Z$")
    go.write("go\n")
    screen.until("watching repo: 1 woken, not answered yet, next [^\n]*Z$")
    *above, last = screen.shown()
    assert [line.split()[1] for line in above] == ["fired", "finished"]
    assert last.startswith("watching repo: 1 woken")
    screen.process.terminate()
    screen.until("SIGTERM; 1 finished, 0 failed\r\n")
    assert screen.shown()[-2:][0].split()[1] == "stopped"
    assert screen.shown()[-1] == ""
    assert screen.process.wait(PATIENCE_S) == 0
    go.close()


def test_the_last_line_fits_the_terminal(room: Room, screens: list[Screen]) -> None:
    """A line that wraps could not be replaced."""
    room.enter("claude:1")
    screens.append(Screen(room, columns=24))
    screens[0].until("watching repo: ")
    assert len(screens[0].shown()[-1]) <= 23


def test_where_nobody_has_said_anything_it_says_that_it_waits(
    room: Room, screens: list[Screen]
) -> None:
    """And goes on when somebody has; where there is no room at all, too."""
    shutil.rmtree(room.root / ".rally")
    screens.append(Screen(room))
    screens[0].until("nobody has said anything in repo yet; waiting$")
    assert not (room.root / ".rally").exists()
    room.enter("claude:1")
    screens[0].until("watching repo: nothing falls due later$")


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(
    room: Room, screens: list[Screen]
) -> None:
    """As a pipe does: a sign of life is a line, and no escapes are written."""
    room.enter("claude:1")
    screens.append(Screen(room, TERM="dumb"))
    screens[0].until("heartbeat +0 due, 0 running, nothing falls due later\r\n")
    assert "\x1b" not in screens[0].text


def test_a_terminal_that_is_closed_ends_it_when_what_runs_has_ended(
    room: Room, screens: list[Screen]
) -> None:
    """Nobody is left to be told; the command is waited for, and its outcome is in the ledger."""
    go = room.fifo("go")
    screens.append(Screen(room, "--on-wake", f"read line < {go}"))
    room.due_standby()
    screens[0].until("1 running")
    screens[0].hang_up()
    go.write("go\n")
    assert screens[0].process.wait(PATIENCE_S) == 0
    assert [fact["status"] for fact in room.facts("--kind", "release")] == ["succeeded"]
    go.close()


def test_an_output_that_cannot_be_written_ends_it_when_what_runs_has_ended(room: Room) -> None:
    """Exit 1, and the command is not left to itself."""
    room.due_standby()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [RALLY, "watch", "--json", "--on-wake", "touch ran"], cwd=room.root, env=room.env,
            stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert len(room.facts("--kind", "claim")) == len(room.facts("--kind", "release"))
