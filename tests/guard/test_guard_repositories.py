"""Repositories of every kind: without commits, bare, submodules, nested ones, and git's environment."""

from __future__ import annotations

from guard_desk import Desk


def test_a_repository_without_commits_has_a_room(bench: Desk) -> None:
    """Everything works before there is a HEAD."""
    bench.git("init", "-q")
    bench.ask("enter", "--tool", "a:1")
    bench.claim("a:1", "src")
    bench.write("src/a")
    answer = bench.rally("check", "before-commit", "--tool", "b:1", "--strict", "--json")
    assert (answer.code, answer.data["paths"]) == (4, ["src/a"])
    nothing = bench.rally("check", "range", "HEAD~1..HEAD", "--tool", "b:1", "--json")
    assert (nothing.code, '"bad-range"' in nothing.out) == (2, True)


def test_a_bare_clone_has_a_room_that_its_worktrees_share(repo: Desk, bench: Desk) -> None:
    """In it paths can be claimed and ranges checked; only an index it has none."""
    repo.commit("src/a")
    bench.git("clone", "-q", "--bare", str(repo.folder), "bare.git")
    bare = bench.at(bench.folder / "bare.git")
    bare.ask("enter", "--tool", "a:1")
    bare.claim("a:1", "src")
    words = ("check", "range", "HEAD~1..HEAD", "--tool", "b:1", "--strict", "--json")
    ranged = bare.rally(*words)
    assert (ranged.code, ranged.data["paths"]) == (4, ["src/a"])
    staged = bare.rally("check", "before-commit", "--tool", "b:1", "--json")
    assert (staged.code, '"not-a-repository"' in staged.out) == (2, True)
    bare.git("worktree", "add", "-q", "../tree")
    tree = bench.at(bench.folder / "tree")
    assert tree.ask("whoami")["room"] == str(bare.folder)
    tree.install()
    tree.write("src/a", "new\n")
    assert tree.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1").code == 1
    assert tree.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="a:1").code == 0


def test_a_submodule_has_a_room_of_its_own(repo: Desk, bench: Desk) -> None:
    """Its claims bind in it; for the repository around it, it is one path."""
    bench.git("init", "-q", "lib")
    library = bench.at(bench.folder / "lib")
    library.commit("src/a")
    repo.git("submodule", "add", "-q", str(library.folder), "vendor/lib")
    repo.git("commit", "-q", "-m", "with lib")
    inner = repo.at(repo.folder / "vendor" / "lib")
    inner.claim("a:1", "src")
    assert inner.ask("whoami")["room"] == str(inner.folder)
    assert repo.ask("whoami")["head"] == 0
    inner.install()
    repo.install()
    inner.write("src/a", "new\n")
    assert inner.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1").code == 1
    assert inner.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="a:1").code == 0
    repo.claim("a:1", "vendor/lib")
    repo.git("add", "vendor/lib")
    assert repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1").code == 1


def test_of_nested_repositories_the_innermost_is_meant(repo: Desk) -> None:
    """A clone inside of a working tree is another project."""
    inner = repo.at(repo.folder / "clones" / "x")
    inner.folder.mkdir(parents=True)
    inner.git("init", "-q")
    repo.claim("a:1", ".")
    inner.write("a")
    assert inner.ask("check", "before-commit", "--tool", "b:1")["allow"] is True
    assert inner.ask("whoami")["room"] == str(inner.folder)
    outer = inner.rally(
        "check", "before-commit", "--tool", "b:1", "--strict", RALLY_ROOM=str(repo.folder)
    )
    assert outer.code == 4, "unless the room around it is asked for"
    repo.write("a")
    inner.claim("a:1", "a")
    seen = repo.ask("check", "before-commit", "--tool", "b:1", RALLY_ROOM=str(inner.folder))
    assert (seen["allow"], seen["paths"]) == (True, []), "its files are not those around it"


def test_a_hook_is_about_the_folder_it_runs_in(repo: Desk, bench: Desk) -> None:
    """R5: GIT_DIR of somebody else's commit redirects nothing."""
    bench.git("init", "-q", "other")
    other = bench.at(bench.folder / "other")
    other.write("theirs")
    env = {"GIT_DIR": str(repo.folder / ".git"), "GIT_WORK_TREE": str(repo.folder)}
    data = other.ask("check", "before-commit", "--tool", "b:1", **env, GIT_INDEX_FILE="elsewhere")
    assert data["paths"] == ["theirs"]


def test_a_commit_from_the_folder_of_another_repository_is_no_way_round(
    repo: Desk, bench: Desk
) -> None:
    """git runs the hooks of the one in the folder of the other, whose room knows no claim."""
    repo.install()
    repo.claim("a:1", "README")
    bench.git("init", "-q", "other")
    other = bench.at(bench.folder / "other")
    other.write("README", "by force\n", stage=False)
    words = ("git", f"--git-dir={repo.folder}/.git", f"--work-tree={other.folder}")
    done = other.run(*words, "commit", "-qam", "by force", RALLY_TOOL="b:1")
    assert done.code == 1, done
    assert "git works on" in done.err
    there = other.run(*words, "push", "-q", str(bench.folder / "nowhere.git"), "HEAD:refs/heads/x")
    assert there.code != 0
    done = repo.run("git", f"--git-dir={repo.folder}/.git", "--work-tree=.", "commit", "-q",
                    "--allow-empty", "-m", "mine", RALLY_TOOL="b:1")  # fmt: skip
    assert done.code == 0, done
