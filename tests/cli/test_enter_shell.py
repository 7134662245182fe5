"""`rally enter --shell`: a session of a shell's own, in lines that any POSIX shell reads back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import COMMAND, PATIENCE_S, Shell

HOSTILE = 'it\'s "me" $HOME `id` $(touch pwned) \\ é; exit 9 #'


def in_sh(shell: Shell, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A script of a POSIX shell in which `rally` is a command."""
    start = f'rally() {{ "{sys.executable}" "{COMMAND}" "$@"; }}\n'
    return subprocess.run(
        ["sh", "-eu", "-c", start + script], cwd=shell.cwd, env={**shell.env, **env}, text=True,
        capture_output=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip


def test_later_commands_are_those_of_the_session(shell: Shell) -> None:
    """Two shells of one tool are two sessions, and two owners."""
    script = """
        eval "$(rally enter --tool claude:1 --shell)"
        rally say claim --path src >/dev/null
        rally whoami --json
    """
    first, second = in_sh(shell, script), in_sh(shell, script)
    assert (first.returncode, first.stderr) == (0, "")
    assert '"session_id":"shell-' in first.stdout
    assert second.returncode == 3
    assert "claude:1 is here already" in second.stderr
    assert "claimed by claude:1" in second.stderr


def test_a_session_that_is_there_is_kept(shell: Shell) -> None:
    """Asked again in the same shell it is the same session; one that is named is that one."""
    script = """
        eval "$(rally enter --tool claude:1 --shell)"
        before=$RALLY_SESSION_ID
        eval "$(rally enter --shell)"
        test "$RALLY_SESSION_ID" = "$before"
        eval "$(rally enter --shell --session-id mine)"
        test "$RALLY_SESSION_ID" = mine
    """
    done = in_sh(shell, script)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: claude:1 is here already under session shell-")


def test_a_hostile_session_id_is_only_text(shell: Shell) -> None:
    """Contract O5: quoted so that a shell reads it back unchanged."""
    script = """
        eval "$(rally enter --tool claude:1 --shell --session-id "$GIVEN")"
        printf '%s' "$RALLY_SESSION_ID"
    """
    done = in_sh(shell, script, GIVEN=HOSTILE)
    assert (done.returncode, done.stdout, done.stderr) == (0, HOSTILE, "")
    assert not (shell.cwd / "pwned").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("enter", "--shell"), "who is calling"),
        (("enter", "--shell", "--tool", "a b"), "--tool may hold only"),
        (("enter", "--shell", "--tool", "a", "--role", "x" * 300), "--role has 300 characters"),
        (("enter", "--shell", "--tool", "a", "--room", "/nowhere"), "the room is no folder"),
    ],
)
def test_what_fails_prints_nothing_to_evaluate(
    shell: Shell, words: tuple[str, ...], says: str
) -> None:
    """The error is on standard error, the exit code says so, and no room was made."""
    failed = shell.rally(*words)
    assert (failed.code, failed.out) == (2, "")
    assert says in failed.err
    assert not Path(shell.cwd, ".rally").exists()


@pytest.mark.parametrize(
    "words", [("enter", "--shell", "--tool", "a", "--json"), ("--json", "enter", "--shell")]
)
def test_lines_for_a_shell_are_no_json(shell: Shell, words: tuple[str, ...]) -> None:
    """One of them has to be left out, wherever they stand."""
    failed = shell.rally(*words)
    assert (failed.code, failed.error["code"]) == (2, "usage")
    assert "--shell" in failed.error["message"]
