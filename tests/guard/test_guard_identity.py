"""Who commits where nobody says (`--as-git`)."""

from __future__ import annotations

import os

import pytest
from guard_desk import Desk

from rally.client.direct import open_client
from rally.execution.guard.identity import tool_of_name
from rally.model.text import check_tool


def who(desk: Desk, *words: str, **env: str) -> tuple[str, str | None]:
    """The tool that a check is made for, and how it was found."""
    data = desk.ask("check", "before-commit", "--as-git", *words, **env)
    return data["tool"], data.get("identified_by")


async def managed(repo: Desk, name: str, tool: str, **data: str) -> str:
    """A managed session as `rally run` tells of it; its id."""
    client = await open_client(env=repo.env, cwd=str(repo.folder))
    try:
        begun = await client.call(
            "session", action="start", tool="operator", agent="claude", name=name, target=tool,
            data={"host": os.uname().nodename},
        )  # fmt: skip
        session_id = str(begun["session"]["session_id"])
        await client.call("session", action="started", tool="operator", id=session_id, data=data)
    finally:
        await client.close()
    return session_id


async def test_the_order_in_which_the_tool_is_looked_for(repo: Desk) -> None:
    """--tool, RALLY_TOOL, the managed session, the worktree, and last the person."""
    repo.git("worktree", "add", "-q", "../tree")
    tree = repo.at(repo.folder.parent / "tree")
    assert who(tree) == ("git:Ada-Lovelace", "git")
    tree.ask("enter", "--tool", "codex:3")
    assert who(tree) == ("codex:3", "worktree")
    session_id = await managed(repo, "builder", "claude:7", worktree=str(tree.folder))
    assert who(tree) == ("claude:7", "session")
    assert who(repo) == ("git:Ada-Lovelace", "git"), "in the main tree anybody may be"
    assert who(repo, RALLY_SESSION_ID=session_id) == ("claude:7", "session")
    assert who(tree, RALLY_TOOL="gemini:1") == ("gemini:1", "RALLY_TOOL")
    assert who(tree, "--tool", "x:1", RALLY_TOOL="gemini:1") == ("x:1", None)


def test_two_tools_in_one_worktree_are_nobody_in_particular(repo: Desk) -> None:
    """A guess would give one of them the other's claims."""
    repo.git("worktree", "add", "-q", "../tree")
    tree = repo.at(repo.folder.parent / "tree")
    tree.ask("enter", "--tool", "codex:3")
    tree.ask("enter", "--tool", "codex:4")
    assert who(tree)[1] == "git"
    tree.ask("leave", "--tool", "codex:4")
    assert who(tree) == ("codex:3", "worktree")


def test_the_name_is_the_one_that_git_uses(repo: Desk) -> None:
    """Settings of the repository, and those of `git -c`, which a hook finds in its environment."""
    repo.git("config", "user.name", "Grace Hopper")
    assert who(repo)[0] == "git:Grace-Hopper"
    repo.install()
    repo.claim("a:1", "held")
    repo.write("held/a")
    done = repo.run("git", "-c", "user.name=Mary Jackson", "commit", "-q", "-m", "x")
    assert "rally: stop for git:Mary-Jackson" in done.err


def test_a_person_can_claim_under_the_id_that_the_guard_uses(repo: Desk) -> None:
    """The id is a tool id like any other."""
    repo.install()
    repo.claim("git:Ada-Lovelace", "held")
    repo.write("held/a")
    assert repo.run("git", "commit", "-q", "-m", "x").code == 0


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("Ada Lovelace", "git:Ada-Lovelace"),
        ("  Ada   Lovelace ", "git:Ada-Lovelace"),
        ("Jürgen Müller", "git:Jurgen-Muller"),
        ("dependabot[bot]", "git:dependabotbot-"),
        ("O'Brien", "git:OBrien-"),
        ("山田太郎", "git:"),
        ("x" * 500, "git:" + "x" * 117 + "-"),
        ("a\nb", "git:a-b"),
    ],
)
def test_any_name_becomes_a_tool_id(name: str, tool: str) -> None:
    """F4; what is lost on the way is told apart by digits."""
    found = tool_of_name(name)
    assert check_tool(found) == found
    assert found.startswith(tool)
    assert len(found) == len(tool) + (6 if tool[-1] in "-:" else 0)


def test_names_that_differ_are_different_tools() -> None:
    """Two owners that share an id would never be in each other's way."""
    names = [
        "山田太郎",
        "山田花子",
        "Łukasz",
        "ukasz",
        "x" * 200,
        "x" * 201,
        "a/b",
        "a:b",
        "ab",
        "",
    ]
    assert len({tool_of_name(name) for name in names}) == len(names)


def test_a_pane_that_was_adopted_tells_whose_it_is(repo: Desk) -> None:
    """Its program kept its environment, so RALLY_TOOL is not in it; the mark on the pane is."""
    socket = str(repo.folder.parent / "tmux")
    shown = "#{socket_path},#{pid},0 #{pane_id}"
    try:
        repo.run("tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "-s", "s", "cat")
        around, pane = repo.run(
            "tmux", "-S", socket, "display-message", "-p", "-t", "s:", shown
        ).out.split()
        here = {"RALLY_TMUX_SOCKET": socket, "TMUX": around, "TMUX_PANE": pane}
        assert who(repo, **here) == ("git:Ada-Lovelace", "git")
        repo.ask("adopt", "s:0.0", "--name", "mine", "--tool", "claude:9", **here)
        assert who(repo, **here) == ("claude:9", "session")
        assert who(repo, **{**here, "TMUX_PANE": "%77"}) == ("git:Ada-Lovelace", "git")
    finally:
        repo.run("tmux", "-S", socket, "kill-server")


def test_another_session_of_the_same_tool_is_told_which_one_holds_the_path(repo: Desk) -> None:
    """C5: its own name alone would say that it refuses itself."""
    repo.ask("say", "claim", "--tool", "a:1", "--session-id", "s-1", "--path", "held")
    repo.write("held")
    words = ("check", "before-commit", "--as-git")
    data = repo.ask(*words, RALLY_TOOL="a:1", RALLY_SESSION_ID="s-2")
    assert "held is claimed by a:1 in its session s-1 until " in data["findings"][0]["message"]
    assert repo.ask(*words, RALLY_TOOL="a:1", RALLY_SESSION_ID="s-1")["allow"] is True
    assert repo.ask(*words, RALLY_TOOL="a:1")["allow"] is True
    done = repo.rally("say", "claim", "--tool", "a:1", "--session-id", "s-2", "--path", "held")
    assert "held is claimed by a:1 in its session s-1 until " in done.err
