"""The hooks as each host's program runs them: from `rally hooks install` to a write that is blocked.

The programs are stubs (see `stub_host.py`); rally, its daemon, git and node are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hook_desk import Agent, Desk

HOSTS = ("claude", "codex", "cursor", "gemini", "opencode")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.data("init")
    yield made
    made.stop()


@pytest.mark.parametrize("scope", ["repo", "user"])
@pytest.mark.parametrize("host", HOSTS)
def test_an_agent_cannot_overwrite_what_another_holds(desk: Desk, host: str, scope: str) -> None:
    """B is kept from A's file by tool and by shell, A's own edits pass; uninstalled, all pass."""
    installed = desk.data("hooks", "install", host, "--auto-claim", "--scope", scope)
    assert installed["surfaces"][0]["state"] == "installed"
    file = desk.root / "src" / "a.py"
    with Agent(desk, host, "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa") as ada:
        assert ada.write("src/a.py", "one\n")["done"]
        with Agent(desk, host, "22222222-bbbb-4bbb-8bbb-bbbbbbbbbbbb") as ben:
            blocked = ben.write("src/a.py", "ben's\n")
            assert not blocked["done"]
            assert "src/a.py" in blocked["said"]
            assert f"{host}:" in blocked["said"]  # who holds it
            assert not ben.shell("echo ben > src/a.py")["done"]
            assert file.read_text() == "one\n"
            assert ben.write("src/b.py", "free\n")["done"]
            assert ada.write("src/a.py", "two\n")["done"]
            assert file.read_text() == "two\n"

            gone = desk.data("hooks", "uninstall", host, "--scope", scope)
            assert gone["surfaces"][0]["state"] == "absent"
        with Agent(desk, host, "33333333-cccc-4ccc-8ccc-cccccccccccc") as cleo:
            passed = cleo.write("src/a.py", "cleo's\n")
            assert (passed["done"], passed["ran"]) == (True, [])
    assert file.read_text() == "cleo's\n"


def test_what_a_finished_session_held_is_free(desk: Desk) -> None:
    """The end of the session's turn releases what its hook had claimed."""
    desk.data("hooks", "install", "claude", "--auto-claim")
    with Agent(desk, "claude", "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa") as ada:
        assert ada.write("a.py", "one\n")["done"]
    with Agent(desk, "claude", "22222222-bbbb-4bbb-8bbb-bbbbbbbbbbbb") as ben:
        assert ben.write("a.py", "two\n")["done"]


@pytest.mark.parametrize("host", ["codex", "gemini"])
def test_hooks_that_the_host_does_not_trust_are_said_to_be_unverified(
    desk: Desk, host: str
) -> None:
    """Such a host skips them without a word: rally says that it cannot know, and what to do."""
    answer = desk.data("hooks", "install", host, "--auto-claim")
    assert answer["surfaces"][0]["trust"] == "unverified"
    assert host in answer["surfaces"][0]["notes"][0]
    with Agent(desk, host, "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "--strict") as ada:
        assert ada.write("a.py", "one\n") == {"done": True, "said": "", "ran": []}
    assert desk.data("hooks", "status", host)["surfaces"][0]["trust"] == "unverified"


def test_codex_runs_what_stands_in_its_tables(desk: Desk) -> None:
    """Where the user keeps hooks in config.toml rally's go there, and both run."""
    config = desk.root / ".codex" / "config.toml"
    config.parent.mkdir()
    handler = '[[hooks.PreToolUse.hooks]]\ntype = "command"\ncommand = "echo seen >> seen"\n'
    config.write_text(f"[[hooks.PreToolUse]]\n{handler}")
    desk.data("hooks", "install", "codex", "--auto-claim")
    assert not (desk.root / ".codex" / "hooks.json").exists()
    with Agent(desk, "codex", "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa") as ada:
        assert ada.write("a.py", "one\n")["done"]
        with Agent(desk, "codex", "22222222-bbbb-4bbb-8bbb-bbbbbbbbbbbb") as ben:
            assert not ben.write("a.py", "two\n")["done"]
    assert (desk.root / "seen").read_text() == "seen\nseen\n"


@pytest.mark.parametrize("host", HOSTS)
def test_without_rally_in_path_an_agent_works_on(desk: Desk, host: str) -> None:
    """A colleague who has no rally is not hindered by hooks that came with the repository."""
    desk.data("hooks", "install", host)
    desk.env["PATH"] = str(desk.home)  # nothing at all is found there
    with Agent(desk, host, "11111111-aaaa-4aaa-8aaa-aaaaaaaaaaaa") as ada:
        assert ada.write("a.py", "one\n")["done"]


def test_opencode_can_be_told_to_fail_closed(desk: Desk) -> None:
    """With --fail-closed the plugin lets nothing through that rally did not answer."""
    desk.data("hooks", "install", "opencode", "--fail-closed")
    Path(desk.env["PATH"].partition(":")[0], "rally").write_text("#!/bin/sh\nexit 1\n")
    with Agent(desk, "opencode", "ses_11111111") as ada:
        blocked = ada.write("a.py", "one\n")
    assert not blocked["done"]
    assert "rally did not answer" in blocked["said"]


def test_opencode_hands_the_agent_what_rally_has_to_say(desk: Desk) -> None:
    """opencode has no place for a text at the start: it goes with the result of the next tool call."""
    desk.data("hooks", "install", "opencode")
    desk.data("say", "claim", "--tool", "ada", "--path", "src/a.py", "--subject", "login form")
    with Agent(desk, "opencode", "ses_11111111") as ben:
        assert "login form" in ben.write("b.py", "one\n")["said"]
        assert ben.write("b.py", "two\n")["said"] == ""
