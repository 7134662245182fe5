"""What changed is what git says, whoever else works in the tree, and however dirty it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loop_bench import Bench, checks, good, message, why

from rally.execution.loop.snapshot import Snapshots
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.errors import RallyError, UsageError
from rally.model.fact import seal


async def test_what_was_dirty_before_is_not_the_agents(bench: Bench) -> None:
    """Changed, created, deleted and staged files from before count only if the agent touched them."""
    for name in ("changed", "deleted", "staged"):
        (bench.root / name).write_text("old")
    bench.git("add", ".")
    bench.git("commit", "-qm", "more")
    (bench.root / "changed").write_text("new")
    (bench.root / "created").write_text("new")
    (bench.root / "deleted").unlink()
    (bench.root / "staged").write_text("new")
    bench.git("add", "staged")
    index = (bench.root / ".git" / "index").read_bytes()
    await bench.add()
    done = await bench.loop(good())
    assert done["verdict"] == "passed"
    assert done["attempts"][0]["changed_files"] == ["src/a.txt"]
    assert (bench.root / ".git" / "index").read_bytes() == index


@pytest.mark.parametrize(
    "script",
    [
        "echo new > changed",
        "git checkout -q changed",
        "rm created",
        "git add -A; git -c user.name=t -c user.email=t@t commit -qm all",
    ],
)
async def test_what_the_agent_did_to_dirty_files_is_seen(bench: Bench, script: str) -> None:
    """Put back, deleted, changed again; what it only committed has not changed."""
    (bench.root / "changed").write_text("old")
    bench.git("add", ".")
    bench.git("commit", "-qm", "more")
    (bench.root / "changed").write_text("dirty")
    (bench.root / "created").write_text("dirty")
    await bench.add()
    done = await bench.loop(f"{script}; {good()}")
    named = "created" if "created" in script else "changed"
    expected = "src/a.txt" if "commit" in script else f"{named} src/a.txt"
    assert " ".join(done["attempts"][0]["changed_files"]) == expected


async def test_what_was_not_committed_within_the_boundary_is_said(bench: Bench) -> None:
    """A warning, for it may be somebody's forgotten work."""
    (bench.root / "src").mkdir()
    (bench.root / "src" / "a.txt").write_text("half done")
    await bench.add()
    done = await bench.loop(good())
    (warning,) = done["warnings"]
    assert (warning["code"], "src/a.txt" in warning["message"]) == ("dirty", True)


@pytest.mark.parametrize(
    "make",
    [
        "mv README src/READ",
        "ln -s /etc/passwd 'src/a link'",
        "chmod +x README",
        'printf x > "src/a\nb\\"c\'"',
        "printf x > src/日本",
        "git add -A; git -c user.name=t -c user.email=t@t commit -qm x; echo x > src/later",
        "mkdir -p src/deep/er; echo x > src/deep/er/file",
    ],
)
async def test_every_kind_of_change_is_seen(bench: Bench, make: str) -> None:
    """Names with blanks, quotes, line breaks; links; modes; moves; commits."""
    await bench.add(owns=["src", "README"], validation="true", output="some")
    done = await bench.loop(f"mkdir -p src; {make}; {message()}")
    changed = set(done["attempts"][0]["changed_files"])
    assert changed
    on_disk = set(bench.git("ls-files", "-z", "--others", "--cached").split("\0"))
    assert {path for path in changed if path != "README"} <= on_disk
    assert checks(done["attempts"][0])["boundary"] == "pass"


def test_a_snapshot_puts_nothing_into_the_repository(bench: Bench, tmp_path: Path) -> None:
    """Neither an object nor an index, and hooks do not run."""
    hook = bench.root / ".git" / "hooks" / "post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    before = sorted(str(path) for path in (bench.root / ".git").rglob("*"))
    scratch = tmp_path / "a:scratch"
    scratch.mkdir()
    snapshots = Snapshots(str(bench.root), bench.env, str(scratch))
    first = snapshots.take()
    (bench.root / "new").write_text("x")
    second = snapshots.take()
    assert snapshots.changed(first, second) == ["new"]
    assert "+x" in snapshots.difference(first, second, ["new"])
    assert sorted(str(path) for path in (bench.root / ".git").rglob("*")) == before
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
async def test_what_the_user_has_git_overlook_is_looked_at(bench: Bench, flag: str) -> None:
    """A flag in the user's index hides nothing that an agent does, and stays there."""
    bench.git("update-index", flag, "README")
    flagged = bench.git("ls-files", "-v")
    await bench.add()
    done = await bench.loop(f"echo more >> README; {good()}")
    assert (done["verdict"], why(done["attempts"][0], "boundary")) == (
        "findings", "README is not within what the task owns",
    )  # fmt: skip
    assert bench.git("ls-files", "-v") == flagged


async def test_a_rule_that_the_agent_adds_hides_nothing(bench: Bench) -> None:
    """What was ignored before stays so; what is ignored only since is seen, whatever it is called."""
    (bench.root / ".gitignore").write_text("*.log\n")
    bench.git("add", ".")
    bench.git("commit", "-qm", "rules")
    with (bench.root / ".git" / "info" / "exclude").open("a") as rules:
        rules.write("*.tmp\n")
    await bench.add()
    hides = "echo '*' >> .git/info/exclude; touch x.log x.tmp ':(top)sly'"
    done = await bench.loop(f"{hides}; {good()}")
    assert done["verdict"] == "findings"
    assert done["attempts"][0]["changed_files"] == [":(top)sly", "src/a.txt"]


@pytest.mark.parametrize(
    ("hides", "changed"),
    [
        ("git config core.fileMode false; chmod +x README", "README"),
        ("echo 'x.*' > ../ignore; git config core.excludesFile ../ignore; echo x > x.y", "x.y"),
        ("mkdir -p ~/.config/git; echo 'x.*' > ~/.config/git/ignore; echo x > x.y", "x.y"),
        (("git config filter.f.clean 'git cat-file blob HEAD:%f; touch \"$ASIDE/ran\"'; "
         "echo 'README filter=f' > .git/info/attributes; echo x > README"), "README"),
        (("git config filter.f.process false; git config filter.f.required true; "
         "echo 'README filter=f' > .git/info/attributes; echo x > README"), "README"),
        ("git init -q inner; echo x > inner/x", "inner"),
    ],
)  # fmt: skip
async def test_what_the_agent_tells_git_hides_nothing(
    bench: Bench, hides: str, changed: str
) -> None:
    """Settings, filters and lists count as they were before it came, and its filters do not run."""
    await bench.add()
    done = await bench.loop(f"{hides}; {good()}")
    assert done["verdict"] == "findings"
    assert why(done["attempts"][0], "boundary") == f"{changed} is not within what the task owns"
    assert not (bench.aside / "ran").exists()


async def test_a_filter_that_was_there_before_goes_on_working(bench: Bench) -> None:
    """What the user's own filter makes equal is equal: a file that it smudged has not changed."""
    bench.git("config", "filter.upper.clean", "tr A-Z a-z")
    bench.git("config", "filter.upper.smudge", "tr a-z A-Z")
    (bench.root / ".gitattributes").write_text("README filter=upper\n")
    bench.git("add", ".")
    bench.git("commit", "-qm", "filter")
    await bench.add()
    done = await bench.loop(
        f"git config --unset filter.upper.clean; echo READ ME > README; {good()}"
    )
    assert (done["verdict"], done["attempts"][0]["changed_files"]) == ("passed", ["src/a.txt"])


async def test_what_changed_in_gits_own_folder_is_told(bench: Bench) -> None:
    """No task owns a hook, a setting or the branch; the answer names them, and a commit is none."""
    await bench.add()
    hook = "printf '#!/bin/sh\n' > .git/hooks/pre-commit; git config core.hooksPath /tmp"
    done = await bench.loop(f"git checkout -qb other; {hook}; {good()}")
    assert done["verdict"] == "passed"
    assert done["warnings"] == [
        {
            "code": "git-changed",
            "message": "changed meanwhile in git's own folder: HEAD, config, hooks/pre-commit",
        }
    ]
    await bench.add("b")
    commit = "git add src; git -c user.name=t -c user.email=t@t commit -qm x"
    done = await bench.loop(f"{good('b')}; {commit}; {message('b', 'src/b.txt')}")
    assert (done["verdict"], done["warnings"]) == ("passed", [])


async def test_an_ignored_file_that_the_agent_commits_is_seen(bench: Bench) -> None:
    """Git tracks it from then on, whatever its rules say."""
    (bench.root / ".git" / "info" / "exclude").write_text("*.log\n")
    await bench.add()
    forced = "echo x > x.log; git add -f x.log; git -c user.name=t -c user.email=t@t commit -qm x"
    done = await bench.loop(f"{forced}; {good()}")
    assert done["verdict"] == "findings"
    assert done["attempts"][0]["changed_files"] == ["src/a.txt", "x.log"]


def test_what_a_sparse_checkout_left_out_is_not_deleted(bench: Bench, tmp_path: Path) -> None:
    """What is not there because the user does not want it there was changed by nobody."""
    (bench.root / "far").mkdir()
    (bench.root / "far" / "x").write_text("x")
    bench.git("add", ".")
    bench.git("commit", "-qm", "far")
    bench.git("sparse-checkout", "set", "--no-cone", "/README")
    snapshots = Snapshots(str(bench.root), bench.env, str(tmp_path))
    first = snapshots.take()
    assert snapshots.uncommitted(first) == []
    (bench.root / "new").write_text("x")
    assert "far/x" not in snapshots.changed(first, snapshots.take())


def test_what_git_cannot_take_in_is_told_and_the_rest_compared(
    bench: Bench, tmp_path: Path
) -> None:
    """A repository without a commit in the tree is no reason to see nothing."""
    bench.git("init", "-q", "inner")
    snapshots = Snapshots(str(bench.root), bench.env, str(tmp_path))
    first = snapshots.take()
    (bench.root / "new").write_text("x")
    assert snapshots.changed(first, snapshots.take()) == ["new"]
    assert "inner" in snapshots.warnings[0]


def test_a_repository_without_a_commit_has_changes_too(tmp_path: Path, bench: Bench) -> None:
    """The first task of a project writes the first file."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    bench.git("init", "-q", ".", cwd=fresh)
    (fresh / "old").write_text("")
    snapshots = Snapshots(str(fresh), bench.env, str(tmp_path))
    first = snapshots.take()
    assert snapshots.uncommitted(first) == ["old"]
    (fresh / "new").write_text("x")
    assert snapshots.changed(first, snapshots.take()) == ["new"]


# -- others in the same tree


WRITES_BOTH = "mkdir -p src docs; echo hello > src/a.txt; echo x > docs/x"


async def test_what_others_hold_is_theirs(bench: Bench) -> None:
    """A file that appears under another's claim is no finding, also when the claim is over by then."""
    await bench.say("claim", paths=["docs"])
    await bench.add()
    done = await bench.loop(
        f"{WRITES_BOTH}; rally say release --tool bob --path docs >&2; {message('a', 'src/a.txt')}"
    )
    assert done["verdict"] == "passed"
    assert "1 more belong to bob" in why(done["attempts"][0], "boundary")


async def test_what_others_claim_meanwhile_is_theirs(bench: Bench) -> None:
    """Somebody came, claimed, wrote and went while the agent worked."""
    await bench.add()
    theirs = (
        "rally say claim --tool bob --path docs >&2; rally say release --tool bob --path docs >&2"
    )
    done = await bench.loop(f"{theirs}; {WRITES_BOTH}; {message('a', 'src/a.txt')}")
    assert done["verdict"] == "passed"


async def test_what_nobody_holds_is_a_finding(bench: Bench) -> None:
    """Nobody may write what nobody claimed."""
    await bench.add()
    done = await bench.loop(f"{WRITES_BOTH}; {message('a', 'src/a.txt')}")
    assert "docs/x is not within what the task owns" in why(done["attempts"][0], "boundary")


async def test_a_shared_claim_and_an_own_one_excuse_nothing(bench: Bench) -> None:
    """Readers do not write, and the agent cannot widen its boundary."""
    await bench.say("claim", paths=["docs"], mode="shared")
    await bench.add()
    done = await bench.loop(f"{WRITES_BOTH}; {message('a', 'src/a.txt')}")
    assert checks(done["attempts"][0])["boundary"] == "fail"
    await bench.add("b")
    own = "rally say claim --path other >&2; mkdir other; echo x > other/x"
    done = await bench.loop(f"{own}; {good('b')}")
    assert "other/x is not within" in why(done["attempts"][0], "boundary")


async def test_a_report_that_names_anothers_file_is_a_finding(bench: Bench) -> None:
    """It says itself that it wrote what somebody else holds."""
    await bench.say("claim", paths=["docs"])
    await bench.add()
    done = await bench.loop(f"{WRITES_BOTH}; {message('a', 'src/a.txt', 'docs/x')}")
    assert "the report says that docs/x was changed" in why(done["attempts"][0], "boundary")


async def test_what_the_validation_writes_is_not_the_agents(bench: Bench) -> None:
    """Neither in the first attempt nor in the second."""
    await bench.add(validation="echo x >> cache; grep -q again src/a.txt")
    write = "test -f cache && echo hello again > src/a.txt || echo hello > src/a.txt"
    done = await bench.loop(f"mkdir -p src; {write}; {message('a', 'src/a.txt')}")
    assert [attempt["changed_files"] for attempt in done["attempts"]] == [["src/a.txt"]] * 2
    assert done["verdict"] == "passed"


async def test_a_file_that_git_ignores_is_neither_proved_nor_held_against_the_agent(
    bench: Bench,
) -> None:
    """The report may name it; nothing shows whether it is so."""
    (bench.root / ".gitignore").write_text("*.bin\n")
    await bench.add(owns=["src"])
    done = await bench.loop(
        f"mkdir src; echo > src/x.bin; echo hello > src/a.txt; {message('a', 'src/a.txt', 'src/x.bin')}"
    )
    assert done["verdict"] == "passed"
    assert "git ignores src/x.bin" in why(done["attempts"][0], "claims")


@pytest.mark.parametrize("spelled", ["./src/a.txt", "src//a.txt", "{root}/src/a.txt"])
async def test_a_report_may_spell_a_path_in_any_way(bench: Bench, spelled: str) -> None:
    """It is brought to the form that the room uses."""
    await bench.add()
    path = spelled.format(root=bench.root)
    done = await bench.loop(f"mkdir src; echo hello > src/a.txt; {message('a', path)}")
    assert done["verdict"] == "passed"


async def test_in_a_worktree_everything_happens_there(bench: Bench) -> None:
    """The room is the same, the tree is the caller's own, and what others do elsewhere is not in it."""
    tree = bench.root.parent / "tree"
    bench.git("worktree", "add", "-q", str(tree))
    await bench.add()
    elsewhere = f"echo x > {bench.root}/unclaimed"
    done = await bench.loop(f"{elsewhere}; {good()}", cwd=tree)
    assert (done["verdict"], done["folder"]) == ("passed", str(tree))
    assert (tree / "src" / "a.txt").exists()
    assert not (bench.root / "src").exists()
    assert await bench.status() == "landed"


async def test_without_git_nothing_is_begun(bench: Bench) -> None:
    """What changed could not be told."""
    plain = bench.root.parent / "plain"
    plain.mkdir()
    with pytest.raises(UsageError) as error:
        await bench.loop("true", cwd=plain)
    assert error.value.code == "not-a-repository"
    assert os.listdir(plain) == []


@pytest.mark.parametrize(
    "path", ["\\ud800", "a\\u0000b", "src/link/x", "x" * 5_000, "/etc/passwd", "..", ""]
)
async def test_no_path_in_a_report_breaks_the_judge(bench: Bench, path: str) -> None:
    """What can be no file is a finding like any other that is not true."""
    (bench.root / "src").mkdir()
    (bench.root / "src" / "link").symlink_to("/tmp")
    await bench.add(owns=["src"], output="src/a.txt")
    said = (
        f'{{"task": "a", "changed_files": ["src/a.txt", "{path}"], "validation_result": "passed"}}'
    )
    (bench.aside / "said").write_text(said)
    done = await bench.loop('mkdir -p src; echo hello > src/a.txt; cat "$ASIDE/said"')
    assert done["verdict"] == "findings"
    assert len(done["attempts"]) == 2


async def test_what_another_machine_sent_is_neither_taken_nor_run(bench: Bench) -> None:
    """T3: an untrusted task is shown, and nothing of it starts, not even with a name."""
    await bench.add()
    ledger = await SqliteLedger.open(str(bench.root / ".rally" / "ledger.db"), create=False)
    (own,) = [fact for fact in await ledger.tail(0, 100) if fact.kind == "task"]
    kept = {name: own.doc[name] for name in own.doc if name not in ("seq", "prev", "hash")}
    foreign = {
        **kept, "event_id": "task-far", "step": "b", "origin": "far", "trust": "untrusted",
        "data": {"validation": 'touch "$ASIDE/ran"'},
    }  # fmt: skip
    head = await ledger.head()
    await ledger.append([seal(foreign, seq=head.seq + 1, prev=head.hash)])
    await ledger.close()
    for more in ({}, {"dry_run": True}):
        with pytest.raises(RallyError) as error:
            await bench.loop('touch "$ASIDE/ran"', task="b", **more)
        assert error.value.code in ("unknown-task", "nothing-ready")
    assert os.listdir(bench.aside) == []
    assert (await bench.loop(good(), task="a"))["verdict"] == "passed"
