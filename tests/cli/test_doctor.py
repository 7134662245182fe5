"""`rally doctor`: it works where everything else is broken, and each finding names its way out."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_process import COMMAND, PATIENCE_S, Shell, own_env
from cli_terminal import Result

from rally.hosts.known import HOOKS

HOSTS = tuple(HOOKS)


def finding(result: Result, code: str) -> dict[str, Any]:
    """The one finding of a code."""
    (found,) = (one for one in result.data["findings"] if one["code"] == code)
    assert isinstance(found, dict)
    return found


def codes(result: Result) -> set[str]:
    return {one["code"] for one in result.data["findings"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a room of three facts, made once."""
    folder = tmp_path_factory.mktemp("model")
    shell = Shell(folder / "here", own_env(folder))
    shell.cwd.mkdir()
    shell.git("init", "-q", "-b", "main")
    shell.git("commit", "-q", "--allow-empty", "-m", "first")
    for number in range(3):
        shell.rally("say", "note", "--tool", "a:1", "--subject", f"subject-{number}")
    return shell.cwd


@pytest.fixture
def here(model: Path, tmp_path: Path) -> Shell:
    """A copy of the model, and `rally` in PATH like after an install."""
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "rally"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {COMMAND} "$@"\n')
    command.chmod(0o755)
    shutil.copytree(model, tmp_path / "here")
    # The doctor also looks where a daemon of another environment would be, such as in the temp folder.
    temp = tmp_path / "temp"
    temp.mkdir()
    path = f"{programs}:/usr/bin:/bin"
    return Shell(tmp_path / "here", own_env(tmp_path, PATH=path, TMPDIR=str(temp)))


@pytest.fixture
def served(here: Shell) -> Iterator[Shell]:
    """The same with a daemon, which is ended however it is."""
    del here.env["RALLY_DAEMON"]
    assert here.rally("room").code == 0
    yield here
    pid = daemon_pid(here)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def daemon_pid(shell: Shell) -> int | None:
    try:
        pid = int(Path(shell.env["RALLY_RUNTIME_DIR"], "rallyd.lock").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def paste(shell: Shell, command: str | None) -> None:
    """Do what a finding says."""
    assert command is not None
    subprocess.run(["/bin/sh", "-c", command], cwd=shell.cwd, env=shell.env, check=True,
                   capture_output=True, timeout=PATIENCE_S)  # fmt: skip


def test_where_nothing_is_wrong_it_says_so(served: Shell) -> None:
    """Exit 0; the ledger is proven, and the daemon named with version, socket, age and clients."""
    result = served.rally("doctor", "--json")
    assert (result.code, result.data["healthy"], result.err) == (0, True, "")
    assert result.data["ledger"]["facts"] == result.data["ledger"]["whole_to_seq"] == 3
    assert result.data["ledger"]["bytes"] > 0
    assert result.data["checkpoint"] == {"seq": None, "facts_behind": 3, "age_s": None}
    daemon = result.data["daemon"]
    assert daemon["running"] is True
    assert {"pid", "version", "socket", "uptime_s", "clients"} <= daemon.keys()
    assert result.data["totals"]["problem"] == result.data["totals"]["warn"] == 0
    text = served.rally("doctor")
    assert text.out.splitlines()[-1] == "healthy: 0 problems, 0 warnings"
    assert "\x1b" not in text.out


def test_it_starts_no_daemon_and_makes_no_room(shell: Shell) -> None:
    """Asking how things are changes nothing, outside of any room and repository too."""
    del shell.env["RALLY_DAEMON"]
    shell.env["TMPDIR"] = str(shell.cwd)
    before = sorted(shell.cwd.parent.rglob("*"))
    result = shell.rally("doctor", "--json")
    assert result.code == 0
    assert finding(result, "no-room")["fix"] == "rally init"
    assert finding(result, "daemon-not-running")["severity"] == "info"
    assert sorted(shell.cwd.parent.rglob("*")) == before


def test_a_damaged_ledger_is_a_problem_with_its_way_out(here: Shell) -> None:
    """Exit 1 and still an answer; pasting the command begins anew."""
    ledger = here.cwd / ".rally" / "ledger.db"
    raw = ledger.read_bytes()
    ledger.write_bytes(raw.replace(b"subject-1", b"SUBJECT-1"))
    result = here.rally("doctor", "--json")
    assert (result.code, result.envelope["ok"], result.data["healthy"]) == (1, True, False)
    assert result.data["ledger"]["whole_to_seq"] == 1
    assert "only fact 1 is whole" in finding(result, "corrupt-ledger")["message"]
    ledger.write_bytes(b"garbage")
    paste(here, finding(here.rally("doctor", "--json"), "corrupt-ledger")["fix"])
    assert here.rally("say", "note", "--tool", "a:1", "--subject", "anew").code == 0
    assert here.rally("doctor").code == 0


def test_what_is_safe_is_put_right(here: Shell) -> None:
    """--fix; with --dry-run it only says so. A second time there is nothing left to do."""
    folder = here.cwd / ".rally"
    runtime = Path(here.env["RALLY_RUNTIME_DIR"])
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(runtime / "rallyd.sock"))
    folder.chmod(0o755)
    (folder / ".gitignore").unlink()
    (folder / "checkpoint").write_bytes(b"torn")
    del here.env["RALLY_DAEMON"]
    wanted = {"room-open", "room-not-ignored", "checkpoint-damaged", "leftover-socket"}
    for words in (("doctor",), ("doctor", "--fix", "--dry-run")):
        result = here.rally(*words, "--json")
        assert {one["code"] for one in result.data["findings"] if one["fixable"]} == wanted
        assert result.data["totals"]["fixed"] == 0
        assert (runtime / "rallyd.sock").exists()
    result = here.rally("doctor", "--fix", "--json")
    assert {one["code"] for one in result.data["findings"] if one["fixed"]} == wanted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "checkpoint.damaged").read_bytes() == b"torn"
    assert not (runtime / "rallyd.sock").exists()
    again = here.rally("doctor", "--fix", "--json")
    assert not codes(again) & wanted
    assert again.data["totals"]["fixed"] == 0


@pytest.mark.parametrize(
    "code", ["room-open", "room-not-ignored", "checkpoint-damaged", "leftover-socket"]
)
def test_the_commands_for_what_is_fixable_do_the_same(here: Shell, code: str) -> None:
    """Whoever pastes them by hand gets what --fix does."""
    folder = here.cwd / ".rally"
    runtime = Path(here.env["RALLY_RUNTIME_DIR"])
    runtime.mkdir(mode=0o700)
    del here.env["RALLY_DAEMON"]
    match code:
        case "room-open":
            folder.chmod(0o755)
        case "room-not-ignored":
            (folder / ".gitignore").write_text("")
        case "checkpoint-damaged":
            (folder / "checkpoint").write_bytes(b"torn")
        case _:
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(runtime / "rallyd.sock"))
    paste(here, finding(here.rally("doctor", "--json"), code)["fix"])
    assert code not in codes(here.rally("doctor", "--json"))


def test_a_daemon_that_does_not_answer_is_named(served: Shell) -> None:
    """Within a moment, with the process to end."""
    pid = daemon_pid(served)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    result = served.rally("doctor", "--json")
    assert result.code == 1
    assert finding(result, "daemon-silent")["fix"] == f"kill -9 {pid} && rally daemon start"
    status = served.rally("daemon", "status", "--json")
    assert (status.code, status.error["code"], status.error["hint"]) == (
        1, "no-daemon", f"kill -9 {pid}",
    )  # fmt: skip
    paste(served, finding(result, "daemon-silent")["fix"])
    assert served.rally("doctor").code == 0


def test_a_daemon_of_another_version_is_replaced_on_demand(here: Shell, tmp_path: Path) -> None:
    """--fix restarts it, whichever of the two is newer."""
    del here.env["RALLY_DAEMON"]
    program = (
        "import rally; rally.__version__ = '9.9.9'\n"
        "import sys; from rally.daemon.main import main; sys.exit(main(['--announce']))"
    )
    old = subprocess.Popen([sys.executable, "-c", program], env=here.env, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        assert old.stdout is not None
        assert old.stdout.readline() == b"ready\n"
        result = here.rally("doctor", "--json")
        assert finding(result, "daemon-other-version")["fix"] == "rally daemon restart"
        assert result.code == 0
        fixed = here.rally("doctor", "--fix", "--json")
        assert finding(fixed, "daemon-other-version")["fixed"] is True
        assert old.wait(PATIENCE_S) == 0
        assert finding(here.rally("doctor", "--json"), "daemon")["severity"] == "ok"
    finally:
        old.kill()
        old.communicate()
        pid = daemon_pid(here)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


def test_a_runtime_folder_that_nobody_may_use_is_named(here: Shell, tmp_path: Path) -> None:
    """Open to others, or not absolute: the rest is examined all the same."""
    del here.env["RALLY_DAEMON"]
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    result = here.rally("doctor", "--json", RALLY_RUNTIME_DIR=str(folder))
    assert finding(result, "foreign-runtime-dir")["fix"] == f"chmod 700 {folder}"
    relative = here.rally("doctor", "--json", RALLY_RUNTIME_DIR="run")
    assert relative.code == 1
    assert finding(relative, "relative-runtime-dir")["fix"] == "unset RALLY_RUNTIME_DIR"
    assert finding(relative, "ledger")["severity"] == "ok"
    assert not (here.cwd / "run").exists()


def test_daemons_of_other_environments_are_looked_for(here: Shell) -> None:
    """A hook that runs without RALLY_RUNTIME_DIR talks to another daemon, or to a dead one's socket."""
    del here.env["RALLY_DAEMON"]
    other = Path(here.env["TMPDIR"], f"rally-{os.geteuid()}")
    other.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(other / "rallyd.sock"))
    assert str(other) in finding(here.rally("doctor", "--json"), "leftover-socket")["message"]
    with socket.socket(socket.AF_UNIX) as alive:
        (other / "rallyd.sock").unlink()
        alive.bind(str(other / "rallyd.sock"))
        alive.listen()
        found = finding(here.rally("doctor", "--fix", "--json"), "other-daemon")
        assert found["fix"] == f"RALLY_RUNTIME_DIR={other} rally daemon stop"
        assert (other / "rallyd.sock").exists()


@pytest.mark.parametrize("words", [("room",), ("verify",), ("say", "note", "--tool", "a:1")])
def test_a_relative_runtime_folder_is_a_usage_error(here: Shell, words: tuple[str, ...]) -> None:
    """R4: it would be another daemon in each folder; the same answer with and without a daemon."""
    for env in ({}, {"RALLY_DAEMON": "on"}):
        result = here.rally(*words, "--json", RALLY_RUNTIME_DIR="run", **env)
        assert (result.code, result.error["code"]) == (2, "bad-value")
        assert "'run'" in result.error["message"]
    assert here.rally("--version", RALLY_RUNTIME_DIR="run").code == 0


def test_programs_and_versions_are_looked_for(here: Shell, tmp_path: Path) -> None:
    """rally missing in PATH, one that does not run, one of another version; no git, no tmux."""
    alone = here.rally("doctor", "--json", PATH=str(tmp_path / "nothing"))
    assert {"not-in-path", "no-git", "no-tmux"} <= codes(alone)
    assert finding(alone, "not-in-path")["fix"].startswith("export PATH=")
    other = tmp_path / "other"
    other.mkdir()
    (other / "rally").write_text("#!/bin/sh\necho rally 0.0.1\n")
    (other / "rally").chmod(0o755)
    both = here.rally("doctor", "--json", PATH=f"{here.env['PATH']}:{other}")
    assert f"{other}/rally (0.0.1)" in finding(both, "several-versions")["message"]
    (other / "rally").write_text("#!/bin/sh\nexit 3\n")
    broken = here.rally("doctor", "--json", PATH=f"{other}:{here.env['PATH']}")
    assert finding(broken, "broken-command")["fix"] == f"{other}/rally --version"


def test_worktrees_that_are_gone_are_counted_and_only_suggested(here: Shell) -> None:
    """--fix leaves git's registrations alone: a disk may only be unmounted."""
    tree = here.cwd.parent / "tree"
    here.git("worktree", "add", "-q", str(tree))
    assert finding(here.rally("doctor", "--json"), "worktrees")["message"] == "1 linked, all there"
    subprocess.run(["rm", "-r", str(tree)], check=True)
    found = finding(here.rally("doctor", "--fix", "--json"), "stale-worktrees")
    assert (found["fixable"], found["fixed"]) == (False, False)
    paste(here, found["fix"])
    assert "stale-worktrees" not in codes(here.rally("doctor", "--json"))


def test_a_fact_from_the_future_shows_a_wrong_clock(here: Shell) -> None:
    """Leases would end at the wrong time."""
    program = (
        "import asyncio, os\n"
        "from rally.facilitation.rooms import Rooms\n"
        "from rally.model.clock import SystemClock\n"
        "class Ahead(SystemClock):\n"
        "    def now_ms(self):\n"
        "        return super().now_ms() + 3_600_000\n"
        "async def main():\n"
        "    rooms = Rooms(clock=Ahead())\n"
        "    said = {'kind': 'note', 'tool': 'far:1', 'subject': 'x'}\n"
        f"    await rooms.call('say', said, cwd={str(here.cwd)!r}, env=dict(os.environ))\n"
        "    await rooms.close()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=here.env, timeout=PATIENCE_S)
    result = here.rally("doctor", "--json")
    assert finding(result, "clock-skew")["severity"] == "warn"
    assert 3_000_000 < result.data["clock"]["newest_fact_ahead_ms"] <= 3_600_000


def test_a_room_that_is_no_folder_is_told(shell: Shell) -> None:
    """And a working folder that is gone."""
    (shell.cwd / ".rally").write_text("x")
    assert "not-a-folder" in codes(shell.rally("doctor", "--json", "--room", str(shell.cwd)))
    gone = shell.rally("doctor", "--json", "--room", str(shell.cwd / "nowhere"))
    assert (gone.code, finding(gone, "room-not-found")["severity"]) == (1, "problem")


# Root may read everything, until it gives that up: CAP_DAC_OVERRIDE (1) and CAP_DAC_READ_SEARCH (2)
# leave the bounding set (prctl 24), and what is started then lacks them. Others have neither.
_AS_ANYBODY = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_cannot_be_read_is_named_and_the_rest_is_examined(here: Shell) -> None:
    """A closed room, a ledger that is not readable, a state folder out of reach."""
    folder = here.cwd / ".rally"
    state = Path(here.env["XDG_STATE_HOME"])
    state.mkdir(exist_ok=True)

    def examined(closed: Path) -> Result:
        before = stat.S_IMODE(closed.stat().st_mode)
        closed.chmod(0)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _AS_ANYBODY, sys.executable, str(COMMAND), "doctor", "--json"],
                cwd=here.cwd, env=here.env, capture_output=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
        finally:
            closed.chmod(before)
        return Result(done.returncode, done.stdout, done.stderr)

    room = examined(folder)
    assert (room.code, finding(room, "room-closed")["fix"]) == (1, f"chmod 700 {folder}")
    assert "worktrees" in codes(room)
    ledger = examined(folder / "ledger.db")
    assert finding(ledger, "unavailable")["fix"] == f"chmod u+rw {folder / 'ledger.db'}"
    away = examined(state)
    assert (away.code, finding(away, "no-state")["fix"]) == (0, f"chmod u+rwx {state}")


# -- the canary ---------------------------------------------------------------------------------------


def row(result: Result, host: str) -> dict[str, Any]:
    (found,) = (
        one for one in result.data["hooks"] if (one["surface"], one["scope"]) == (host, "repo")
    )
    assert isinstance(found, dict)
    return found


def rewrite(shell: Shell, host: str, command: str) -> None:
    """Put another command in the place of the one before a write."""
    old = row(shell.rally("doctor", "--json"), host)["command"]
    for file in row(shell.rally("doctor", "--json"), host)["files"]:
        path = Path(file)
        if path.exists():
            path.write_text(path.read_text().replace(json.dumps(old), json.dumps(command)))


def test_the_canary_proves_each_installed_command(here: Shell) -> None:
    """Every host's: a held path is denied, a free one is not. Nothing is said in the user's room, and
    nothing is left in the temp folder."""
    temp = Path(here.env["TMPDIR"])
    here.rally("hooks", "install", *HOSTS, "--auto-claim")
    before = here.rally("log", "--json", "--limit", "0").out
    untried = here.rally("doctor", "--json")
    assert {row(untried, host)["enforces"] for host in HOSTS} == {"unknown"}
    assert finding(untried, "hook-untried")["fix"] == "rally doctor --probe-hooks"
    result = here.rally("doctor", "--probe-hooks", "--json", RALLY_TOOL="a:1")
    assert result.code == 0
    assert {host: row(result, host)["enforces"] for host in HOSTS} == dict.fromkeys(HOSTS, True)
    assert "this does not show" in result.out
    assert here.rally("log", "--json", "--limit", "0").out == before
    assert list(temp.iterdir()) == []


def test_the_canary_commits_where_git_is_guarded(here: Shell) -> None:
    """A commit of a held path is stopped, one of a free path is not. A hook with more in it than rally's
    part is not run anywhere else."""
    here.rally("hooks", "install", "git")
    head = here.git("rev-parse", "HEAD")
    result = here.rally("doctor", "--probe-hooks", "--json")
    assert row(result, "git")["enforces"] is True, result.out
    hook = Path(row(result, "git")["command"])
    command = Path(here.env["PATH"].partition(":")[0], "rally")
    command.rename(command.with_name("away"))
    without = here.rally("doctor", "--probe-hooks", "--json")
    assert row(without, "git")["enforces"] is False
    marker = here.cwd.parent / "ran"
    hook.write_text(hook.read_text() + f"touch {marker}\n")
    more = here.rally("doctor", "--probe-hooks", "--json")
    assert (row(more, "git")["enforces"], marker.exists()) == ("unknown", False)
    assert here.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    ("host", "broken", "why"),
    [
        ("claude", "true # rally hook claude PreToolUse", "let through"),
        ("claude", "rally hook claude PreToolUse; exit 1", "let through"),
        ("claude", "/nowhere/rally hook claude PreToolUse", "not found"),
        ("codex", "rally hook codex PreToolUse 2>/dev/null", "let through"),
        ("gemini", "rally hook gemini BeforeTool; exit 2", "free path"),
        ("cursor", "rally hook cursor preToolUse >/dev/null", "let through"),
    ],
)
def test_the_canary_finds_out_a_command_that_does_not_deny(
    here: Shell, host: str, broken: str, why: str
) -> None:
    """By the host's own rule: exit 1 denies nothing, nor does exit 2 without a word for codex."""
    here.rally("hooks", "install", host)
    rewrite(here, host, broken)
    result = here.rally("doctor", "--probe-hooks", "--json")
    assert row(result, host)["command"] == broken
    assert (result.code, row(result, host)["enforces"]) == (1, False)
    assert why in finding(result, "hook-does-not-enforce")["message"]


def test_hooks_are_found_among_comments(here: Shell) -> None:
    """A configuration is read as it is installed into: comments and trailing commas are no hindrance."""
    here.rally("hooks", "install", "claude")
    settings = here.cwd / ".claude" / "settings.json"
    settings.write_text(settings.read_text().replace("{", "{ // mine", 1))
    result = here.rally("doctor", "--json")
    assert row(result, "claude")["command"] is not None
    assert "hook-missing" not in codes(result)


def test_the_canary_runs_no_command_against_a_room_of_its_own_choice(here: Shell) -> None:
    """What names another room could write there: it is not run, and the answer is `unknown`."""
    here.rally("hooks", "install", "claude")
    marker = here.cwd.parent / "ran"
    command = f"touch {shlex.quote(str(marker))}; RALLY_ROOM=/x rally hook claude PreToolUse"
    rewrite(here, "claude", command)
    result = here.rally("doctor", "--probe-hooks", "--json")
    assert row(result, "claude")["enforces"] == "unknown"
    assert not marker.exists()


def test_hooks_that_are_broken_or_missing_are_told(here: Shell) -> None:
    """A configuration that cannot be read, a part of the hooks, and a host that is used without any."""
    (here.cwd / ".claude").mkdir()
    absent = here.rally("doctor", "--json")
    assert "claude" in finding(absent, "hooks-absent")["fix"]
    settings = here.cwd / ".claude" / "settings.json"
    settings.write_text("{")
    assert finding(here.rally("doctor", "--json"), "hooks-broken")["severity"] == "problem"
    settings.write_text(
        json.dumps({"hooks": {"Stop": [{"hooks": [{"type": "command",
                                                   "command": "rally hook claude Stop"}]}]}})
    )  # fmt: skip
    partial = here.rally("doctor", "--json")
    assert "hook-missing" in codes(partial)
    paste(here, finding(partial, "hook-missing")["fix"])
    assert "hook-missing" not in codes(here.rally("doctor", "--json"))
