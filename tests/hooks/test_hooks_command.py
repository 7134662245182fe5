"""`rally hooks` as it is typed: what it answers, warns of and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hook_desk import AGENTS, FILES, Desk, put, tree


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, RALLY_DAEMON="off")


def test_the_command_tells_what_it_did_and_what_to_know(desk: Desk) -> None:
    """One row for each surface, with its file; the hosts' own conditions as notes."""
    desk.data("init")
    answer = desk.data("hooks", "install", "all", "--auto-claim")
    assert (answer["action"], answer["scope"], answer["dry_run"]) == ("install", "repo", False)
    rows = {row["surface"]: row for row in answer["surfaces"]}
    assert {row["state"] for row in rows.values()} == {"installed"}
    assert rows["claude"]["changes"] == [
        {"path": str(desk.root / ".claude" / "settings.json"), "change": "created"}
    ]
    assert "/hooks" in rows["codex"]["notes"][0]
    status = desk.data("hooks", "status")["surfaces"]
    assert [(row["surface"], row["state"]) for row in status if row["scope"] == "repo"] == [
        *((name, "installed") for name in AGENTS),
        ("git", "installed"),
    ]
    assert {row["state"] for row in status if row["scope"] == "user"} == {"absent"}
    assert status[0]["options"] == ["auto-claim"]
    again = desk.rally("hooks", "install", "claude", "--auto-claim").stdout
    assert "unchanged" in again
    desk.data("hooks", "uninstall", "all")
    assert sorted(one.name for one in desk.root.iterdir()) == [".git", ".rally"]


def test_a_dry_run_prints_a_diff_and_touches_nothing(desk: Desk, tmp_path: Path) -> None:
    """For both directions; the diff of a minified file is readable as well."""
    file = put(desk.root / FILES["claude"], b'{"model":"opus"}')
    before = tree(tmp_path)
    shown = desk.rally("hooks", "install", "claude", "codex", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert f"+++ {file}" in shown.stdout
    assert '-{"model":"opus"}' in shown.stdout
    assert "--- /dev/null" in shown.stdout
    assert tree(tmp_path) == before
    desk.data("hooks", "install", "claude")
    taken = desk.data("hooks", "uninstall", "claude", "--dry-run")
    assert '+{"model":"opus"}' in taken["diff"]
    assert "rally hook" in file.read_text()
    assert "nothing would change" in desk.rally("hooks", "uninstall", "codex", "--dry-run").stdout


def codes(desk: Desk, *argv: str, **env: str) -> list[str]:
    """The codes of a command's warnings."""
    done = desk.rally(*argv, "--json", **env)
    return [one["code"] for one in json.loads(done.stdout)["warnings"]]


def test_hooks_that_would_do_nothing_are_warned_about(desk: Desk) -> None:
    """rally is not found, there is no room yet, or the other scope has them still."""
    assert codes(desk, "hooks", "install", "claude", PATH=str(desk.home)) == [
        "not-in-path",
        "no-room",
    ]
    desk.data("init")
    assert codes(desk, "hooks", "install", "claude", "--scope", "user") == []
    assert codes(desk, "hooks", "status") == []
    assert codes(desk, "hooks", "uninstall", "claude") == ["other-scope"]
    assert codes(desk, "hooks", "uninstall", "claude", "--scope", "user") == []
    # A home that is a repository has one file for both scopes, and it is gone.
    desk.data("hooks", "install", "claude", HOME=str(desk.root))
    assert codes(desk, "hooks", "uninstall", "claude", HOME=str(desk.root)) == []


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["install"], "usage", "name one or more of"),
        (["install", "cluade"], "usage", "'cluade'"),
        (["status", "x\u202e"], "usage", "there are no hooks for"),
        (["install", "claude", "--scope", "global"], "bad-value", "'global'"),
        (["install", "git", "--scope", "user"], "bad-value", "git has no --scope user"),
        (["instal"], "usage", "'instal'"),
    ],
)
def test_wrong_words_are_usage_errors(desk: Desk, argv: list[str], code: str, said: str) -> None:
    """Exit 2, and nothing is written."""
    error = desk.error("hooks", *argv, exits=2)
    assert error["code"] == code
    assert said in error["message"]
    assert [one.name for one in desk.root.iterdir()] == [".git"]


def test_a_broken_file_is_named_with_line_and_column(desk: Desk) -> None:
    """As compilers do, so that editors jump there."""
    file = put(desk.root / FILES["claude"], b'{\n  "model": "opus",\n  "hooks": {,}\n}\n')
    error = desk.error("hooks", "install", "all", exits=2)
    assert error["code"] == "broken-config"
    assert error["message"].startswith(f"{file}:3:13: ")
    assert error["details"]["line"] == 3
    rows = desk.data("hooks", "status", "claude", "--scope", "repo")["surfaces"]
    assert rows[0]["state"] == "broken"
    assert f"{file}:3:13" in rows[0]["problem"]
    assert sorted(one.name for one in desk.root.iterdir()) == [".claude", ".git"]


def test_a_bare_repository_takes_the_users_scope_only(desk: Desk, tmp_path: Path) -> None:
    """There is no working tree to put files into; that is said, and what works instead."""
    bare = tmp_path / "bare.git"
    bare.mkdir()
    desk.run_git("init", "-q", "--bare", str(bare))
    done = desk.rally("hooks", "install", "claude", cwd=bare)
    assert done.returncode == 2
    assert "bare repository" in done.stderr
    assert "--scope user" in done.stderr
    assert desk.rally("hooks", "install", "claude", "--scope", "user", cwd=bare).returncode == 0
    assert desk.rally("hooks", "status", cwd=bare).returncode == 0


def test_a_linked_worktree_has_hooks_of_its_own(desk: Desk, tmp_path: Path) -> None:
    """An agent reads the configuration of the tree that it works in."""
    desk.run_git("commit", "-q", "--allow-empty", "-m", "first")
    desk.run_git("worktree", "add", "-q", str(tmp_path / "linked"))
    assert desk.rally("hooks", "install", "claude", cwd=tmp_path / "linked").returncode == 0
    assert (tmp_path / "linked" / FILES["claude"]).exists()
    assert not (desk.root / FILES["claude"]).exists()


def test_no_backup_no_change(desk: Desk, tmp_path: Path) -> None:
    """Where the state folder cannot be written, the configuration is not touched."""
    put(tmp_path / "state", b"in the way")
    error = desk.error("hooks", "install", "claude", exits=1)
    assert error["code"] == "unwritable"
    assert [one.name for one in desk.root.iterdir()] == [".git"]
