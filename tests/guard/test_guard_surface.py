"""Putting the guard into hooks that are there already, and taking it out again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from guard_desk import Desk

from rally.model.errors import Refused, UsageError

SHELL_HOOK = '#!/bin/bash\nset -eu\n# mine\nexec cat >> "$OUT"\n'


def hook(repo: Desk, name: str, text: str | bytes, mode: int = 0o755) -> Path:
    """A hook of the user's own."""
    path = repo.folder / ".git" / "hooks" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def tried(repo: Desk, name: str, **env: str) -> int:
    """The exit code of a commit of one file by b:1."""
    repo.write(name)
    return repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1", **env).code


def test_the_guard_is_put_in_and_taken_out(repo: Desk) -> None:
    """Twice is once; what rally made goes, and the samples of git stay."""
    before = sorted(os.listdir(repo.folder / ".git" / "hooks"))
    assert repo.state() == "absent"
    repo.install()
    assert repo.state() == "installed"
    assert all(one.before == one.after for one in repo.install().changes)
    repo.install(fail_closed=True)
    assert repo.state() == "installed"
    (repo.folder / ".git/hooks/pre-push").unlink()
    assert repo.state() == "partial"
    repo.uninstall()
    assert sorted(os.listdir(repo.folder / ".git" / "hooks")) == before
    assert repo.uninstall().changes == ()


@pytest.mark.parametrize(
    "text",
    [
        b"#!/bin/sh\necho mine\n",
        b"#!/usr/bin/env -S bash -e\necho mine\nexit 0\n",
        b"echo no first line\n",
        b"#!/bin/zsh\n\xff\xfe latin \xe9",
        b"#!/bin/sh",
        b"#!/bin/dash\r\necho crlf\r\n",
        b"#!/usr/bin/env python3\nprint('mine')\n",
        b"\x7fELF\x00\x01\x02 a program",
    ],
)
def test_a_hook_that_was_there_comes_back_byte_for_byte(repo: Desk, text: bytes) -> None:
    """Whatever language and encoding it is written in, and with its rights."""
    mode = 0o700
    mine = hook(repo, "pre-commit", text, mode)
    repo.install()
    repo.install(fail_closed=True)
    assert mine.read_bytes() != text
    assert repo.state() == "installed"
    repo.uninstall()
    assert (mine.read_bytes(), mine.stat().st_mode & 0o777) == (text, mode)
    assert not mine.with_name("pre-commit.before-rally").exists()
    assert not mine.with_name("pre-push").exists()


def test_a_shell_hook_runs_behind_the_guard(repo: Desk) -> None:
    """It runs where rally lets the commit pass, and finds what git says on standard input."""
    out = repo.folder.parent / "out"
    hook(repo, "pre-commit", '#!/bin/sh\necho ran >> "$OUT"\nexit 0\n')
    hook(repo, "pre-push", SHELL_HOOK)
    repo.install()
    repo.claim("a:1", "held")
    assert tried(repo, "held/a", OUT=str(out)) == 1
    assert not out.exists()
    repo.git("reset", "-q", "--hard")
    assert tried(repo, "free", OUT=str(out)) == 0
    assert out.read_text() == "ran\n"
    out.unlink()
    repo.run("git", "init", "-q", "--bare", "../remote.git")
    assert repo.run("git", "push", "-q", "../remote.git", "main", OUT=str(out)).code == 0
    commit = repo.git("rev-parse", "HEAD").strip()
    assert out.read_text() == f"refs/heads/main {commit} refs/heads/main {'0' * 40}\n"


def test_a_hook_in_another_language_is_called_from_ours(repo: Desk) -> None:
    """It keeps its say: what it refuses is refused."""
    mine = hook(
        repo, "pre-commit", "#!/usr/bin/env python3\nimport sys\nsys.exit('python says no')\n"
    )
    repo.install()
    repo.write("free")
    done = repo.run("git", "commit", "-q", "-m", "x", RALLY_TOOL="b:1")
    assert (done.code, done.err) == (1, "python says no\n")
    with mine.open("a") as file:
        file.write("# somebody was here\n")
    warnings = repo.uninstall().warnings
    assert [one["code"] for one in warnings] == ["hook-edited"]
    done = repo.run("git", "commit", "-q", "-m", "x")
    assert (done.code, done.err) == (1, "python says no\n"), "only rally's part was taken out"


def test_what_somebody_wrote_into_a_hook_since_stays(repo: Desk) -> None:
    """Only rally's part is taken out of an edited file."""
    mine = hook(repo, "pre-commit", "#!/bin/sh\necho one\n")
    repo.install()
    mine.write_text(mine.read_text().replace("echo one", "echo one\necho two"))
    made = mine.with_name("pre-push")
    with made.open("a") as file:
        file.write("echo three\n")
    repo.uninstall()
    assert mine.read_text() == "#!/bin/sh\necho one\necho two\n"
    assert made.read_text() == "#!/bin/sh\necho three\n"


def test_a_part_of_another_version_is_brought_up_to_date(repo: Desk) -> None:
    """It is known by its first and last line."""
    repo.install()
    mine = repo.folder / ".git/hooks/pre-commit"
    whole = mine.read_text()
    mine.write_text(whole.replace("--strict ", ""))
    assert repo.state() == "outdated"
    repo.install()
    assert mine.read_text() == whole


def test_husky_keeps_rallys_part(repo: Desk) -> None:
    """Its `_` folder is made anew by each npm install, so the part goes where husky calls it from."""
    husky = repo.folder / ".husky"
    (husky / "_").mkdir(parents=True)
    (husky / "_" / "husky.sh").write_text("")
    runner = '#!/usr/bin/env sh\ns=$(dirname "$(dirname "$0")")/$(basename "$0")\n'
    runner += '[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\n'
    for name in ("pre-commit", "pre-push"):
        (husky / "_" / name).write_text(runner)
        (husky / "_" / name).chmod(0o755)
    (husky / "pre-commit").write_text("echo mine\n")
    repo.git("config", "core.hooksPath", ".husky/_")
    plan = repo.install()
    assert [Path(one.path).relative_to(repo.folder).as_posix() for one in plan.changes] == [
        ".husky/pre-commit",
        ".husky/pre-push",
    ]
    assert "commit it for everybody" in plan.notes[0]
    repo.claim("a:1", "held")
    assert tried(repo, "held/a") == 1
    repo.git("reset", "-q", "--hard")
    assert tried(repo, "free") == 0
    repo.uninstall()
    assert (husky / "pre-commit").read_text() == "echo mine\n"
    assert not (husky / "pre-push").exists()


def test_the_pre_commit_framework_keeps_rallys_part(repo: Desk) -> None:
    """It writes its hook anew when it likes, and calls what it finds as `<hook>.legacy`."""
    mine = hook(
        repo, "pre-commit",
        "#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n"
        'HERE="$(cd "$(dirname "$0")" && pwd)"\n"$HERE/pre-commit.legacy" "$@"\n',
    )  # fmt: skip
    text = mine.read_bytes()
    repo.install()
    assert mine.read_bytes() == text
    assert repo.state() == "installed"
    repo.claim("a:1", "held")
    assert tried(repo, "held/a") == 1
    legacy = mine.with_name("pre-commit.legacy")
    legacy.rename(mine)  # as `pre-commit uninstall` does
    assert repo.state() == "installed"
    repo.uninstall()
    assert not mine.exists()


def test_hooks_that_are_not_the_repositorys_own_are_left_alone(repo: Desk, bench: Desk) -> None:
    """A folder of hooks for all of a user's repositories would guard them all."""
    (bench.folder / "shared").mkdir()
    repo.git("config", "core.hooksPath", str(bench.folder / "shared"))
    with pytest.raises(Refused) as caught:
        repo.install()
    assert caught.value.code == "foreign-file"
    assert str(bench.folder / "shared") in caught.value.message
    assert os.listdir(bench.folder / "shared") == []
    assert repo.state() == "absent"


def test_hooks_in_a_folder_of_the_repository_are_used(repo: Desk) -> None:
    """core.hooksPath, relative to the working tree."""
    (repo.folder / "tools").mkdir()
    repo.git("config", "core.hooksPath", "tools")
    assert len(repo.install().notes) == 2
    assert sorted(os.listdir(repo.folder / "tools")) == ["pre-commit", "pre-push"]


def test_what_cannot_be_chained_is_refused_whole(repo: Desk) -> None:
    """Nothing is half done, and a hook that somebody turned off is not turned on."""
    mine = hook(repo, "pre-push", "#!/bin/sh\nexit 1\n", mode=0o644)
    with pytest.raises(Refused, match="is not executable"):
        repo.install()
    assert not mine.with_name("pre-commit").exists()
    mine.unlink()
    kept = hook(repo, "pre-commit.before-rally", "somebody's")
    hook(repo, "pre-commit", b"#!/usr/bin/perl\n")
    with pytest.raises(Refused, match="is there already"):
        repo.install()
    assert kept.read_text() == "somebody's"
    hook(repo, "pre-commit", b"#!/bin/sh\n# >>> rally guard >>> and nothing more\n")
    with pytest.raises(UsageError, match=r"pre-commit:2:1: rally's part begins here"):
        repo.install()
    assert repo.state() == "broken"


def test_the_hooks_of_linked_worktrees_bare_repositories_and_submodules_are_found(
    repo: Desk, bench: Desk
) -> None:
    """Worktrees share those of their repository, a submodule has its own."""
    repo.git("worktree", "add", "-q", "../tree")
    tree = bench.at(bench.folder / "tree")
    tree.install()
    assert repo.state() == "installed"
    bench.git("init", "-q", "--bare", "bare.git")
    bare = bench.at(bench.folder / "bare.git")
    bare.install()
    assert (bare.folder / "hooks" / "pre-push").is_file()
    repo.git("submodule", "add", "-q", str(repo.folder), "sub")
    sub = repo.at(repo.folder / "sub")
    assert sub.state() == "absent"
    sub.install()
    assert (repo.folder / ".git/modules/sub/hooks/pre-commit").is_file()
