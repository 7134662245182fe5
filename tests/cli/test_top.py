"""`rally top`: what it draws, and the real command in a terminal of the test's own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A room with a daemon of its own is shared with the tests of the runners.
sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))

import pytest
from cli_scene import RUN, set_scene
from cli_terminal import Terminal
from runner_room import PATIENCE_S, RALLY, Room, room_in

from rally.cli.screen import Screen
from rally.cli.top_view import draw, view
from rally.model.visible import display_width, visible

GIVEN_BACK = b"\x1b[?7h\x1b[?25h\x1b[?1049l"
FRAME_BEGINS, FRAME_ENDS = "\x1b[?2026h", "\x1b[?2026l"
SGR = re.compile(r"\x1b\[[0-9;]*m")
# It makes the terminal it was given its controlling one, as a shell's is: Ctrl-C and sizes reach it.
IN_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


# --- the view


async def told(rally: Terminal) -> dict[str, Any]:
    """What the view is made of, of a room as it is now."""
    run = await rally.json("dag", "--run", RUN)
    facts = (await rally.json("log"))["facts"]
    runs = [{"run": RUN, "counts": run["counts"]}]
    return {**await rally.json("room"), "runs": runs, "facts": facts}


def drawn(
    data: dict[str, Any], width: int, height: int, *, now_ms: int, colour: bool = True
) -> list[str]:
    """The lines without colours."""
    screen = Screen(width, is_piped=False, colour=colour, now_ms=now_ms)
    lines = draw(view(data, screen, height), screen, height)
    assert len(lines) == height
    assert colour or lines == [SGR.sub("", line) for line in lines]
    plain = [SGR.sub("", line) for line in lines]
    assert all(display_width(line) <= width for line in plain)
    assert all(line == visible(line) for line in plain)
    return plain


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("width", [40, 80, 160])
async def test_what_agents_wrote_is_shown_and_moves_nothing(
    rally: Terminal, width: int, colour: bool
) -> None:
    """O5: nothing but colours of our own, no line too wide, no markup read, at any width."""
    await set_scene(rally)
    data = await told(rally)
    text = "\n".join(drawn(data, width, 60, now_ms=rally.clock.now_ms(), colour=colour))
    for title in ("blockers 1", "claims ", "last runs", "agents ", "standbys 1", "last facts"):
        assert title in text
    assert "codex:api" in text
    assert "0/2" in text
    assert "\\x1b" in text
    if width == 160:
        assert "\\x1b[31mred\\x1b]0;title\\x07\\nerror: forged" in text


@pytest.mark.parametrize("markup", ["[bold]x[/bold]", "[/]", "[link=file:///]x", ":smile:"])
async def test_markup_is_text(rally: Terminal, markup: str) -> None:
    """What rich would read as markup or as an emoji stands there as it was written."""
    await rally.say("a:1", "claim", "--path", "x", "--subject", markup)
    lines = drawn(await told(rally), 100, 20, now_ms=rally.clock.now_ms())
    assert any(markup in line for line in lines)


@pytest.mark.parametrize(
    "size", [(1, 1), (3, 40), (20, 2), (20, 5), (40, 8), (119, 9), (120, 9), (300, 100)]
)
async def test_any_size_is_drawn(rally: Terminal, size: tuple[int, int]) -> None:
    """A window may be dragged to nearly nothing."""
    await set_scene(rally)
    drawn(await told(rally), *size, now_ms=rally.clock.now_ms())


async def test_leases_and_standbys_count_down(rally: Terminal) -> None:
    """The bar and the time shrink with the clock alone; what is over says so."""
    await rally.json("enter", "--tool", "a:1")
    await rally.say("a:1", "claim", "--path", "src", "--ttl", "2h")
    await rally.say("a:1", "standby", "--wake-after", "+90m")
    data, begin_ms = await told(rally), rally.clock.now_ms()
    data["facts"] = []

    def after(minutes: int) -> tuple[int, str]:
        now_ms = begin_ms + minutes * 60_000 + 500
        lines = [line.rstrip() for line in drawn(data, 80, 20, now_ms=now_ms, colour=False)]
        text = "\n".join(lines)
        return next(line for line in lines if line.endswith("src")).count("━"), text

    full, text = after(0)
    assert "2:00:00" in text
    assert "1:30:00" in text
    half, text = after(61)
    assert 0 < half < full
    assert "59:00" in text
    assert "29:00" in text
    none, text = after(121)
    assert none == 0
    assert "lapsed" in text
    assert "due (time)" in text


async def test_what_does_not_fit_is_counted(rally: Terminal) -> None:
    """The newest are shown, and how many there are."""
    for number in range(30):
        await rally.say("a:1", "claim", "--path", f"p{number}")
    text = "\n".join(drawn(await told(rally), 80, 12, now_ms=rally.clock.now_ms()))
    assert re.search(r"claims [2-9] of 30", text)
    assert " p29" in text


async def test_the_daemon_does_not_know_it(rally: Terminal) -> None:
    """Law 1: what runs in its caller's process is not even loaded elsewhere."""
    assert (await rally("top", "--json")).error["code"] == "usage"


# --- the command


class Tty:
    """`rally top` in the foreground of a terminal."""

    def __init__(self, room: Room, *words: str, columns: int = 80, **env: str) -> None:
        self.leader, follower = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(self.leader)
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, RALLY, "top", *words],
            cwd=room.root, env={**room.env, "TERM": "xterm", **env}, start_new_session=True,
            stdin=follower, stdout=follower, stderr=follower,
        )  # fmt: skip
        os.close(follower)
        self.text = b""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.leader, keys)

    def frames(self) -> list[list[str]]:
        """The lines of every frame that has arrived whole."""
        pieces = self.text.decode(errors="replace").split(FRAME_BEGINS)[1:]
        whole = [piece.partition(FRAME_ENDS) for piece in pieces]
        plain = [re.sub(r"\x1b\[(2K|H|[0-9;]*m)", "", frame) for frame, end, _ in whole if end]
        return [re.split(r"\r+\n", frame) for frame in plain]

    def read(self, deadline: float) -> bool:
        """Take what comes next; false at the end of the terminal."""
        ready, _, _ = select.select([self.leader], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing came any more: {self.text[-2_000:]!r}"
        try:
            piece = os.read(self.leader, 65_536)
        except OSError:  # nobody has it open on the other side
            return False
        self.text += piece
        return True

    def frame(self, wanted: str, *, width: int | None = None) -> list[str]:
        """The first frame from now on in which something stands; forgets the ones before."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for lines in self.frames():
                is_wide = width is None or max(map(display_width, lines)) == width
                if is_wide and any(wanted in line for line in lines):
                    self.text = b""
                    return lines
            assert self.read(deadline), (wanted, self.text)

    def ends(self) -> int:
        """Read to the end; the exit code of a program that left the terminal as it was."""
        deadline = time.monotonic() + PATIENCE_S
        while self.read(deadline):
            pass
        code = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self.leader) == self.before
        assert GIVEN_BACK in self.text
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self.leader)


class Desk:
    """A room, and the terminals in which it is looked at."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.open: list[Tty] = []

    def top(self, *words: str, **how: Any) -> Tty:
        self.open.append(Tty(self.room, *words, **how))
        return self.open[-1]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A folder without a room, whose daemon starts with the first command."""
    with room_in(tmp_path) as room:
        made = Desk(room)
        try:
            yield made
        finally:
            for tty in made.open:
                tty.close()


@pytest.mark.parametrize("mode", ["on", "off"])
def test_it_draws_the_room_and_what_is_said_afterwards(desk: Desk, mode: str) -> None:
    """A new claim appears by itself, with a daemon and without; q leaves with 0."""
    desk.room.env["RALLY_DAEMON"] = mode
    desk.room.say("claim", "--path", "src/first", "--subject", "\x1b[2Jevil")
    tty = desk.top()
    lines = tty.frame("src/first")
    assert len(lines) == 24
    assert "1 claim" in lines[0]
    assert any("\\x1b[2Jevil" in line for line in lines)
    desk.room.say("claim", "--path", "src/second")
    tty.frame("src/second")
    tty.type(b"q")
    assert tty.ends() == 0


def test_it_counts_down_while_nothing_happens(desk: Desk) -> None:
    """Two frames with another time in them, and no fact between them."""
    desk.room.say("standby", "--wake-after", "+1h")
    tty = desk.top()
    first = tty.frame("tester")
    head, clock = first[0].rsplit(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ", clock)
    second = next(lines for lines in iter(lambda: tty.frame("tester"), None) if lines != first)
    assert second[0].rsplit(" ", 1)[0] == head


def test_it_follows_the_size_of_the_window(desk: Desk) -> None:
    """Also where COLUMNS says otherwise."""
    desk.room.say("claim", "--path", "src")
    tty = desk.top(columns=80, COLUMNS="60", LINES="10")
    assert len(tty.frame("src", width=80)) == 24
    tty.resize(132)
    tty.frame("src", width=132)
    tty.resize(40)
    tty.frame("src", width=40)


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_every_way_out_leaves_the_terminal_as_it_was(desk: Desk, way: str) -> None:
    """Ctrl-C and the signals of a closing session end it like q."""
    desk.room.say("claim", "--path", "src")
    tty = desk.top()
    tty.frame("src")
    if way == "Ctrl-C":
        tty.type(b"\x03")
    else:
        tty.process.send_signal(getattr(signal, way))
    assert tty.ends() == 0
    assert b"Traceback" not in tty.text


def test_while_it_is_stopped_the_terminal_is_the_shells(desk: Desk) -> None:
    """Ctrl-Z gives the terminal back; going on takes it and draws anew."""
    desk.room.say("claim", "--path", "src")
    tty = desk.top()
    tty.frame("src")
    assert termios.tcgetattr(tty.leader) != tty.before
    tty.type(b"\x1a")
    _, status = os.waitpid(tty.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert termios.tcgetattr(tty.leader) == tty.before
    tty.text = b""
    tty.process.send_signal(signal.SIGCONT)
    tty.frame("src")
    tty.type(b"q")
    assert tty.ends() == 0


def test_a_daemon_that_ends_does_not_end_it(desk: Desk) -> None:
    """It goes on with the next one."""
    desk.room.say("claim", "--path", "src/first")
    tty = desk.top()
    tty.frame("src/first")
    desk.room.ask("daemon", "stop")
    desk.room.say("claim", "--path", "src/second")
    tty.frame("src/second")
    tty.type(b"q")
    assert tty.ends() == 0


def test_a_room_that_is_removed_is_an_error_on_a_whole_terminal(desk: Desk) -> None:
    """The error stands below the shell's lines and not on a screen that vanishes."""
    desk.room.say("claim", "--path", "src")
    tty = desk.top()
    tty.frame("src")
    shutil.rmtree(desk.room.root / ".rally")
    assert tty.ends() == 1
    assert b"error: the room in" in tty.text.partition(GIVEN_BACK)[2]


def test_where_there_is_no_room_it_waits_for_one(desk: Desk) -> None:
    """R2: looking creates nothing; the first fact makes the room and is drawn."""
    tty = desk.top()
    tty.frame("nobody has said anything here yet")
    assert not (desk.room.root / ".rally").exists()
    desk.room.say("claim", "--path", "src/first")
    tty.frame("src/first")


def test_how_far_a_run_is_goes_on(desk: Desk) -> None:
    """A task that lands moves the bar of its run."""
    for task in ("one", "two"):
        desk.room.ask("task", "add", "--tool", "a", "--run", "r", "--id", task, "--intent", "x",
                      "--owns", task)  # fmt: skip
    tty = desk.top()
    tty.frame("0/2")
    desk.room.say("artifact", "--run", "r", "--step", "one", "--subject", "x")
    tty.frame("1/2")


# --- without a terminal


def test_piped_it_prints_the_room_once(desk: Desk) -> None:
    """O4: plain and stable, the text of `rally room`."""
    desk.room.say("claim", "--path", "src", "--subject", "\x1b[2Jevil")
    done = desk.room.run("top")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    assert done.stdout.startswith(f"{desk.room.root}  head 1  1 claim".encode())
    assert b"\\x1b[2Jevil" in done.stdout
    assert b"nobody has said" in desk.room.run("top", "--room", str(desk.room.root.parent)).stdout


def test_a_terminal_that_cannot_move_its_cursor_is_treated_as_none(desk: Desk) -> None:
    """TERM=dumb: the room once, no escapes."""
    desk.room.say("claim", "--path", "src")
    tty = desk.top(TERM="dumb")
    deadline = time.monotonic() + PATIENCE_S
    while tty.read(deadline):
        pass
    assert tty.process.wait(PATIENCE_S) == 0
    assert b"\x1b" not in tty.text
    assert b"1 claim" in tty.text


@pytest.mark.parametrize("mode", ["on", "off"])
def test_as_json_it_is_the_room_with_its_runs_and_last_facts(desk: Desk, mode: str) -> None:
    """O1: one envelope, the result at `data.top`."""
    desk.room.env["RALLY_DAEMON"] = mode
    desk.room.say("artifact", "--run", "r", "--step", "s", "--subject", "x")
    room, shown = desk.room.ask("room"), desk.room.ask("top")
    assert {name: shown[name] for name in ("room", "head", "totals", "recent_artifacts")} == {
        name: room[name] for name in ("room", "head", "totals", "recent_artifacts")
    }
    counts = {"planned": 0, "in_flight": 0, "stalled": 0, "landed": 1}
    assert shown["runs"] == [{"run": "r", "counts": counts}]
    assert [fact["seq"] for fact in shown["facts"]] == [1]


def test_a_room_that_is_not_there_is_a_usage_error(desk: Desk) -> None:
    """R1: --room names a folder that exists."""
    code, error = desk.room.error("top", "--room", "/nowhere/at/all")
    assert (code, error["code"]) == (2, "room-not-found")
