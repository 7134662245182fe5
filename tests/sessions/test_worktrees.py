"""A working tree for an agent: made, found again, listed, and removed only when nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk import Desk

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(autouse=True)
def repository(desk: Desk) -> None:
    desk.make_repository()


def tree(desk: Desk, name: str) -> Path:
    return desk.root / ".rally" / "worktrees" / name


async def test_an_agent_gets_a_tree_and_a_branch(desk: Desk) -> None:
    """It starts there, in the same room; the main tree sees nothing of it."""
    session = await desk.run("cat", flags=("--worktree",))
    path = tree(desk, "demo-01")
    assert (session["worktree"], session["cwd"], session["branch"]) == (
        str(path), str(path), "rally/demo-01",
    )  # fmt: skip
    assert (path / "a.txt").read_text() == "a\n"
    assert desk.tmux("display-message", "-p", "-t", session["pane"], "#{pane_current_path}") == (
        f"{path}\n"
    )
    assert desk.git("status", "--porcelain") == ""
    data = (await desk("sessions")).data
    assert data["worktrees"] == [
        {"name": "demo-01", "path": str(path), "branch": "rally/demo-01", "live": True}
    ]
    # a path in the tree is the path in the room, which the claims of others are about
    await desk.call("say", kind="claim", tool="ada", paths=["a.txt"])
    check = await desk.call("check", phase="before-write", tool="ben", paths=[f"{path}/a.txt"])
    assert (check["allow"], check["paths"]) == (False, ["a.txt"])


async def test_a_clean_tree_is_removed_on_request(desk: Desk) -> None:
    """Its branch goes where nothing is on it, and the name begins anew."""
    await desk.run("cat", flags=("--worktree",))
    data = (await desk("stop", "demo-01", "--remove-worktree")).data
    assert data["worktree_removed"] == str(tree(desk, "demo-01"))
    assert not tree(desk, "demo-01").exists()
    assert desk.git("branch", "--list", "rally/*") == ""


@pytest.mark.parametrize("change", ["changed", "new", "staged"])
async def test_a_tree_with_work_in_it_stays(desk: Desk, change: str) -> None:
    """Never by force: the session ends, the tree is kept, and it is said why."""
    await desk.run("cat", flags=("--worktree",))
    path = tree(desk, "demo-01")
    (path / ("b.txt" if change == "new" else "a.txt")).write_text("work\n")
    if change == "staged":
        desk.git("add", "a.txt", cwd=path)
    result = await desk("stop", "demo-01", "--remove-worktree")
    assert result.code == 0
    assert result.warnings == ["worktree-kept"]
    assert "worktree_removed" not in result.data
    assert path.exists()
    again = await desk("stop", "demo-01", "--remove-worktree")
    assert (again.code, again.error["code"]) == (3, "worktree-dirty")
    assert again.error["details"]["changes"] == 1
    listed = (await desk("sessions")).data["worktrees"]
    assert [(one["name"], one["live"]) for one in listed] == [("demo-01", False)]
    assert "remove: rally stop demo-01 --remove-worktree" in (await desk.text("sessions")).out


async def test_a_tree_is_kept_by_a_plain_stop(desk: Desk) -> None:
    """And can be removed later, once, when its session is long over."""
    await desk.run("cat", flags=("--worktree",))
    await desk("stop", "demo-01")
    assert tree(desk, "demo-01").exists()
    data = (await desk("stop", "demo-01", "--remove-worktree")).data
    assert data == {
        "name": "demo-01", "was": "ended", "worktree_removed": str(tree(desk, "demo-01")),
    }  # fmt: skip
    result = await desk("stop", "demo-01", "--remove-worktree")
    assert (result.code, result.error["code"]) == (2, "unknown-session")


async def test_commits_outlive_their_tree(desk: Desk) -> None:
    """A branch with commits of its own stays."""
    await desk.run("cat", flags=("--worktree",))
    path = tree(desk, "demo-01")
    (path / "b.txt").write_text("work\n")
    desk.git("add", "b.txt", cwd=path)
    desk.git("commit", "--quiet", "--message", "work", cwd=path)
    await desk("stop", "demo-01", "--remove-worktree")
    assert not path.exists()
    assert desk.git("log", "--format=%s", "-1", "rally/demo-01") == "work\n"


async def test_nobody_gets_anothers_tree_by_number(desk: Desk) -> None:
    """A number whose tree or branch is left is passed over; who asks for it by name gets it."""
    await desk.run("cat", flags=("--worktree",))
    (tree(desk, "demo-01") / "b.txt").write_text("work\n")
    await desk("stop", "demo-01")
    assert (await desk.run("cat", flags=("--worktree",)))["name"] == "demo-02"
    result = await desk(
        "run", "demo", "--worktree", "--name", "demo-01", "--command-json", '["cat"]'
    )
    assert result.warnings == ["worktree-reused"]
    assert (tree(desk, "demo-01") / "b.txt").read_text() == "work\n"


async def test_a_failed_start_takes_its_tree_with_it(desk: Desk) -> None:
    """No half-made session: no tree, no branch."""
    result = await desk("run", "demo", "--worktree", "--command-json", '["false"]')
    assert (result.code, result.error["code"]) == (1, "start-failed")
    assert not tree(desk, "demo-01").exists()
    assert desk.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert desk.git("branch", "--list", "rally/*") == ""


async def test_a_failed_start_keeps_a_tree_that_was_there(desk: Desk) -> None:
    """Undone is what was made, and nothing else."""
    await desk.run("cat", flags=("--worktree",))
    await desk("stop", "demo-01")
    words = ("run", "demo", "--worktree", "--name", "demo-01", "--command-json", '["false"]')
    assert (await desk(*words)).error["code"] == "start-failed"
    assert tree(desk, "demo-01").exists()


async def test_git_that_makes_no_tree(desk: Desk) -> None:
    """What git says is told; nothing is left."""
    tree(desk, "demo-01").mkdir(parents=True)
    (tree(desk, "demo-01") / "in-the-way").touch()
    result = await desk("run", "demo", "--worktree", "--command-json", '["cat"]')
    assert (result.code, result.error["code"]) == (1, "worktree-failed")
    assert "already exists" in result.error["message"]
    assert "move that folder away" in result.error["hint"]
    assert [fact["status"] for fact in await desk.facts("session")] == ["starting", "failed"]
    assert desk.panes() == []
    assert desk.git("branch", "--list", "rally/*") == ""


async def test_several_trees_are_made_at_once(desk: Desk) -> None:
    """Processes that know nothing of each other."""
    words = ("run", "demo", "--worktree", "--command-json", '["cat"]', "--json")
    starts = [desk.rally(*words) for _ in range(4)]
    names = []
    for one in starts:
        with one:
            out, err = one.communicate()
        assert (one.returncode, err) == (0, ""), out
        names.append(json.loads(out)["data"]["run"]["name"])
    assert sorted(names) == ["demo-01", "demo-02", "demo-03", "demo-04"]
    assert all((tree(desk, name) / "a.txt").exists() for name in names)
