"""Text as data, and telling a shell's prompt from a program."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.execution.sessions import foreground
from rally.execution.sessions.foreground import (
    foreground_argv,
    foreground_group,
    group_runs,
    is_prompt,
)
from rally.execution.sessions.panes import FORMAT, parse_pane, serves
from rally.execution.sessions.text import clean, handoff_text, subject_of
from rally.execution.sessions.tmux import escaped

BIDI = {"AL", "R", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    """No control but line feed and tab, no directional formatting; everything else in its order."""
    kept = clean(text)
    for char in kept:
        assert char in "\n\t" or unicodedata.category(char) != "Cc"
        if unicodedata.category(char) == "Cf":
            assert unicodedata.bidirectional(char) not in BIDI
    rest = iter(text)
    assert all(char in rest for char in kept)


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cf", "Cs"))))
def test_honest_text_is_left_alone(text: str) -> None:
    """What has no such character arrives as it was."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("word", "sent"),
    [("a", "a"), ("a;", "a\\;"), (";", "\\;"), ("a\\;", "a\\\\;"), ("a;b", "a;b"), ("", "")],
)
def test_a_word_stays_a_word_for_tmux(word: str, sent: str) -> None:
    """A `;` at the end of a word would end tmux's command."""
    assert escaped(word) == sent


@pytest.mark.parametrize(
    "argv",
    [["bash"], ["-zsh"], ["/bin/sh"], ["bash", "-i"], ["bash", "-l"], ["fish", "--login"],
     ["bash", "--rcfile", "x", "-i"], ["sh", "-o", "vi"], ["bash", "--norc", "-"], ["dash", "+e"]],
)  # fmt: skip
def test_a_shell_that_reads_the_terminal_is_a_prompt(argv: list[str]) -> None:
    """However it was called."""
    assert is_prompt(argv)


@pytest.mark.parametrize(
    "argv",
    [[], ["claude"], ["python3"], ["node", "/usr/bin/claude"], ["sh", "agent.sh"], ["bash", "-c", "x"],
     ["bash", "-lc", "claude"], ["fish", "--command", "x"], ["bash", "--", "agent.sh"], ["bashful"]],
)  # fmt: skip
def test_a_program_and_a_script_are_none(argv: list[str]) -> None:
    """An agent that is a shell script is an agent."""
    assert not is_prompt(argv)


# A session leader with a terminal of its own, as tmux makes one.
IN_TERMINAL = """
import os, sys
os.setsid()
os.close(os.open(sys.argv[1], os.O_RDWR))
os.write(1, b"r")
os.execvp("cat", ["cat", "-u"])
"""


def test_the_foreground_of_a_terminal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With /proc, and with ps where there is none."""
    main, other = pty.openpty()
    env = dict(os.environ)
    words = [sys.executable, "-c", IN_TERMINAL, os.ttyname(other)]
    with subprocess.Popen(words, stdin=other, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(1) == b"r"
            os.write(main, b"x\n")
            assert process.stdout.read(2) == b"x\n"  # it is cat by now
            assert foreground_group(process.pid, env) == process.pid
            assert foreground_argv(process.pid, env) == ["cat", "-u"]
            monkeypatch.setattr(foreground, "_has_proc", lambda: False)
            assert foreground_group(process.pid, env) == process.pid
            assert foreground_argv(process.pid, env) == ["cat", "-u"]
            assert foreground_argv(process.pid, {"PATH": ""}) == []
        finally:
            process.kill()
            os.close(other)
            os.close(main)


def test_a_process_that_is_gone_has_no_foreground() -> None:
    """Unknown, and no error."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert foreground_argv(process.pid, dict(os.environ)) == []


def test_what_ended_and_was_not_collected_does_not_run() -> None:
    """Nobody waits for remains that nobody collects; for a living member of the group somebody does."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        assert group_runs(process.pid)
        os.kill(process.pid, 9)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not group_runs(process.pid)
        process.wait()
        assert not group_runs(process.pid)


def test_a_line_of_tmux_is_read() -> None:
    """Free text stands last, so a separator in it does no harm; what is no line is none."""
    assert FORMAT.count("|") == 8
    pane = parse_pane("%3|1||9|77|0|5|session-a|a|b")
    assert pane is not None
    assert (pane.pane, pane.dead, pane.exit_status, pane.signal) == ("%3", True, None, 9)
    assert (pane.session_id, pane.command, pane.in_mode) == ("session-a", "a|b", False)
    assert parse_pane("no server") is None
    assert not serves("/nowhere/at/all")


def test_a_handoff_cannot_forge_lines() -> None:
    """What its sender wrote stays in its place, on lines of its own that are indented."""
    fact = {
        "event_id": "handoff-1", "tool": "ada", "subject": "a\n[rally] b\x1b", "uri": "x\ny",
        "intent": "question",
    }  # fmt: skip
    lines = handoff_text(fact, "it's").splitlines()
    assert lines[1:3] == ["    a", "    [rally] b\\x1b"]
    assert "uri: x\\ny" in lines
    assert lines[-2] == ("  rally say receipt --tool 'it'\"'\"'s' --ref handoff-1 --state accepted")


def test_the_first_line_is_the_subject() -> None:
    """Cut where it is too long for one."""
    assert subject_of("\n  hello \nworld") == "hello"
    assert len(subject_of("a" * 501)) == 500
