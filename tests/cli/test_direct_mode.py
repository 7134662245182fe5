"""The command as a process of its own: direct mode and the client's commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import COMMAND, PATIENCE_S, Shell

# What a direct `check` must not load: each costs more than the check itself.
HEAVY = (
    "rich", "pydantic", "watchfiles", "subprocess32", "rally.client", "rally.execution",
    "rally.daemon", "rally.cli.dag_text", "rally.cli.help", "rally.cli.commands.check_git",
    "rally.cli.reference", "rally.facilitation.projections.dag", "click.shell_completion",
)  # fmt: skip


def test_a_command_without_a_daemon_gives_the_same_answer(shell: Shell) -> None:
    """R4: enter, claim, check and room in processes of their own."""
    assert shell.rally("enter", "--tool", "a:1").code == 0
    claim = shell.rally("say", "claim", "--tool", "a:1", "--path", "src", "--json")
    assert claim.data["fence"] == 2
    refused = shell.rally("say", "claim", "--tool", "b:1", "--path", "src/x", "--json")
    assert (refused.code, refused.error["code"]) == (3, "claim-conflict")
    check = shell.rally("check", "before-write", "--tool", "b:1", "--path", "src/x", "--strict")
    assert (check.code, check.out.splitlines()[0]) == (4, "stop")
    assert "claims (1)" in shell.rally("room").out
    assert not (Path(shell.env["RALLY_RUNTIME_DIR"])).exists()


def test_standard_input_is_read_where_a_dash_asks_for_it(shell: Shell) -> None:
    """F3, in a process."""
    words = ("say", "note", "--tool", "a:1", "--subject", "s", "--summary", "-", "--json")
    assert shell.rally(*words, stdin="über\n".encode()).data["fact"]["summary"] == "über"
    too_long = shell.rally(*words, stdin=b"x" * (1024 * 1024 + 10))
    assert (too_long.code, too_long.error["code"]) == (2, "usage")


def test_words_that_are_no_utf8_are_refused(shell: Shell) -> None:
    """F5: bytes that no terminal would send are an ordinary error."""
    done = subprocess.run(
        [sys.executable, COMMAND, *b"say note --tool a:1 --json --subject \xff".split()],
        cwd=shell.cwd, env=shell.env, capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "bad-text"


def test_a_direct_check_loads_only_what_it_needs(shell: Shell) -> None:
    """Section 9: a command without a daemon stays light."""
    shell.rally("enter", "--tool", "a:1")
    for words in (["check", "before-write", "--tool", "a:1", "--path", "p"],
                  ["say", "claim", "--tool", "a:1", "--path", "p"]):  # fmt: skip
        program = (
            "import sys\nfrom rally.cli.app import main\n"
            f"code = main({words!r})\n"
            "sys.stderr.write(chr(10).join(sys.modules))\nsys.exit(code)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=shell.cwd, env=shell.env,
                              capture_output=True, text=True, check=True)  # fmt: skip
        loaded = set(done.stderr.splitlines())
        assert "rally.facilitation.rooms" in loaded
        found = {name for name in loaded for heavy in HEAVY if f"{name}.".startswith(f"{heavy}.")}
        assert found == set(), words


def test_help_opens_nothing(shell: Shell) -> None:
    """The core is not even loaded for a help text."""
    program = (
        "import sys\nfrom rally.cli.app import main\nmain(['say', '--help'])\n"
        "assert 'asyncio' not in sys.modules and 'rally.facilitation.rooms' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=shell.cwd, env=shell.env,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [("log",), ("room",), ("--help",), ("log", "--json"), ("sya",)])
def test_a_closed_pipe_ends_quietly(shell: Shell, words: tuple[str, ...]) -> None:
    """O4: whoever reads may stop reading; that is exit 0 and no word about it."""
    for number in range(5):
        shell.rally("say", "note", "--tool", "a:1", "--subject", f"{number}")
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = shell.start(*words, stdout=write_end)
    os.close(write_end)
    if words == ("sya",):  # its answer goes to standard error
        assert done.returncode == 2
        return
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_under_standard_output_is_told(shell: Shell) -> None:
    """An answer that could not be written was not given."""
    with Path("/dev/full").open("wb") as full:
        done = shell.start("room", stdout=full)
    assert done.returncode == 1
    assert b"No space left" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("log", "--follow"),
        ("log", "--follow", "--json"),
        ("wait", "--until", "free:p", "--tool", "b:1"),
        ("wait", "--until", "free:p", "--tool", "b:1", "--json"),
    ],
)
def test_an_interrupt_is_130(shell: Shell, words: tuple[str, ...]) -> None:
    """O2, O3: Ctrl-C, without a traceback. Who was promised one object gets one; a stream just ends."""
    shell.rally("say", "claim", "--tool", "a:1", "--path", "p")
    program = (
        "import signal, sys, asyncio\n"
        "from rally.facilitation import service\n"
        "changed = service.RoomService.changed\n"
        "def told(self, *args, **more):\n"
        "    sys.stderr.write('asleep\\n'); sys.stderr.flush()\n"
        "    return changed(self, *args, **more)\n"
        "service.RoomService.changed = told\n"
        "from rally.cli.app import main\n"
        f"sys.exit(main({list(words)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=shell.cwd, env=shell.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == b"asleep\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err.replace(b"asleep\n", b"")) == (130, b"")
    if words[0] == "wait" and "--json" in words:
        assert json.loads(out)["error"]["code"] == "interrupted"
    else:
        assert b"interrupted" not in out


def test_a_folder_that_was_removed_is_no_crash(shell: Shell) -> None:
    """The folder of a command may go away under it."""
    gone = shell.cwd / "gone"
    gone.mkdir()
    program = (
        f"cd {gone} && rmdir {gone} && exec {sys.executable} {COMMAND} room --room {shell.cwd}"
    )
    done = subprocess.run(["/bin/sh", "-c", program], env=shell.env, capture_output=True,
                          timeout=PATIENCE_S, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


# -- init and verify ----------------------------------------------------------------------------------


def test_init_makes_a_room_once(shell: Shell) -> None:
    """R2: repeatable."""
    first, again = shell.rally("init", "--json"), shell.rally("init", "--json")
    assert (first.data["created"], again.data["created"]) == (True, False)
    assert (shell.cwd / ".rally" / "ledger.db").exists()
    assert "there is a room already" in shell.rally("init").out


def test_verify_proves_a_whole_ledger(shell: Shell) -> None:
    """R3."""
    for number in range(3):
        shell.rally("say", "note", "--tool", "a:1", "--subject", str(number))
    data = shell.rally("verify", "--json").data
    assert (data["ok"], data["facts"], data["whole_until"]) == (True, 3, 3)
    assert shell.rally("verify").out.startswith("whole  3 facts")


def test_verify_says_how_far_a_damaged_ledger_is_whole(shell: Shell) -> None:
    """R3, T4: exit 1 corrupt-ledger, with the report and the way to what is still whole."""
    for number in range(3):
        shell.rally("say", "note", "--tool", "a:1", "--subject", f"subject-{number}")
    ledger = shell.cwd / ".rally" / "ledger.db"
    raw = ledger.read_bytes()
    assert raw.count(b"subject-1") == 1
    ledger.write_bytes(raw.replace(b"subject-1", b"SUBJECT-1"))
    result = shell.rally("verify", "--json")
    assert (result.code, result.error["code"]) == (1, "corrupt-ledger")
    assert result.error["details"]["whole_until"] == 1
    assert result.error["details"]["first_problem"]["seq"] == 2
    assert result.error["details"]["whole_to_seq"] == 1
    aside = ledger.parent / "damaged"
    assert result.error["hint"] == f"mkdir {aside} && mv {ledger}* {aside}"
    text = shell.rally("verify")
    assert text.err.startswith(f"error: {ledger} is damaged: fact 2")


def test_verify_without_a_room_has_nothing_to_prove(shell: Shell) -> None:
    """R2: it creates nothing either."""
    result = shell.rally("verify", "--json")
    assert (result.code, result.data["facts"]) == (0, 0)
    assert result.envelope["warnings"][0]["code"] == "no-room"
    assert not (shell.cwd / ".rally").exists()


# -- completion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_completion_script_calls_back(shell: Shell, shell_name: str) -> None:
    """The script asks `rally` itself what could come next."""
    result = shell.rally("completion", shell_name)
    assert result.code == 0
    assert "_RALLY_COMPLETE" in result.out
    assert shell.rally("completion", shell_name, "--json").data["shell"] == shell_name


def test_an_unknown_shell_is_named(shell: Shell) -> None:
    """Exit 2, with those that are known."""
    result = shell.rally("completion", "tcsh", "--json")
    assert (result.code, result.error["code"]) == (2, "usage")
    assert result.error["details"]["choices"] == ["bash", "zsh", "fish", "install", "uninstall"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rally che", {"check", "check-ci"}),
        ("rally check bef", {"before-write", "before-complete", "before-commit"}),
        ("rally say cl", {"claim"}),
        ("rally say claim --res", {"--resource"}),
    ],
)
def test_words_are_completed(shell: Shell, line: str, expected: set[str]) -> None:
    """Commands, commands in groups, kinds and flags."""
    words = line.split(" ")
    result = shell.rally(
        _RALLY_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    found = {entry.partition(",")[2] for entry in result.out.splitlines()}
    assert found == expected
