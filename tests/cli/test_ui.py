"""`rally ui`: one line for a status bar, that nothing an agent wrote can turn into a command."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import COMMAND, PATIENCE_S, Shell
from cli_terminal import Terminal

from rally.cli.screen import Screen
from rally.cli.text.ui import show_tmux_status

# Each is a command, a colour or a variable of tmux, if tmux gets to read it.
FORMATS = "#(touch ran) #[bg=red]x #{pid}"
# It makes the terminal it was given its controlling one, as a shell's is.
IN_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


async def test_it_says_what_asks_for_attention(rally: Terminal) -> None:
    """First what is asked of oneself; what there is none of is left out."""
    await rally.json("enter", "--tool", "ada")
    assert (await rally("ui")).out == "rally  quiet\n"
    for number in (1, 2):
        await rally.say("ben", "handoff", "--target", "ada", "--subject", f"look at it {number}")
    await rally.say("ben", "claim", "--path", "src")
    await rally.say("ben", "blocker", "--subject", "no database")
    await rally.say("ada", "standby", "--wake-after", "+1s")
    rally.clock.advance(2_000)
    assert (await rally("ui")).out == "rally  1 due  1 blocker  1 claim\n"
    line = (await rally("ui", "--tool", "ada")).out
    assert line == "ada  inbox 2: look at it 1  1 due  1 blocker  1 claim\n"
    data = await rally.json("ui", "--tool", "ada")
    assert {name: data[name] for name in ("claims", "blockers", "due", "inbox", "tool")} == {
        "claims": 1, "blockers": 1, "due": 1, "inbox": 2, "tool": "ada",
    }  # fmt: skip
    assert data["item"]["subject"] == "look at it 1"


async def test_the_numbers_are_those_of_the_other_commands(rally: Terminal) -> None:
    """One rule for each: status, inbox and wake-due count the same."""
    await rally.json("enter", "--tool", "ada")
    await rally.say("ben", "claim", "--path", "src", "--ttl", "1s")
    await rally.say("ben", "handoff", "--target", "all", "--subject", "hear me")
    await rally.say("ada", "standby", "--until", "free:src")
    rally.clock.advance(5_000)
    seen = await rally.json("ui", "--tool", "ada")
    assert (seen["claims"], seen["due"], seen["inbox"]) == (0, 1, 1)
    row = (await rally.json("status"))["rooms"][0]
    assert all(row[name] == seen[name] for name in ("head", "claims", "blockers", "due", "tools"))
    assert (await rally.json("inbox", "--tool", "ada"))["total"] == seen["inbox"]


async def test_a_bar_keeps_no_claim_alive(rally: Terminal) -> None:
    """It asks every few seconds, long after its agent has died: that is no activity."""
    await rally.say("ada", "claim", "--path", "src", "--ttl", "30m")
    for _ in range(6):
        rally.clock.advance(10 * 60_000)
        await rally("ui", "--tool", "ada", "--tmux-status")
    room = await rally.json("room")
    assert (room["head"], room["totals"]["active_claims"], room["totals"]["lapsed_claims"]) == (
        1,
        0,
        1,
    )


async def test_outside_a_room_the_line_is_empty(rally: Terminal) -> None:
    """And no room is made by looking."""
    for words in (("ui",), ("ui", "--tmux-status"), ("ui", "--tool", "ada")):
        shown = await rally(*words)
        assert (shown.code, shown.out, shown.err) == (0, "\n", "")
    assert (await rally.json("ui"))["head"] == 0


def test_an_empty_bar_does_not_hide_a_damaged_room(shell: Shell) -> None:
    """tmux shows standard output only; with --json it is an error like every other."""
    shell.rally("say", "note", "--tool", "a", "--subject", "x")
    (shell.cwd / ".rally" / "ledger.db").write_bytes(b"no database" * 900)
    bar = shell.rally("ui", "--tmux-status")
    assert (bar.code, bar.out, bar.err) == (1, "rally: corrupt-ledger\n", "")
    for words in (("ui", "--tmux-status", "--json"), ("ui", "--json")):
        failed = shell.rally(*words)
        assert (failed.code, failed.error["code"]) == (1, "corrupt-ledger")


def test_every_sign_that_tmux_reads_is_doubled() -> None:
    """Also where the text was cut, and where a line break was hidden in it."""
    data = {
        "room": "/x",
        "tool": "ada",
        "head": 1,
        "claims": 0,
        "blockers": 0,
        "due": 0,
        "inbox": 1,
    }
    screen = Screen(80, is_piped=True, colour=False, now_ms=0)
    for subject in ("#(id)", "x" * 29 + "#(id)", "##(id)", "a\n#(id)", "\x1b[31m#[fg=red]"):
        line = show_tmux_status({**data, "item": {"subject": subject}}, screen)
        assert line.count("\n") == 1
        assert line[:-1].isprintable()
        assert "#" not in line.replace("##", "")


@pytest.fixture
def tmux(shell: Shell) -> Iterator[list[str]]:
    """The words of a tmux with a server of its own, which ends with the test."""
    folder = tempfile.mkdtemp(prefix="rt-")  # a socket's path must be short
    words = ["tmux", "-u", "-S", f"{folder}/s", "-f", os.devnull]
    shell.env["TERM"] = "xterm"
    yield words
    subprocess.run([*words, "kill-server"], env=shell.env, check=True, timeout=PATIENCE_S)
    shutil.rmtree(folder)


def test_tmux_shows_the_line_and_carries_nothing_out(
    tmux: list[str], shell: Shell, tmp_path: Path
) -> None:
    """Real tmux, with a subject that is made of its formats: they stand there as text."""
    shell.rally("say", "handoff", "--tool", "ben", "--target", "ada", "--subject", FORMATS)
    rally = tmp_path / "rally"
    command = f'{shlex.quote(sys.executable)} {shlex.quote(str(COMMAND))} "$@"'
    rally.write_text(f"#!/bin/sh\nRALLY_TOOL=ada exec {command}\n")
    rally.chmod(0o700)
    line = f"#(cd #{{q:pane_current_path}} && {shlex.quote(str(rally))} ui --tmux-status)"
    for words in (
        ["new-session", "-d", "-x", "150", "-y", "10", "cat"],
        ["set", "-g", "status-right-length", "120"],
        ["set", "-g", "status-right", line],
    ):
        subprocess.run(
            [*tmux, *words], env=shell.env, cwd=shell.cwd, check=True, timeout=PATIENCE_S
        )
    drawn = screen_of([*tmux, "attach"], shell, until="1: ")
    assert f"ada  inbox 1: {FORMATS}" in drawn
    assert "\x1b[41m" not in drawn
    assert not (shell.cwd / "ran").exists()


def screen_of(words: list[str], shell: Shell, *, until: str) -> str:
    """What a program draws on a terminal of 150 columns, until and with a text."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 10, 150, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, shutil.which(words[0]) or words[0], *words[1:]],
        env=shell.env, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    drawn = b""
    try:
        while until.encode() not in drawn or b"\x1b" not in drawn.rpartition(until.encode())[2]:
            ready, _, _ = select.select([leader], [], [], PATIENCE_S)
            assert ready, drawn
            drawn += os.read(leader, 65_536)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        os.close(leader)
    return drawn.decode(errors="replace")
