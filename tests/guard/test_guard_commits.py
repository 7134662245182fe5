"""The guard in real hooks of real git: what may be committed and pushed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from guard_desk import Desk


def commit(repo: Desk, *words: str, tool: str = "b:1") -> int:
    """The exit code of `git commit`, with its hooks."""
    return repo.run("git", "commit", "-q", "-m", "x", *words, RALLY_TOOL=tool).code


def test_two_agents_with_only_git_guards(repo: Desk, bench: Desk) -> None:
    """The second commit on a claimed path is refused; with --no-verify CI's range check finds it, in
    a fresh clone that checks against the room of the folder that the agents share."""
    repo.install()
    repo.claim("a:1", "src/api/**")
    repo.write("src/api/users.py")
    assert commit(repo, tool="a:1") == 0
    base = repo.git("rev-parse", "HEAD").strip()

    repo.write("src/api/users.py", "mine now\n")
    refused = repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1")
    assert refused.code == 1
    assert "rally: stop for b:1" in refused.err
    assert "src/api/users.py is claimed by a:1 as src/api/** until " in refused.err
    assert repo.git("rev-parse", "HEAD").strip() == base

    repo.git("commit", "-q", "-m", "by force", "--no-verify", RALLY_TOOL="b:1")
    clone = bench.at(bench.folder / "clone")
    bench.git("clone", "-q", str(repo.folder), "clone")
    found = clone.rally(
        "check", "range", f"{base}..HEAD", "--tool", "ci", "--strict", "--format", "github",
        RALLY_ROOM=str(repo.folder),
    )  # fmt: skip
    assert found.code == 4
    assert found.out.startswith("::error title=rally%3A claimed-path,file=src/api/users.py::")
    assert found.out.endswith("\nstop\n")


def test_every_way_to_commit_is_seen(repo: Desk) -> None:
    """-a, single files (an index of their own), --amend, both names of a rename, a deletion."""
    repo.commit("held/a", "held/b", "free/a")
    repo.install()
    repo.claim("a:1", "held")
    (repo.folder / "held/a").write_text("new\n")
    assert commit(repo, "-a") == 1
    assert commit(repo, "--", "held/a") == 1
    assert commit(repo, "--amend", "-a") == 1
    (repo.folder / "free/a").write_text("new\n")
    assert commit(repo, "--", "free/a") == 0, "what is not in this commit does not count"
    repo.git("checkout", "-q", "--", "held/a")
    repo.git("mv", "held/a", "free/away")
    assert commit(repo) == 1
    repo.git("reset", "-q", "--hard")
    repo.git("mv", "free/a", "held/in")
    assert commit(repo) == 1
    repo.git("reset", "-q", "--hard")
    repo.git("rm", "-q", "held/b")
    assert commit(repo) == 1
    assert commit(repo, tool="a:1") == 0


def test_the_first_commit_of_a_repository_is_guarded(bench: Desk) -> None:
    """There is no HEAD to compare with, and no room yet either."""
    bench.git("init", "-q")
    bench.install()
    bench.write("src/a")
    bench.claim("a:1", "src")
    assert commit(bench) == 1
    assert commit(bench, tool="a:1") == 0


def test_a_merge_is_judged_by_what_it_changes_itself(repo: Desk) -> None:
    """What the other side committed is theirs; how a conflict is settled is the merger's."""
    repo.commit("held/clash", "held/theirs", "mine")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("mine", "held/clash")
    repo.git("checkout", "-q", "main")
    repo.commit("held/clash", "held/theirs")
    repo.git("checkout", "-q", "side")
    repo.install()
    assert repo.run("git", "merge", "main").code == 1
    repo.write("held/clash", "settled\n")
    other = repo.claim("a:1", "held/theirs")
    assert commit(repo) == 0
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.release("a:1", other)
    repo.claim("a:1", "held/clash")
    assert repo.run("git", "merge", "main").code == 1
    repo.write("held/clash", "settled otherwise\n")
    assert commit(repo) == 1


def test_a_merge_that_takes_back_what_the_other_side_did_is_seen(repo: Desk, bench: Desk) -> None:
    """It differs from one side only, and no commit of the push or range changed the file."""
    bench.git("init", "-q", "--bare", "remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("free")
    repo.git("checkout", "-q", "main")
    repo.commit("held")
    repo.git("push", "-q", "origin", "main")
    repo.install()
    claim = repo.claim("a:1", "held")
    repo.git("checkout", "-q", "side")
    repo.git("merge", "-q", "--no-edit", "main")
    push = ("push", "-q", "origin", "side:main")
    assert repo.run("git", *push, "--dry-run", RALLY_TOOL="b:1").code == 0, "an honest merge"
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.git("merge", "-q", "--no-edit", "-s", "ours", "main")
    refused = repo.run("git", *push, RALLY_TOOL="b:1")
    assert (refused.code, "held is claimed by a:1" in repr(refused)) == (1, True), refused
    data = repo.ask("check", "range", "origin/main..", "--tool", "ci")
    assert (data["allow"], data["paths"]) == (False, ["free", "held"])
    repo.release("a:1", claim)
    repo.git(*push, RALLY_TOOL="b:1")


def test_a_link_in_the_place_of_a_folder_hides_nothing(repo: Desk) -> None:
    """git follows no links; the names of the files that were there would lead to what is free."""
    repo.commit("held/a", "free/a")
    repo.install()
    repo.claim("a:1", "held/**")
    held = repo.folder / "held"
    for target in ("free", "/tmp", "held"):
        (held / "a").unlink()
        held.rmdir()
        held.symlink_to(target)
        repo.git("add", "-A")
        assert commit(repo) == 1, target
        held.unlink()
        repo.git("reset", "-q", "--hard")
    (held / "a").unlink()
    held.rmdir()
    repo.git("worktree", "add", "-q", "held", "-b", "side")
    repo.git("rm", "-q", "--cached", "held/a")
    assert commit(repo) == 1, "nor does a worktree"


def test_a_rebase_is_not_held_up_half_way(repo: Desk) -> None:
    """git runs no pre-commit hook for commits that it only moves; the push is where they are seen."""
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("held/a")
    repo.git("checkout", "-q", "main")
    repo.commit("other")
    repo.install()
    repo.claim("a:1", "held")
    repo.git("checkout", "-q", "side")
    assert repo.run("git", "rebase", "-q", "main", RALLY_TOOL="b:1").code == 0


def test_a_push_is_judged_by_what_it_brings(repo: Desk, bench: Desk) -> None:
    """New branches, branches that are there, forced ones, deleted ones, and tags."""
    bench.git("init", "-q", "--bare", "remote.git")
    repo.git("remote", "add", "origin", str(bench.folder / "remote.git"))
    repo.commit("held/before")
    repo.git("push", "-q", "origin", "main")
    repo.install()
    repo.claim("a:1", "held")

    def push(*words: str, tool: str = "b:1") -> int:
        return repo.run("git", "push", "-q", *words, RALLY_TOOL=tool).code

    repo.git("checkout", "-q", "-b", "side")
    repo.commit("free")
    assert push("origin", "side") == 0, "what the remote has on another branch is not new"
    repo.commit("held/a")
    repo.git("rm", "-q", "held/a")
    repo.git("commit", "-q", "--no-verify", "-m", "taken back")
    assert push("origin", "side") == 1, "each commit counts, also where a later one undid it"
    assert push("origin", "HEAD~2:refs/heads/part") == 0
    repo.git("tag", "-m", "t", "v1")
    assert push("origin", "v1") == 1
    assert push("origin", "side", tool="a:1") == 0
    assert push("origin", "v1") == 0, "the commits are there already"
    repo.git("reset", "-q", "--hard", "HEAD~2")
    repo.commit("free")
    assert push("--force", "origin", "side") == 0, "of a forced push only what is new counts"
    assert push("origin", ":side", ":part") == 0
    assert push(str(bench.folder / "remote.git"), "side") == 0, "a URL: by the refs' old values"


def test_a_remote_of_which_nothing_is_known_gets_everything_checked(
    repo: Desk, bench: Desk
) -> None:
    """The first push of all brings the whole history."""
    bench.git("init", "-q", "--bare", "remote.git")
    repo.commit("held/a")
    repo.install()
    repo.claim("a:1", "held")
    url = str(bench.folder / "remote.git")
    assert repo.run("git", "push", "-q", url, "main", RALLY_TOOL="b:1").code == 1


@pytest.mark.parametrize("line", ["x", "a b c d", f"r {'g' * 40} r {'0' * 40}", "--all 1 2 3"])
def test_what_is_no_line_of_gits_is_refused(repo: Desk, line: str) -> None:
    """Exit 2, and no word of it reaches git as an option."""
    done = repo.rally("check", "range", "-", "--tool", "b:1", "--json", stdin=line)
    assert done.code == 2
    assert '"bad-range"' in done.out
    wrong = repo.rally("check", "range", "HEAD..HEAD", "--remote", "origin", "--tool", "b:1")
    assert (wrong.code, "--remote goes with -" in wrong.err) == (2, True)


def plain_path(folder: Path) -> str:
    """A PATH on which there is git and no rally."""
    folder.mkdir()
    for name in ("git", "sh", "cat"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_without_rally_the_hook_says_so_and_lets_pass(repo: Desk) -> None:
    """A clone on a machine without rally must work; whoever wants otherwise installs --fail-closed."""
    without = plain_path(repo.folder.parent / "bin")
    repo.install()
    repo.claim("a:1", "held")
    repo.write("held/a")
    passed = repo.run("git", "commit", "-q", "-m", "x", PATH=without)
    assert passed.code == 0
    assert passed.err == "rally is not in PATH: this commit is not checked against claims\n"
    repo.install(fail_closed=True)
    repo.write("free")
    assert repo.run("git", "commit", "-q", "-m", "x", PATH=without).code == 1


def test_a_check_that_cannot_be_answered_is_no_allow(repo: Desk) -> None:
    """K0: a ledger that cannot be read stops the commit, with a reason."""
    repo.install()
    (repo.folder / ".rally").mkdir()
    (repo.folder / ".rally" / "ledger.db").write_text("this is no database" * 100)
    repo.write("a")
    done = repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1")
    assert done.code == 1
    assert "the check cannot be answered" in done.err


def test_a_hook_that_allows_says_nothing(repo: Desk) -> None:
    """--quiet: no `allow`, no remarks on paths that nobody claimed; warnings are shown."""
    repo.install()
    repo.write("free")
    done = repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1")
    assert (done.code, done.out, done.err) == (0, "", "")
    repo.claim("b:1", "mine")
    repo.write("free", "again\n")
    done = repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1")
    assert done.code == 0
    assert done.err.startswith("rally: warning for b:1\n  warn  outside-claim  free is outside")


def test_names_that_are_no_utf8_can_be_committed(repo: Desk) -> None:
    """They can stand in no claim; a claim that covers them is found all the same."""
    repo.install()
    folder = repo.folder / "held"
    folder.mkdir()
    with open(bytes(folder) + b"/\xff.txt", "wb") as file:
        file.write(b"x")
    repo.git("add", ".")
    claim = repo.claim("a:1", "held/**")
    assert commit(repo) == 1
    repo.release("a:1", claim)
    assert commit(repo) == 0
