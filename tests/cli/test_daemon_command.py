"""`rally daemon`: a real daemon of the test's own, from its start to its end (contract R4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import Shell, own_env


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Shell]:
    """A folder in which commands may start a daemon; it is gone at the end."""
    cwd = tmp_path / "here"
    cwd.mkdir()
    env = own_env(tmp_path)
    del env["RALLY_DAEMON"]
    shell = Shell(cwd, env)
    yield shell
    shell.rally("daemon", "stop")


def test_the_daemon_can_be_started_looked_at_restarted_and_stopped(served: Shell) -> None:
    """Each says what it came to; doing it twice is no error."""
    assert served.rally("daemon", "status", "--json").data["running"] is False
    assert served.rally("daemon").out.startswith("no daemon runs at ")
    first = served.rally("daemon", "start", "--json").data
    assert (first["action"], first["running"]) == ("start", True)
    assert served.rally("daemon", "start", "--json").data["pid"] == first["pid"]
    served.rally("enter", "--tool", "a:1")
    status = served.rally("daemon", "status", "--json").data
    assert status["pid"] == first["pid"]
    assert status["rooms"] == [str(served.cwd)]
    shown = served.rally("daemon", "status").out
    assert shown.startswith(f"running  pid {first['pid']}")
    assert f"room    {served.cwd}" in shown
    again = served.rally("daemon", "restart", "--json").data
    assert again["stopped"] is True
    assert again["pid"] != first["pid"]
    assert "listens at" in served.rally("daemon", "logs").out
    assert len(served.rally("daemon", "logs", "--lines", "1", "--json").data["lines"]) == 1
    stopped = served.rally("daemon", "stop", "--json").data
    assert (stopped["stopped"], stopped["running"]) == (True, False)
    assert served.rally("daemon", "stop").out == "no daemon was running\n"


def test_the_daemon_gives_the_answers_of_direct_mode(served: Shell) -> None:
    """R4: the same words, the same bytes, with the daemon and without."""
    served.rally("enter", "--tool", "a:1")
    served.rally("say", "claim", "--tool", "a:1", "--path", "src")
    for words in (("log", "--json"), ("check", "before-write", "--tool", "b:1", "--path", "src"),
                  ("say", "nte"), ("dag", "--run", "r"), ("sya",), ("show", "1")):  # fmt: skip
        by_daemon, direct = served.rally(*words), served.rally(*words, RALLY_DAEMON="off")
        assert (by_daemon.code, by_daemon.out, by_daemon.err) == (
            direct.code,
            direct.out,
            direct.err,
        )


def test_a_git_check_asks_the_daemon(served: Shell) -> None:
    """K4: the staged files are read here, the check is answered there."""
    served.git("init", "-q")
    served.write("src/a")
    served.rally("say", "claim", "--tool", "a:1", "--path", "src")
    words = ("check", "before-commit", "--tool", "b:1", "--strict", "--json")
    with_daemon, without = served.rally(*words), served.rally(*words, RALLY_DAEMON="off")
    assert (with_daemon.code, with_daemon.data) == (4, without.data)


def test_a_daemon_that_is_switched_off_is_not_started(served: Shell) -> None:
    """RALLY_DAEMON=off means what it says."""
    result = served.rally("daemon", "start", "--json", RALLY_DAEMON="off")
    assert (result.code, result.error["code"]) == (1, "no-daemon")


def test_a_log_that_is_not_there_is_told(served: Shell) -> None:
    """Nothing was ever logged."""
    result = served.rally("daemon", "logs")
    assert result.code == 0
    assert result.out.startswith("nothing is logged in ")
    wrong = served.rally("daemon", "logs", "--lines", "0", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "bad-value")
