"""What cannot be delivered is not claimed to be: it waits in the inbox, and the reason is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from desk import Desk

pytestmark = pytest.mark.usefixtures("impatient")


async def inbox(desk: Desk, tool: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await desk.call("inbox", tool=tool))["items"]
    return items


async def expect_queued(desk: Desk, target: str, reason: str, *, tool: str = "") -> None:
    """A text to the target is not delivered, for this reason, and waits in its inbox."""
    result = await desk("inject", target, "--text", "please look\nat main")
    assert result.code == 0
    data = result.data
    assert (data["reached_target"], data["submitted"], data["queued"]) == (False, False, True)
    assert data["reason"] == reason
    assert data["ack"] == {"received": False, "state": None, "event_id": None, "timed_out": False}
    waiting = (await inbox(desk, tool or target))[-1]
    assert waiting["event_id"] == data["handoff_id"]
    assert (waiting["intent"], waiting["summary"]) == ("message", "please look\nat main")


async def test_a_dead_pane(desk: Desk) -> None:
    """The program has ended; its pane is kept, and nobody reads there."""
    session = await desk.run("cat")
    desk.die(session["pane"])
    await expect_queued(desk, "demo-01", "dead")


async def test_a_pane_that_is_gone(desk: Desk) -> None:
    """Closed behind rally's back, with the server or without."""
    session = await desk.run("cat")
    other = await desk.run("cat")
    desk.tmux("kill-pane", "-t", session["pane"])
    await expect_queued(desk, "demo-01", "gone")
    desk.kill_server()
    await expect_queued(desk, other["name"], "gone")


async def test_a_pane_in_copy_mode(desk: Desk) -> None:
    """Somebody scrolls there: keys would be commands of that mode. Afterwards it is delivered."""
    session = await desk.run("cat")
    desk.tmux("copy-mode", "-t", session["pane"])
    await expect_queued(desk, "demo-01", "copy-mode")
    assert (await desk("sessions")).data["sessions"][0]["in_mode"]
    desk.tmux("send-keys", "-t", session["pane"], "-X", "cancel")
    assert (await desk("inject", "demo-01", "--text", "now")).data["reached_target"]


async def test_an_agent_that_left_a_shell_behind(desk: Desk) -> None:
    """At a shell's prompt the text would be carried out."""
    session = await desk.run("sh", "-c", "tmux wait-for go; exec sh")
    assert not (await desk("sessions")).data["sessions"][0]["at_prompt"]
    desk.tmux("pipe-pane", "-t", session["pane"],
              f"head -c 1 && tmux -L {desk.socket} wait-for -S prompt")  # fmt: skip
    desk.tmux("wait-for", "-S", "go")
    desk.wait_for("prompt")
    await expect_queued(desk, "demo-01", "shell-prompt")
    row = (await desk("sessions")).data["sessions"][0]
    assert (row["state"], row["at_prompt"]) == ("running", True)


async def test_a_shell_that_was_asked_for_is_the_agent(desk: Desk) -> None:
    """Who starts a shell as agent wants it to be told things."""
    await desk.run("sh")
    assert (await desk("inject", "demo-01", "--text", "true")).data["reached_target"]


async def test_a_session_that_is_over(desk: Desk) -> None:
    """Its name still means its tool."""
    await desk.run("cat", flags=("--tool", "codex:api"))
    assert (await desk("stop", "codex:api")).code == 0
    await expect_queued(desk, "demo-01", "no-session", tool="codex:api")
    await expect_queued(desk, "codex:api", "no-session")


async def test_a_tool_that_never_had_a_session(desk: Desk) -> None:
    """A tool that the room knows can be written to; a word that means nobody cannot."""
    await desk.call("enter", tool="ada")
    await expect_queued(desk, "ada", "no-session")
    result = await desk("inject", "adda", "--text", "hello")
    assert (result.code, result.error["code"]) == (2, "unknown-session")
    assert len(await desk.facts("handoff")) == 1


async def test_what_is_too_long_to_wait_is_said_to_be_lost(desk: Desk) -> None:
    """Neither delivered nor queued is a failure, and the only one."""
    session = await desk.run("cat")
    desk.tmux("kill-pane", "-t", session["pane"])
    result = await desk("inject", "demo-01", "--text", "a" * (16 * 1024 + 1))
    assert (result.code, result.error["code"]) == (1, "undelivered")
    assert result.error["details"]["reason"] == "gone"
    assert await desk.facts("handoff") == []


async def test_tmux_that_does_not_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the text came through is not known, so it is not claimed."""
    await desk.run("cat")
    hanging = '#!/bin/sh\ncase "$*" in *load-buffer*) exec sleep 60 ;; esac\n'
    real = [folder for folder in desk.env["PATH"].split(":") if "pytest" not in folder]
    desk.program("tmux", f'{hanging}PATH={":".join(real)} exec tmux "$@"\n')
    monkeypatch.setattr("rally.execution.sessions.tmux.TIMEOUT_S", 0.5)
    await expect_queued(desk, "demo-01", "tmux-time-out")


async def test_another_machine(desk: Desk) -> None:
    """Its tmux cannot be asked from here, so nothing is known of the session."""
    await desk.call(
        "session",
        action="start",
        agent="far",
        tool="ada",
        data={"host": "elsewhere", "command": []},
    )
    await expect_queued(desk, "far-01", "unknown")
    row = (await desk("sessions")).data["sessions"][0]
    assert (row["state"], row["why"]) == ("unknown", "it was started on elsewhere")


async def test_two_sessions_that_match_are_an_error(desk: Desk) -> None:
    """A name of one that is the tool id of another means neither; the names are listed."""
    await desk.run("cat", flags=("--tool", "codex"))
    await desk.run("cat", flags=("--tool", "codex"))
    for verb in (("inject", "codex", "--text", "a"), ("capture", "codex"), ("stop", "codex"),
                 ("attach", "codex")):  # fmt: skip
        result = await desk(*verb)
        assert (result.code, result.error["code"]) == (2, "ambiguous-session")
        assert result.error["details"]["sessions"] == ["demo-01", "demo-02"]
    assert (await desk("inject", "demo-02", "--text", "a")).data["reached_target"]


async def test_text_says_what_json_says(desk: Desk) -> None:
    """For people: how far it came, in words."""
    session = await desk.run("cat")
    assert (await desk.text("inject", "demo-01", "--text", "a")).out == (
        "reached the terminal of demo-01\n"
    )
    desk.tmux("kill-pane", "-t", session["pane"])
    said = (await desk.text("inject", "demo-01", "--text", "a")).out.splitlines()
    assert said[0] == "not delivered to demo-01: its pane is gone"
    assert said[1].startswith("it waits in the inbox of demo-01 as handoff-")


def test_an_inject_that_is_queued_exits_0_as_a_process(desk: Desk) -> None:
    """Contract O2, of the command itself."""
    with desk.rally("enter", "--tool", "ada") as entering:
        assert entering.wait() == 0
    with desk.rally("inject", "ada", "--text", "hello", "--json") as injecting:
        out, err = injecting.communicate()
    assert (injecting.returncode, err) == (0, "")
    assert json.loads(out)["data"]["inject"]["queued"]
