"""Starting agents: under a name of their own, in the right place, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from desk import Desk

# An agent that writes down what it finds around it, and stays.
WITNESS = """
import json, os, subprocess, sys
seen = {"cwd": os.getcwd(), "argv": sys.argv[1:], "env": dict(os.environ)}
with open(os.path.join(os.environ["HOME"], "seen.json"), "w") as file:
    json.dump(seen, file)
subprocess.run(["tmux", "wait-for", "-S", "seen"], check=True)
sys.stdin.read()
"""


def seen_by(desk: Desk) -> dict[str, Any]:
    """What the witness wrote down."""
    desk.wait_for("seen")
    seen: dict[str, Any] = json.loads(Path(desk.env["HOME"], "seen.json").read_text())
    return seen


async def statuses(desk: Desk) -> list[tuple[str, str]]:
    return [(fact["subject"], fact["status"]) for fact in await desk.facts("session")]


@pytest.mark.usefixtures("impatient")
async def test_an_agent_finds_its_room_and_itself(desk: Desk) -> None:
    """Contract X2: the room's root, and who it is, whoever started it and from wherever."""
    (desk.root / "sub").mkdir()
    desk.env |= {
        "RALLY_TOOL": "lead:1", "RALLY_SESSION_ID": "s9", "RALLY_FENCE": "7", "CLAUDECODE": "1",
        "GIT_DIR": "/nowhere",
    }  # fmt: skip
    words = ["it's; a $HOME", "#{pane_id}", "ends;", "", "\\", "é\n"]
    session = await desk.run(sys.executable, "-c", WITNESS, *words, flags=("--tool", "claude:7"))
    seen = seen_by(desk)
    assert seen["argv"] == words
    assert seen["cwd"] == str(desk.root)
    env = seen["env"]
    assert env["RALLY_TOOL"] == "claude:7"
    assert env["RALLY_SESSION_ID"] == session["session_id"]
    assert env["RALLY_ROOM"] == str(desk.root)
    assert not {"RALLY_FENCE", "CLAUDECODE", "GIT_DIR"} & env.keys()
    assert any(os.access(f"{folder}/rally", os.X_OK) for folder in env["PATH"].split(":"))


@pytest.mark.usefixtures("impatient")
async def test_a_start_is_two_facts(desk: Desk) -> None:
    """The name is taken before anything runs; that it runs is said when it does."""
    session = await desk.run("cat", flags=("--name", "ann"))
    first, second = await desk.facts("session")
    assert (first["status"], first["subject"], first["target"]) == ("starting", "ann", "ann")
    assert first["event_id"] == session["session_id"] == second["ref"]
    assert (second["status"], second["data"]["pane"]) == ("started", session["pane"])
    assert first["tool"] == "operator"
    assert desk.panes() == [session["pane"]]


async def test_an_agent_that_ends_at_once_never_started(desk: Desk) -> None:
    """Exit 1, what it said, and nothing of it is left."""
    script = "echo one; echo 'bad \x1b[31m key' >&2; exit 3"
    result = await desk("run", "demo", "--command-json", json.dumps(["sh", "-c", script]))
    assert result.code == 1
    error = result.error
    assert error["code"] == "start-failed"
    assert error["message"].startswith("the agent ended at once (exit code 3): bad")
    assert error["details"]["exit_code"] == 3
    assert error["details"]["output"][0] == "one"
    assert desk.panes() == []
    assert await statuses(desk) == [("demo-01", "starting"), ("demo-01", "failed")]
    assert (await desk("sessions")).data["sessions"] == []


@pytest.mark.parametrize("program", ["rally-no-such-program", "./no-such-file", "./plain.txt", "/"])
async def test_a_program_that_cannot_be_started(desk: Desk, program: str) -> None:
    """Found out before anything is made: exit 1, no fact, no room, no tmux server."""
    (desk.root / "plain.txt").touch(mode=0o600)
    result = await desk("run", "demo", "--command-json", json.dumps([program]))
    assert (result.code, result.error["code"]) == (1, "start-failed")
    assert program in result.error["message"]
    assert not (desk.root / ".rally").exists()
    assert desk.panes() == []


async def test_a_program_that_the_system_refuses(desk: Desk) -> None:
    """It looks like a program and is none: what the system says is told."""
    desk.program("broken", "#!/no/such/interpreter\n")
    result = await desk("run", "broken", "--command-json", '["broken"]')
    assert (result.code, result.error["code"]) == (1, "start-failed")
    assert result.error["details"]["exit_code"] == 127
    assert desk.panes() == []


@pytest.mark.usefixtures("impatient")
async def test_without_tmux(desk: Desk) -> None:
    """Exit 1 with a clear error; nothing was written."""
    cat = desk.program("mycat", "#!/bin/sh\nread x\n").parent
    env = {"PATH": str(cat)}
    result = await desk("run", "demo", "--command-json", '["mycat"]', env=env)
    assert (result.code, result.error["code"]) == (1, "no-tmux")
    assert not (desk.root / ".rally").exists()
    await desk.run("cat")
    listed = await desk("sessions", env=env)
    assert listed.data["sessions"][0]["state"] == "unknown"
    assert (await desk("stop", "demo-01", env=env)).error["code"] == "session-gone"
    waiting = (await desk("inject", "demo-01", "--text", "a", env=env)).data
    assert (waiting["reason"], waiting["queued"]) == ("unknown", True)


@pytest.mark.usefixtures("impatient")
async def test_a_name_that_is_taken(desk: Desk) -> None:
    """Exit 3, whether its agent lives or its last screen is kept; one whose pane is gone is free."""
    session = await desk.run("cat", flags=("--name", "ann"))
    again = ("run", "demo", "--name", "ann", "--command-json", '["cat"]')
    for _ in range(2):
        result = await desk(*again)
        assert (result.code, result.error["code"]) == (3, "name-taken")
        assert result.error["details"]["session_id"] == session["session_id"]
        if desk.tmux("list-panes", "-a", "-F", "#{pane_dead}").strip() == "0":
            desk.die(session["pane"])
    desk.kill_server()
    assert (await desk(*again, "--dry-run")).data["name"] == "ann"
    assert (await desk(*again)).data["session_id"] != session["session_id"]
    assert [status for _, status in await statuses(desk)] == [
        "starting", "started", "gone", "starting", "started",
    ]  # fmt: skip


@pytest.mark.usefixtures("impatient")
async def test_names_are_numbered_past_whoever_is_there(desk: Desk) -> None:
    """A number that means a session, a tool that is present, or a claim's owner is not used."""
    await desk.call("enter", tool="demo-01")
    await desk.call("say", kind="claim", tool="demo-03", paths=["a"])
    names = [(await desk.run("cat"))["name"] for _ in range(2)]
    assert names == ["demo-02", "demo-04"]
    await desk("stop", "demo-02")
    assert (await desk.run("cat"))["name"] == "demo-02"


async def test_sixteen_starts_at_once_give_sixteen_names(desk: Desk) -> None:
    """Processes with nothing between them but the ledger: no name twice, every agent lives."""
    starts = [
        desk.rally("run", "demo", "--command-json", '["cat"]', "--json") for _ in range(16)
    ]  # fmt: skip
    answers = []
    for one in starts:
        with one:
            out, err = await asyncio.to_thread(one.communicate)
        assert (one.returncode, err) == (0, ""), out
        answers.append(json.loads(out)["data"]["run"])
    names = sorted(answer["name"] for answer in answers)
    assert names == [f"demo-{number:02d}" for number in range(1, 17)]
    rows = (await desk("sessions")).data["sessions"]
    assert {row["state"] for row in rows} == {"running"}
    assert sorted(row["pane"] for row in rows) == sorted(desk.panes())


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "opencode", "cursor"])
@pytest.mark.usefixtures("impatient")
async def test_agents_that_are_known_by_name(desk: Desk, agent: str) -> None:
    """`rally run claude` starts claude."""
    program = "cursor-agent" if agent == "cursor" else agent
    desk.program(program, "#!/bin/sh\nread line\n")
    session = (await desk("run", agent)).data
    assert (session["name"], session["command"]) == (f"{agent}-01", [program])


async def test_cursors_newer_name(desk: Desk) -> None:
    """`agent` where there is no `cursor-agent`."""
    desk.program("agent", "#!/bin/sh\nread line\n")
    assert (await desk("run", "cursor", "--dry-run")).data["command"] == ["agent"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("foo",), "unknown-agent"),
        (("clod",), "unknown-agent"),
        (("a b", "--command-json", '["cat"]'), "bad-value"),
        (("../x", "--command-json", '["cat"]'), "bad-value"),
        (("all", "--command-json", '["cat"]'), "bad-value"),
        (("demo", "--command-json", "cat"), "bad-value"),
        (("demo", "--command-json", "[]"), "bad-value"),
        (("demo", "--command-json", '[""]'), "bad-value"),
        (("demo", "--command-json", '["A=b", "cat"]'), "bad-value"),
        (("demo", "--command-json", '["cat", 1]'), "bad-value"),
        (("demo", "--command-json", '{"cat": 1}'), "bad-value"),
        (("demo", "--command-json", '["cat", "a\\u0000b"]'), "bad-text"),
        (("demo", "--command-json", json.dumps(["cat", "a" * 8192])), "too-long"),
        (("demo", "--command-json", '["cat"]', "--name", "a b"), "bad-value"),
        (("demo", "--command-json", '["cat"]', "--name", ""), "bad-value"),
        (("demo", "--command-json", '["cat"]', "--name", "a" * 65), "bad-value"),
        (("demo", "--command-json", '["cat"]', "--name", "-x"), "bad-value"),
        (("demo", "--command-json", '["cat"]', "--tool", "a b"), "bad-tool"),
        (("demo", "--command-json", '["cat"]', "--tool", "all"), "bad-tool"),
        (("demo", "--command-json", '["cat"]', "--backend", "screen"), "bad-value"),
        (("demo", "--command-json", '["cat"]', "--worktree"), "not-a-repository"),
        ((), "usage"),
        (("claude", "extra"), "usage"),
    ],
)
async def test_bad_words_are_refused(desk: Desk, words: tuple[str, ...], code: str) -> None:
    """Exit 2, and nothing was made."""
    result = await desk("run", *words)
    assert (result.code, result.error["code"]) == (2, code)
    assert result.error["hint"]
    assert not (desk.root / ".rally").exists()
    assert desk.panes() == []


async def test_an_unknown_agent_names_the_one_that_was_meant(desk: Desk) -> None:
    """The hint can be typed."""
    assert (await desk("run", "cluade")).error["hint"] == "rally run claude"
    said = (await desk("run", "zzz")).error["hint"]
    assert said == """rally run zzz --command-json '["python3", "agent.py"]'"""


async def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    """No room, no server, no worktree; the name and the command that would be."""
    desk.make_repository()
    before = sorted(desk.root.rglob("*"))
    result = await desk(
        "run", "demo", "--command-json", '["cat", "a b"]', "--worktree", "--dry-run"
    )
    data = result.data
    assert result.code == 0
    assert (data["dry_run"], data["name"], data["tool"]) == (True, "demo-01", "demo-01")
    assert data["command"] == ["cat", "a b"]
    assert data["worktree"] == data["cwd"] == f"{desk.root}/.rally/worktrees/demo-01"
    assert data["tmux"][-2:] == ["@rally_session", "session-xxxxxxxxxxxx"]
    assert sorted(desk.root.rglob("*")) == before
    assert desk.panes() == []


@pytest.mark.usefixtures("impatient")
async def test_a_dry_run_is_refused_as_the_run_would_be(desk: Desk) -> None:
    """A name that is taken, a program that is not there."""
    await desk.run("cat", flags=("--name", "ann"))
    before = await desk.facts()
    taken = await desk("run", "demo", "--name", "ann", "--command-json", '["cat"]', "--dry-run")
    assert (taken.code, taken.error["code"]) == (3, "name-taken")
    missing = await desk("run", "demo", "--command-json", '["no-such"]', "--dry-run")
    assert (missing.code, missing.error["code"]) == (1, "start-failed")
    assert await desk.facts() == before


@pytest.mark.usefixtures("impatient")
async def test_a_session_is_started_through_the_daemon(desk: Desk) -> None:
    """With a daemon behind it the answer is the same."""
    del desk.env["RALLY_DAEMON"]
    try:
        session = await desk.run("cat")
        assert session["name"] == "demo-01"
        assert (await desk("daemon", "status")).data["running"]
        data = (
            await desk("inject", "demo-01", "--text", "a", "--require-ack", "--timeout", "0s")
        ).data
        assert (data["reached_target"], data["ack"]["timed_out"]) == (True, True)
    finally:
        await desk("daemon", "stop")


def test_an_interrupted_start_leaves_nothing(desk: Desk) -> None:
    """Ctrl-C while the agent is being watched: exit 130, no pane, and the ledger says it failed."""
    one = desk.rally("run", "demo", "--command-json", json.dumps([sys.executable, "-c", WITNESS]))
    with one:
        while not desk.panes():  # until there is a server, no channel can be waited on
            assert one.poll() is None
        desk.wait_for("seen")
        one.send_signal(2)
        assert one.wait() == 130
    assert desk.panes() == []
    with desk.rally("log", "--kind", "session", "--json") as log:
        facts = json.loads(log.communicate()[0])["data"]["log"]["facts"]
    assert [fact["status"] for fact in facts] == ["starting", "failed"]
