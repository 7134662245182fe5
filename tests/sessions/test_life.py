"""How sessions are, what they show, and how they end: read from tmux, never guessed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from desk import PATIENCE_S, Desk

from rally.execution.sessions.foreground import group_runs

pytestmark = pytest.mark.usefixtures("impatient")

# A program that survives the end of its terminal. It holds a pipe open for as long as it lives.
STUBBORN = """
import signal, subprocess, sys
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
alive = open(sys.argv[1], "w")
subprocess.run(["tmux", "wait-for", "-S", "stubborn"], check=True)
while True:
    signal.pause()
"""


async def rows(desk: Desk) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await desk("sessions")).data["sessions"]
    return listed


def is_there(pid: int) -> bool:
    """Whether a process that leads its group runs."""
    return group_runs(pid)


# -- sessions -------------------------------------------------------------------------------------


async def test_the_list_tells_how_each_session_is(desk: Desk) -> None:
    """Running, dead with its exit status, and gone; with what the ledger knows of each."""
    running = await desk.run("cat", "-u")
    dead = await desk.run("sh", "-c", "tmux wait-for go; exit 7")
    killed = await desk.run("cat")
    gone = await desk.run("cat")
    desk.tmux("wait-for", "-S", "go")
    desk.wait_for_end(dead["pane"])
    desk.die(killed["pane"])
    desk.tmux("kill-pane", "-t", gone["pane"])
    found = {row["name"]: row for row in await rows(desk)}
    assert {name: row["state"] for name, row in found.items()} == {
        "demo-01": "running", "demo-02": "dead", "demo-03": "dead", "demo-04": "gone",
    }  # fmt: skip
    assert found["demo-02"]["exit_status"] == 7
    assert (found["demo-03"]["exit_status"], found["demo-03"]["signal"]) == (None, 9)
    one = found["demo-01"]
    assert (one["session_id"], one["pid"]) == (running["session_id"], running["pid"])
    assert (one["command"], one["cwd"]) == (["cat", "-u"], str(desk.root))
    assert (await desk("sessions")).data["totals"] == {"sessions": 4, "worktrees": 0}


async def test_a_pane_of_a_new_server_is_not_taken_for_an_old_one(desk: Desk) -> None:
    """Numbers of panes begin anew with every server; `%0` of yesterday is not `%0` of today."""
    old = await desk.run("cat")
    desk.kill_server()
    new = desk.pane("cat")
    assert new == old["pane"]
    assert [row["state"] for row in await rows(desk)] == ["gone"]
    assert (await desk("inject", "demo-01", "--text", "a")).data["reached_target"] is False


async def test_no_sessions(desk: Desk) -> None:
    """Where nothing was ever started nothing is made by looking."""
    data = (await desk("sessions")).data
    assert data == {
        "room": str(desk.root), "sessions": [], "worktrees": [],
        "totals": {"sessions": 0, "worktrees": 0},
    }  # fmt: skip
    assert (await desk.text("sessions")).out == "no sessions\n"
    assert not (desk.root / ".rally").exists()


async def test_the_list_as_text(desk: Desk) -> None:
    """Aligned and short, what agents chose made visible."""
    await desk.run("sh", "-c", "cat", "\x1b[31m", flags=("--tool", "codex:api"))
    lines = (await desk.text("sessions")).out.splitlines()
    assert lines[0] == "sessions (1)"
    assert lines[1].split() == ["name", "tool", "state", "pane", "since", "command"]
    assert lines[2].split()[:4] == ["demo-01", "codex:api", "running", "%0"]
    assert "\\x1b[31m" in lines[2]


# -- capture --------------------------------------------------------------------------------------


async def test_the_screen_can_be_captured(desk: Desk) -> None:
    """What stands there, also after the program has ended; of long output the last lines."""
    script = "seq 1 300; echo 'é \\033[31mred'; tmux wait-for -S shown; tmux wait-for go"
    session = await desk.run("sh", "-c", script)
    desk.wait_for("shown")
    screen = (await desk("capture", "demo-01")).data
    assert screen["lines"][-1] == "é red"
    assert len(screen["lines"]) < 60
    assert (await desk("capture", "demo-01", "--lines", "3")).data["lines"] == [
        "299",
        "300",
        "é red",
    ]
    assert (await desk.text("capture", "demo-01", "--lines", "1")).out == "é red\n"
    desk.die(session["pane"])
    after = (await desk("capture", "demo-01")).data
    assert (after["state"], after["lines"][0], after["lines"][-1]) == ("dead", "1", "é red")


async def test_what_has_no_pane_cannot_be_shown(desk: Desk) -> None:
    """Gone is exit 1, a word that means nothing exit 2."""
    session = await desk.run("cat")
    desk.tmux("kill-pane", "-t", session["pane"])
    for verb in ("capture", "attach"):
        result = await desk(verb, "demo-01")
        assert (result.code, result.error["code"]) == (1, "session-gone")
        result = await desk(verb, "nobody")
        assert (result.code, result.error["code"]) == (2, "unknown-session")
    assert (await desk("capture", "demo-01", "--lines", "0")).error["code"] == "bad-value"


# -- attach ---------------------------------------------------------------------------------------


async def test_attach_shows_the_terminal(desk: Desk) -> None:
    """The command becomes tmux, in this terminal, on the agent's session."""
    session = await desk.run("cat")
    desk.tmux("set-hook", "-g", "client-attached", "wait-for -S attached")
    main, other = pty.openpty()
    with desk.rally("attach", "demo-01", stdin=other, stdout=other, stderr=other) as attaching:
        os.close(other)
        desk.wait_for("attached")
        shown = desk.tmux("list-clients", "-F", "#{client_pid} #{pane_id}").split()
        assert shown == [str(attaching.pid), session["pane"]]
        desk.tmux("kill-pane", "-t", session["pane"])
        while True:  # a terminal that nobody reads keeps its writer
            try:
                if not os.read(main, 65_536):
                    break
            except OSError:
                break
        assert attaching.wait(PATIENCE_S) == 0
    os.close(main)


async def test_attach_needs_a_terminal(desk: Desk) -> None:
    """Without one it says what would work; with `--json` it answers the command."""
    session = await desk.run("cat")
    with desk.rally("attach", "demo-01", stdin=subprocess.DEVNULL) as attaching:
        _, err = attaching.communicate()
    assert attaching.returncode == 2
    assert "hint: rally capture demo-01" in err
    data = (await desk("attach", "demo-01")).data
    assert data["command"][-3:] == ["attach-session", "-t", session["pane"]]
    around = {"TMUX": f"{session['socket']},1,0", "TMUX_PANE": "%9"}
    data = (await desk("attach", "demo-01", env=around)).data
    assert data["command"][-3:] == ["switch-client", "-t", session["pane"]]


# -- stop -----------------------------------------------------------------------------------------


async def test_stop_ends_agent_pane_and_session(desk: Desk) -> None:
    """By name or by tool id; the second time there is nothing to stop."""
    session = await desk.run("cat", flags=("--tool", "codex:api"))
    other = await desk.run("cat")
    data = (await desk("stop", "codex:api")).data
    assert (data["name"], data["was"], data["fact"]["status"]) == ("demo-01", "running", "stopped")
    assert desk.panes() == [other["pane"]]
    assert not is_there(session["pid"])
    assert [row["name"] for row in await rows(desk)] == ["demo-02"]
    result = await desk("stop", "demo-01")
    assert (result.code, result.error["code"]) == (2, "unknown-session")
    assert result.error["details"]["sessions"] == ["demo-02"]


async def test_stop_ends_an_agent_that_does_not_want_to(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hang-up, SIGTERM, SIGKILL."""
    monkeypatch.setattr("rally.execution.sessions.stop.HANGUP_S", 0.1)
    monkeypatch.setattr("rally.execution.sessions.stop.TERM_S", 0.1)
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    life = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    await desk.run(sys.executable, "-c", STUBBORN, str(pipe))
    desk.wait_for("stubborn")
    await desk.run("cat")  # the server stays
    assert (await desk("stop", "demo-01")).code == 0
    assert select.select([life], [], [], PATIENCE_S)[0]
    assert os.read(life, 1) == b""
    os.close(life)


async def test_stop_of_what_is_dead_or_gone_ends_the_session(desk: Desk) -> None:
    """Everything that opens can be closed."""
    dead, gone = await desk.run("cat"), await desk.run("cat")
    desk.die(dead["pane"])
    desk.tmux("kill-pane", "-t", gone["pane"])
    assert (await desk("stop", "demo-01")).data["was"] == "dead"
    data = (await desk("stop", "demo-02")).data
    assert (data["was"], data["fact"]["reason"]) == ("gone", "its pane was gone")
    assert desk.panes() == []
    assert await rows(desk) == []


async def test_stop_can_let_go(desk: Desk) -> None:
    """`--forget`: the pane lives on, and belongs to nobody."""
    session = await desk.run("cat")
    data = (await desk("stop", "demo-01", "--forget")).data
    assert (data["was"], data["fact"]["status"]) == ("running", "released")
    assert desk.panes() == [session["pane"]]
    assert (await desk("adopt", session["pane"], "--name", "again")).code == 0


async def test_an_agent_can_stop_itself(desk: Desk) -> None:
    """What it has to tell comes before the end of its own terminal."""
    await desk.run("sh", "-c", "tmux wait-for go; exec rally stop demo-01")
    await desk.run("cat")
    desk.tmux("set-hook", "-g", "after-kill-pane", "wait-for -S killed")
    desk.tmux("wait-for", "-S", "go")
    desk.wait_for("killed")
    assert [row["name"] for row in await rows(desk)] == ["demo-02"]
    assert (await desk.facts("session"))[-1]["status"] == "stopped"


async def test_stop_tells_what_the_agent_still_holds(desk: Desk) -> None:
    """Its claims lapse by themselves, or go at once by the command in the warning."""
    session = await desk.run("cat")
    await desk.call(
        "say", kind="claim", tool="demo-01", session_id=session["session_id"], paths=["a"]
    )
    await desk.call("say", kind="claim", tool="demo-01", session_id="another", paths=["b"])
    result = await desk("stop", "demo-01")
    assert result.warnings == ["claims-left"]
    leave = result.envelope["warnings"][0]["message"].partition("rally ")[2].split()
    assert (await desk(*leave)).code == 0
    held = (await desk.call("room"))["active_claims"]
    assert [claim["paths"] for claim in held] == [["b"]]


# -- adopt ----------------------------------------------------------------------------------------


async def test_a_pane_can_be_adopted(desk: Desk) -> None:
    """One that rally did not start; its program is left alone."""
    pane = desk.pane("cat")
    result = await desk("adopt", pane, "--name", "mine", "--tool", "codex:2")
    assert result.code == 0
    data = result.data
    assert (data["name"], data["tool"], data["pane"]) == ("mine", "codex:2", pane)
    assert result.warnings == ["own-environment"]
    assert (await rows(desk))[0]["status"] == "adopted"
    assert (await desk("inject", "codex:2", "--text", "a")).data["reached_target"]
    assert [fact["status"] for fact in await desk.facts("session")] == ["adopted"]
    await desk("stop", "mine")
    assert desk.panes() == []


async def test_adopt_takes_the_callers_own_pane(desk: Desk) -> None:
    """Inside tmux no pane need be named; the server is the one around."""
    pane = desk.pane("cat")
    socket = desk.tmux("display-message", "-p", "-t", pane, "#{socket_path}").strip()
    env = {"TMUX": f"{socket},1,0", "TMUX_PANE": pane, "RALLY_TMUX_SOCKET": ""}
    data = (await desk("adopt", env=env)).data
    assert (data["name"], data["pane"]) == ("adopted-01", pane)


async def test_a_pane_belongs_to_one_session(desk: Desk) -> None:
    """Of any number that adopt it at once one does; another room's is not taken either."""
    pane = desk.pane("cat")
    racers = [desk.rally("adopt", pane, "--name", f"racer-{n}", "--json") for n in range(4)]
    codes = []
    for racer in racers:
        with racer:
            racer.communicate()
        codes.append(racer.returncode)
    assert sorted(codes) == [0, 3, 3, 3]
    assert len(await rows(desk)) == 1
    (desk.root / "other").mkdir()
    result = await desk("adopt", pane, "--room", "other")
    assert (result.code, result.error["code"]) == (3, "pane-taken")
    assert not (desk.root / "other" / ".rally").exists()


async def test_a_shell_can_be_adopted_and_is_told_nothing(desk: Desk) -> None:
    """A shell is no agent: a warning, and what is injected waits."""
    pane = desk.pane("sh")
    result = await desk("adopt", pane, "--name", "mine")
    assert result.warnings == ["own-environment", "shell-prompt"]
    data = (await desk("inject", "mine", "--text", "rm -rf .")).data
    assert (data["reached_target"], data["reason"]) == (False, "shell-prompt")


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("%99",), "bad-value", 2),
        (("no such:1.0",), "bad-value", 2),
        ((), "usage", 2),
        (("%0", "--name", "a b"), "bad-value", 2),
        (("%0", "--tool", "all"), "bad-tool", 2),
        (("%0", "--name", "taken"), "name-taken", 3),
    ],
)
async def test_what_cannot_be_adopted(
    desk: Desk, words: tuple[str, ...], code: str, exit_code: int
) -> None:
    """The words are wrong or the name is taken; the pane stays whose it was."""
    desk.pane("cat")
    await desk.run("cat", flags=("--name", "taken"))
    before = await desk.facts()
    result = await desk("adopt", *words)
    assert (result.code, result.error["code"]) == (exit_code, code)
    assert await desk.facts() == before
    assert desk.tmux("display-message", "-p", "-t", "%0", "#{@rally_session}").strip() == ""


async def test_a_dead_pane_cannot_be_adopted(desk: Desk) -> None:
    """There is nobody in it."""
    pane = desk.pane("cat")
    desk.tmux("set-option", "-p", "-t", pane, "remain-on-exit", "on")
    desk.die(pane)
    result = await desk("adopt", pane)
    assert (result.code, result.error["code"]) == (2, "bad-value")
