"""`check before-commit` and `check range`: real repositories (contract K4, K5, R5)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cli_process import Shell

from rally.execution.git import changed_paths
from rally.model.errors import UsageError


def staged(repo: Shell, *flags: str, **env: str) -> dict[str, Any]:
    """The answer of before-commit."""
    result = repo.rally("check", "before-commit", "--tool", "b:1", "--json", *flags, **env)
    assert result.code == 0, result.out
    return result.data


def test_what_is_staged_is_checked_and_nothing_else(repo: Shell) -> None:
    """K4: the index decides, deletions included; the working tree does not."""
    repo.write("gone")
    repo.git("commit", "-q", "-m", "second")
    repo.git("rm", "-q", "gone")
    repo.write("src/new one.py")
    repo.write("unstaged", stage=False)
    data = staged(repo)
    assert (data["phase"], data["paths"]) == ("before-commit", ["gone", "src/new one.py"])


def test_a_commit_into_anothers_claim_is_stopped(repo: Shell) -> None:
    """K4: exit 4 under --strict, with the finding of before-write."""
    repo.rally("say", "claim", "--tool", "a:1", "--path", "src/api/**")
    repo.write("src/api/x.py")
    repo.write("docs/y.md")
    result = repo.rally("check", "before-commit", "--tool", "b:1", "--strict", "--json")
    assert result.code == 4
    stops = [one for one in result.data["findings"] if one["severity"] == "stop"]
    assert [(one["code"], one["path"]) for one in stops] == [("claimed-path", "src/api/x.py")]
    assert repo.rally("check", "before-commit", "--tool", "a:1", "--strict").code == 0


def test_an_empty_index_is_no_mistake(repo: Shell) -> None:
    """Nothing staged, nothing to say."""
    data = staged(repo)
    assert (data["allow"], data["findings"], data["paths"]) == (True, [], [])


def test_the_first_commit_can_be_checked(shell: Shell) -> None:
    """There is no HEAD yet."""
    shell.git("init", "-q")
    shell.write("a")
    assert staged(shell)["paths"] == ["a"]


def test_paths_are_the_rooms_from_whatever_folder(repo: Shell) -> None:
    """From a sub-folder, with settings that would make git print other names."""
    repo.write("src/deep/ä b\tc.py")
    repo.git("config", "diff.relative", "true")
    repo.git("config", "core.quotePath", "true")
    repo.git("config", "diff.noprefix", "true")
    result = repo.rally(
        "check", "before-commit", "--tool", "b:1", "--json", cwd=repo.cwd / "src" / "deep"
    )
    assert result.data["paths"] == ["src/deep/ä b\tc.py"]


def test_a_renamed_file_is_checked_under_both_names(repo: Shell) -> None:
    """Taking a file away from a claimed path is a change of that path."""
    repo.write("old", "some text\n" * 20)
    repo.git("commit", "-q", "-m", "second")
    repo.git("mv", "old", "new")
    repo.git("config", "diff.renames", "copies")
    assert staged(repo)["paths"] == ["new", "old"]


def test_a_linked_worktree_has_its_own_index_and_the_same_room(repo: Shell) -> None:
    """R1: claims of the main tree bind in every worktree."""
    tree = repo.cwd.parent / "tree"
    repo.git("worktree", "add", "-q", str(tree), "-b", "side")
    repo.rally("say", "claim", "--tool", "a:1", "--path", "src")
    repo.write("docs/main only")
    (tree / "src").mkdir()
    (tree / "src" / "x").write_text("x")
    repo.git("add", "src/x", cwd=tree)
    result = repo.rally("check", "before-commit", "--tool", "b:1", "--json", cwd=tree)
    assert result.data["paths"] == ["src/x"]
    assert result.data["allow"] is False


def test_inside_a_hook_the_index_of_the_commit_counts(repo: Shell) -> None:
    """K4: `git commit FILE` stages into a file of its own, named by GIT_INDEX_FILE."""
    hook = repo.cwd / ".git" / "hooks" / "pre-commit"
    hook.write_text(
        f"#!/bin/sh\nexec rally check before-commit --tool b:1 --json > {repo.cwd.parent}/seen\n"
    )
    hook.chmod(0o755)
    here = os.path.dirname(os.sys.executable)  # type: ignore[attr-defined]
    repo.write("one")
    repo.write("two")
    repo.git("commit", "-q", "-m", "part", "--", "one", PATH=f"{here}:{repo.env['PATH']}")
    seen = (repo.cwd.parent / "seen").read_text()
    assert '"paths":["one"]' in seen


def test_gits_environment_never_leads_to_another_repository(repo: Shell) -> None:
    """R5: a hook of one repository that looks into another sees that other one."""
    other = Shell(repo.cwd.parent / "other", repo.env)
    other.cwd.mkdir()
    other.git("init", "-q")
    other.write("theirs")
    repo.write("ours")
    env = {
        "GIT_DIR": str(repo.cwd / ".git"),
        "GIT_WORK_TREE": str(repo.cwd),
        "GIT_INDEX_FILE": str(repo.cwd / ".git" / "index"),
        "GIT_PREFIX": "sub/",
    }
    assert staged(other, **env)["paths"] == ["theirs"]
    assert staged(repo, **env)["paths"] == ["ours"]


def test_a_file_outside_the_room_is_told_and_not_checked(repo: Shell) -> None:
    """A room may be a part of its repository; a link is a file like any other, wherever it leads."""
    (repo.cwd / "part").mkdir()
    repo.write("part/in")
    repo.write("out")
    (repo.cwd / "part" / "link").symlink_to("/etc/hostname")
    repo.git("add", "part/link")
    result = repo.rally(
        "check", "before-commit", "--tool", "b:1", "--json", RALLY_ROOM=str(repo.cwd / "part")
    )
    assert result.data["paths"] == ["in", "link"]
    messages = [one["message"] for one in result.envelope["warnings"]]
    assert sorted(messages) == [
        "not checked, it is not in the room: out",
    ]


def test_a_folder_without_git_is_said_to_be_one(shell: Shell) -> None:
    """K4 needs a repository."""
    result = shell.rally("check", "before-commit", "--tool", "a:1", "--json")
    assert (result.code, result.error["code"]) == (2, "not-a-repository")
    shell.git("init", "-q", "--bare")
    result = shell.rally("check", "before-commit", "--tool", "a:1", "--json")
    assert (result.code, result.error["code"]) == (2, "not-a-repository")


def test_a_machine_without_git_cannot_answer(repo: Shell) -> None:
    """K0: never an allow."""
    result = repo.rally("check", "before-commit", "--tool", "a:1", "--json", PATH="/nowhere")
    assert (result.code, result.error["code"]) == (1, "unavailable")
    assert "git" in result.error["message"]


def test_many_files_are_checked_in_one_answer(repo: Shell) -> None:
    """What concerns the whole room is said once, however many questions it took."""
    for number in range(1_203):
        repo.write(f"src/{number:04}", stage=False)
    repo.git("add", "src")
    repo.rally("say", "blocker", "--tool", "a:1", "--subject", "unscoped")
    repo.rally("say", "claim", "--tool", "a:1", "--path", "src/1202")
    data = staged(repo)
    assert len(data["paths"]) == 1_203
    codes = [finding["code"] for finding in data["findings"]]
    assert codes.count("unscoped-blocker") == 1
    assert codes.count("claimed-path") == 1
    assert data["allow"] is False


# -- ranges -------------------------------------------------------------------------------------------


def commit(repo: Shell, *names: str) -> None:
    for name in names:
        repo.write(name, f"{name} {os.urandom(4).hex()}\n")
    repo.git("commit", "-q", "-m", "more")


def test_a_range_is_what_its_commits_changed(repo: Shell) -> None:
    """K5: each commit counts, also where a later one took the change back."""
    commit(repo, "src/a")
    commit(repo, "src/b")
    repo.git("revert", "--no-edit", "HEAD")
    result = repo.rally("check", "range", "HEAD~3..HEAD", "--tool", "ci", "--json")
    assert (result.data["phase"], result.data["paths"]) == ("range", ["src/a", "src/b"])
    half_open = repo.rally("check", "range", "HEAD~1..", "--tool", "ci", "--json")
    assert half_open.data["paths"] == ["src/b"]


def test_what_happened_elsewhere_is_not_in_the_range(repo: Shell) -> None:
    """main moved on, and was merged: its commits are not the branch's."""
    repo.git("checkout", "-q", "-b", "side")
    commit(repo, "mine", "both")
    repo.git("checkout", "-q", "main")
    commit(repo, "theirs", "both")
    repo.git("checkout", "-q", "side")
    assert changed_paths("main..side", str(repo.cwd), repo.env) == ["both", "mine"]
    repo.git("merge", "-q", "-X", "ours", "-m", "merge", "main")
    assert changed_paths("main..side", str(repo.cwd), repo.env) == ["both", "mine"]


def test_what_a_merge_changed_by_itself_is_in_the_range(repo: Shell) -> None:
    """A change that is in neither parent cannot hide in a merge."""
    repo.git("checkout", "-q", "-b", "side")
    commit(repo, "mine", "both")
    repo.git("checkout", "-q", "main")
    commit(repo, "theirs", "both")
    repo.git("checkout", "-q", "side")
    repo.git("merge", "-q", "-X", "ours", "--no-commit", "main")
    repo.write("both", "something else\n")
    repo.git("commit", "-q", "-m", "merge")
    assert changed_paths("HEAD^1..HEAD", str(repo.cwd), repo.env) == ["both", "theirs"]


def test_a_strict_range_stops(repo: Shell) -> None:
    """K5: for CI."""
    repo.rally("say", "claim", "--tool", "a:1", "--path", "src")
    commit(repo, "src/a")
    assert repo.rally("check", "range", "HEAD~1..HEAD", "--tool", "ci", "--strict").code == 4
    assert repo.rally("check", "range", "HEAD..HEAD", "--tool", "ci", "--strict").code == 0


@pytest.mark.parametrize(
    "commits",
    [
        "HEAD",
        "HEAD...HEAD~1",
        "..",
        "no-such..HEAD",
        "--output=/tmp/x..HEAD",
        "-p..-p",
        "",
        "a b..c",
    ],
)
def test_a_range_that_is_none_is_named(repo: Shell, commits: str) -> None:
    """Exit 2, and no word of it reaches git as an option."""
    with pytest.raises(UsageError) as caught:
        changed_paths(commits, str(repo.cwd), repo.env)
    assert caught.value.code == "bad-range"
    assert f"{commits!a}" in caught.value.message
