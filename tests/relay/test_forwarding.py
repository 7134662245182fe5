"""The command `rally` beside a warm daemon."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hot_path import ALLOWED, loaded
from rallyd import COMMAND, PATIENCE_S, Daemon, rally, start_rally

from rally import relay

WORKING_FOLDER = str(Path.cwd())


def test_the_hot_path_imports_nothing_heavy(daemon: Daemon) -> None:
    """Law 5: what a forwarded command has loaded when it ends is a short list."""
    env = {name: value for name, value in daemon.env.items() if name != "PYTHONPATH"}
    shown, modules = loaded("check", "show", "--json", env=env)
    assert shown.startswith(b"['check', 'show', '--json']")
    assert modules <= ALLOWED


def test_output_and_exit_code_are_the_daemons(daemon: Daemon) -> None:
    """Nothing is added and nothing is lost."""
    shown = rally(daemon.env, "room", "show", "--path", "a b", "")
    assert shown.stdout.startswith(b"['room', 'show', '--path', 'a b', ''] ")
    assert (shown.stderr, shown.returncode) == (b"", 0)
    refused = rally(daemon.env, "say", "err")
    assert (refused.stdout, refused.stderr) == (b"", b"error: no\nhint: yes\n")
    assert refused.returncode == 3
    assert rally(daemon.env, "log", "huge", "9000000").stdout == b"y" * 9_000_000


def test_it_sends_folder_width_and_the_environment_that_rally_reads(daemon: Daemon) -> None:
    """And nothing else of the environment: it may hold secrets."""
    extra = {"RALLY_TOOL": "codex:1", "NO_COLOR": "1", "COLUMNS": "99", "API_KEY": "secret"}
    shown = rally({**daemon.env, **extra}, "room", "show").stdout.decode()
    assert f"['room', 'show'] {WORKING_FOLDER} 99 False None " in shown
    assert "('RALLY_TOOL', 'codex:1')" in shown
    assert "('NO_COLOR', '1')" in shown
    assert "('HOME', " in shown
    assert "secret" not in shown
    assert "PATH" not in shown.replace("PYTHONPATH", "")


def test_on_a_terminal_it_wishes_for_colour_and_knows_the_width(daemon: Daemon) -> None:
    """Both are the terminal's, whatever COLUMNS says."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 40, 123, 0, 0))
    process = start_rally({**daemon.env, "COLUMNS": "99"}, "room", "show", stdout=follower)
    os.close(follower)
    process.communicate(timeout=PATIENCE_S)
    assert b" 123 True None" in os.read(leader, 65_536)
    os.close(leader)


def test_standard_input_is_sent_where_it_is_asked_for(daemon: Daemon) -> None:
    """By `-` as a whole argument or as an option's value."""
    for words in (("--summary", "-"), ("--summary=-",)):
        shown = rally(daemon.env, "say", "show", *words, stdin=b"caf\xc3\xa9\x00")
        assert b"b'caf\\xc3\\xa9\\x00'" in shown.stdout
    long = rally(daemon.env, "say", "show", "-", stdin=b"x" * 3_000_000).stdout
    assert long.count(b"x") == relay.INPUT_BYTES_MAX


def test_standard_input_is_left_alone_otherwise(daemon: Daemon) -> None:
    """A command inside a pipe or a loop does not eat what is meant for others."""
    read_end, write_end = os.pipe()
    process = start_rally(daemon.env, "say", "show", "--summary", "a-", stdin=read_end)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert b" None " in output
    os.write(write_end, b"still here")
    assert os.read(read_end, 64) == b"still here"
    os.close(read_end)
    os.close(write_end)


def test_a_closed_pipe_ends_quietly(daemon: Daemon) -> None:
    """Contract O4: `rally log | head -1` is no error."""
    process = start_rally(daemon.env, "log", "flood", "200")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(5) == b"xxxxx"
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_full_disk_is_an_error(daemon: Daemon) -> None:
    """An answer that could not be written is not passed over."""
    with open("/dev/full", "wb") as full:
        process = start_rally(daemon.env, "room", "show", stdout=full)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert errors == b"error: the answer cannot be written: No space left on device\n"


def test_a_pipe_that_does_not_block_gets_everything(daemon: Daemon) -> None:
    """Some programs hand their children such pipes; the answer is whole all the same."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    process = start_rally(daemon.env, "log", "huge", "1000000", stdout=write_end)
    os.close(write_end)
    with open(read_end, "rb") as output:
        assert output.read() == b"y" * 1_000_000
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")


def test_output_streams(daemon: Daemon) -> None:
    """A waiting command shows what it has before it ends."""
    process = start_rally(daemon.env, "wait", "stream")
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    with daemon.connect() as peer:
        peer.call("raise-sign", sign="argv-go")
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert (rest, process.returncode) == (b"last\n", 0)


def test_an_interrupt_ends_both_sides(daemon: Daemon) -> None:
    """Exit code 130, no traceback, and the daemon stops waiting on the caller's behalf."""
    process = start_rally(daemon.env, "wait", "stream")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (130, b"")
    with daemon.connect() as peer:
        assert peer.call("await-sign", sign="argv-cancelled")["ok"]


def test_an_interrupted_command_that_promised_json_keeps_its_word(daemon: Daemon) -> None:
    """O2: one object on standard output, nothing on standard error; none behind a part of an answer."""
    process = start_rally(daemon.env, "wait", "block", "--json")
    with daemon.connect() as peer:
        peer.call("await-sign", sign="argv-began")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE_S)
    answer = json.loads(out)
    assert (process.returncode, errors) == (130, b"")
    assert (answer["ok"], answer["command"]) == (False, "wait")
    assert (answer["error"]["code"], answer["error"]["exit_code"]) == ("interrupted", 130)
    begun = start_rally(daemon.env, "wait", "stream", "--json")
    assert begun.stdout is not None
    assert begun.stdout.readline() == b"first\n"
    begun.send_signal(signal.SIGINT)
    assert begun.communicate(timeout=PATIENCE_S) == (b"", b"")


def test_output_never_goes_into_the_socket(daemon: Daemon) -> None:
    """With standard output closed, the socket would get its number; the command still works."""
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, str(COMMAND), "room", "show"],
        env=daemon.env,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("room", "room"),
        ("--json room", "room"),
        ("--room /x --no-color check", "check"),
        ("--room=/x say", "say"),
        ("--room room", ""),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_the_verb_is_found_behind_global_options(words: str, verb: str) -> None:
    """`--room X`, `--room=X`, `--json` and `--no-color` may stand before it."""
    assert relay.verb_of(words.split()) == verb


@pytest.mark.parametrize(
    "words",
    [
        "check before-commit --tool a",
        "--room /x check --tool a range A..B",
        "room --help",
        "say note -h",
        "watch --once",
        "hold --path a -- make",
        "--version",
        "",
    ],
)
def test_what_the_daemon_cannot_do_runs_here(daemon: Daemon, words: str) -> None:
    """Runners, git phases, help, and everything that is not a verb of facilitation."""
    ran = rally(daemon.env, *words.split())
    assert ran.stdout.decode() == f"direct {words.split()!a}\n"
    assert ran.returncode == 7
