"""`rally watch --boundaries`: real writes in real working trees."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guard_desk import Desk, Watching

from rally.execution.boundaries.attribution import Trespass, trespass
from rally.execution.boundaries.trees import Trees
from rally.execution.homes import Homes
from rally.facilitation.places import Place
from rally.model.errors import Failure

Start = Callable[..., Watching]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts watchers, and ends them."""
    started: list[Watching] = []

    def make(desk: Desk, *words: str) -> Watching:
        started.append(Watching(desk, *words))
        return started[-1]

    yield make
    for one in started:
        one.close()


@pytest.fixture
def tree(repo: Desk) -> Desk:
    """The worktree of b:1; a:1 works in the main one and holds `held`."""
    repo.write(".gitignore", "*.log\nbuild/\n")
    repo.commit(*(f"held/{number}" for number in range(15)), "free/a")
    repo.git("worktree", "add", "-q", "../tree", "-b", "side")
    other = repo.at(repo.folder.parent / "tree")
    repo.ask("enter", "--tool", "a:1")
    other.ask("enter", "--tool", "b:1")
    repo.claim("a:1", "held/**")
    return other


def risks(desk: Desk) -> list[dict[str, Any]]:
    """The risk facts, oldest first."""
    facts = desk.ask("log", "--kind", "risk", "--limit", "0")["facts"]
    assert isinstance(facts, list)
    return facts


def put(desk: Desk, *names: str) -> None:
    for name in names:
        desk.write(name, f"new {name}\n", stage=False)


def test_a_write_on_anothers_claim_is_one_risk(repo: Desk, tree: Desk, start: Start) -> None:
    """Whoever watches, and however often it is written; nothing else is told."""
    first = start(repo, "--tool", "w:1", "--on-activity", "true")
    second = start(repo, "--tool", "w:2")
    put(tree, "free/a", "held/noise.log", "held/build/x", "free/new")
    put(repo, "held/2")  # in the owner's own tree
    put(tree, "held/3")
    (tree.folder / "held/1").write_text((tree.folder / "held/1").read_text())  # as HEAD has it
    told = first.event("boundary")
    assert (told["path"], told["writer"], told["owner"]) == ("held/3", "b:1", "a:1")
    assert (told["tree"], told["total"]) == (str(tree.folder), 1)
    assert second.event("boundary")["path"] == "held/3"
    put(tree, "held/3")
    put(tree, "held/4")
    for watching in (first, second):
        assert watching.event("boundary")["path"] == "held/4"
        watching.stop()
        assert [one["event"] for one in watching.told].count("boundary") == 2
    facts = risks(repo)
    assert [one["paths"] for one in facts] == [["held/3"], ["held/4"]]
    assert facts[0]["event_id"] == told["risk"]
    assert facts[0]["ref"] == told["claim"]
    assert facts[0]["origin"] == f"watch:{facts[0]['tool']}"
    assert facts[0]["subject"] == (
        f"b:1 wrote held/3 in {tree.folder}, which a:1 claims as held/**"
    )
    assert all(
        one["from_seq"] <= one["to_seq"] and one["facts"] <= 2
        for one in first.told
        if one["event"] == "activity"
    ), "a sentinel's own risk is no activity for itself"


def test_what_git_itself_writes_is_no_work(repo: Desk, tree: Desk, start: Start) -> None:
    """Switching, pulling, rebasing and new worktrees bring what was committed; a commit is work."""
    repo.commit("held/1", "held/2")
    watching = start(repo)
    tree.git("merge", "-q", "main")
    tree.git("checkout", "-q", "-b", "again", "HEAD~1")
    tree.git("checkout", "-q", "side")
    tree.git("rebase", "-q", "main")
    repo.git("worktree", "add", "-q", ".rally/worktrees/late", "-b", "late")
    late = repo.at(repo.folder / ".rally/worktrees/late")
    tree.commit("held/5")
    told = watching.event("boundary")
    assert (told["path"], told["writer"]) == ("held/5", "b:1")
    put(late, "held/6")
    told = watching.event("boundary")
    assert (told["path"], told["tree"]) == ("held/6", str(late.folder))
    assert "writer" not in told, "nobody is known to work there"
    watching.stop()
    assert [one["paths"] for one in risks(repo)] == [["held/5"], ["held/6"]]


def test_a_worktree_that_appears_elsewhere_is_watched(repo: Desk, tree: Desk, start: Start) -> None:
    """Outside of every folder that was watched before."""
    watching = start(repo)
    repo.git("worktree", "add", "-q", "../late", "-b", "late")
    late = repo.at(repo.folder.parent / "late")
    late.commit("held/7")
    assert watching.event("boundary")["path"] == "held/7"
    late.git("mv", "held/8", "free/8")
    assert watching.event("boundary")["path"] == "held/8"
    repo.git("worktree", "remove", "--force", "../late")
    put(tree, "held/9")
    assert watching.event("boundary")["path"] == "held/9"


def test_names_that_cannot_be_told_end_no_watch(repo: Desk, tree: Desk, start: Start) -> None:
    """The kernel's watcher ends on a name that is no UTF-8; the sentinel goes on, and misses nothing."""
    watching = start(repo)
    with open(bytes(tree.folder) + b"/held/\xff", "wb") as file:
        file.write(b"x")
    assert watching.event("boundary")["path"] == "held/?"
    put(tree, "held/3")
    assert watching.event("boundary")["path"] == "held/3"
    shutil.move(tree.folder / "held", tree.folder / "free/held")
    (tree.folder / "held").symlink_to("free/held")
    assert "held" in watching.event("boundary")["paths"], "a link is no way out"
    watching.stop()


def test_a_flood_is_one_fact(repo: Desk, tree: Desk, start: Start) -> None:
    """At most fifty paths and the number of all; a deleted folder is its files."""
    watching = start(repo)
    put(tree, *(f"held/many/{number:02}" for number in range(60)))
    told = watching.event("boundary")
    total = told["total"]
    while total < 60:
        total += watching.event("boundary")["total"]
    shutil.rmtree(tree.folder / "held" / "many")
    for number in range(15):
        (tree.folder / f"held/{number}").unlink()
    while total < 75:
        total += watching.event("boundary")["total"]
    assert total == 75
    watching.stop()
    facts = risks(repo)
    assert len(facts) <= 20 + 3
    assert max(len(one["paths"]) for one in facts) <= 50
    listed = max(facts, key=lambda one: one["data"]["boundary"]["total"])
    assert f"b:1 wrote {listed['data']['boundary']['total']} files in" in listed["subject"]


def test_an_episode_ends_with_its_claim(repo: Desk, tree: Desk, start: Start) -> None:
    """A claim that was released binds nobody; a new one is a new episode."""
    watching = start(repo)
    put(tree, "held/1")
    first = watching.event("boundary")
    repo.release("a:1", first["claim"])
    put(tree, "held/1", "held/2")
    again = repo.claim("a:1", "held/1")
    put(tree, "held/1")
    told = watching.event("boundary")
    assert (told["path"], told["claim"]) == ("held/1", again)
    watching.stop()
    assert [one["paths"] for one in risks(repo)] == [["held/1"], ["held/1"]]


def test_a_dry_run_tells_and_writes_nothing(repo: Desk, tree: Desk, start: Start) -> None:
    """As for everything else that watch does."""
    watching = start(repo, "--dry-run")
    put(tree, "held/1")
    told = watching.event("boundary")
    assert told["dry_run"] is True
    assert "risk" not in told
    watching.stop()
    assert risks(repo) == []


def test_repositories_within_a_tree_are_not_its_own(repo: Desk, tree: Desk, start: Start) -> None:
    """A nested repository has a room of its own."""
    inner = tree.at(tree.folder / "held" / "clone")
    inner.folder.mkdir()
    inner.git("init", "-q")
    watching = start(repo)
    put(inner, "theirs")
    put(tree, "held/1")
    assert watching.event("boundary")["path"] == "held/1"
    put(tree, "held/2")
    assert watching.event("boundary")["path"] == "held/2"


def test_worktrees_of_a_bare_repository_are_watched(repo: Desk, bench: Desk, start: Start) -> None:
    """Each agent has its own there; the folder of the repository is no working tree."""
    repo.commit("held/a")
    bench.git("clone", "-q", "--bare", str(repo.folder), "bare.git")
    bare = bench.at(bench.folder / "bare.git")
    for name in ("one", "two"):
        bare.git("worktree", "add", "-q", f"../{name}", "-b", name)
    one, two = bench.at(bench.folder / "one"), bench.at(bench.folder / "two")
    one.claim("a:1", "held")
    watching = start(bare)
    put(one, "held/mine")
    put(two, "held/a")
    told = watching.event("boundary")
    assert (told["path"], told["tree"], told["owner"]) == ("held/a", str(two.folder), "a:1")


def test_it_says_what_it_cannot_do(repo: Desk) -> None:
    """It sees what is written while it runs, so it goes with nothing that ends at once."""
    once = repo.rally("watch", "--boundaries", "--once")
    assert (once.code, "hint: rally watch --boundaries" in once.err) == (2, True)
    cron = repo.rally("watch", "--boundaries", "--print-unit", "cron")
    assert (cron.code, "hint: --print-unit systemd" in cron.err) == (2, True)
    assert " --boundaries " in repo.rally("watch", "--boundaries", "--print-unit", "systemd").out


async def test_trees_that_cannot_be_watched_are_an_error(tmp_path: Path) -> None:
    """Never a sentinel that sees nothing."""
    trees = Trees(Place(root=str(tmp_path / "gone")))
    await trees.begin()
    with pytest.raises(Failure) as caught:
        async for _ in trees.batches():
            pass
    assert caught.value.code == "unavailable"


MAIN, W1, W2 = "/r", "/r/.rally/worktrees/1", "/w2"


@pytest.mark.parametrize(
    ("homes", "top", "found"),
    [
        ({"u": {MAIN}}, MAIN, None),
        ({"u": {W1}, "t": {W1}}, W1, None),
        ({"u": {MAIN, W1}}, W1, None),
        ({"u": {W1}, "t": {W2}}, W2, Trespass("t")),
        ({"u": {MAIN}, "t": {W1}}, W1, Trespass("t")),
        ({"u": {MAIN}}, W1, Trespass(None)),
        ({"u": {MAIN}, "s": {W1}, "t": {W1}}, W1, Trespass(None)),
        ({"u": {W1}}, MAIN, Trespass(None)),
        ({"u": {W1}, "t": {MAIN}}, MAIN, Trespass("t")),
        ({"u": {W1}, "s": {MAIN}, "t": {MAIN}}, MAIN, Trespass(None)),
        ({"t": {W1}}, W1, Trespass("t")),
        ({"s": {W1}, "t": {W1}}, W1, None),
        ({"t": {MAIN}}, MAIN, None),
        ({}, W1, None),
        ({}, MAIN, None),
    ],
)
def test_who_wrote_is_told_as_far_as_the_place_shows_it(
    homes: dict[str, set[str]], top: str, found: Trespass | None
) -> None:
    """Never a guess: where it may have been the owner, nothing is said. `u` owns the claim."""
    known = Homes({tool: frozenset(tops) for tool, tops in homes.items()})
    assert trespass(known, top, "u", is_main=top == MAIN) == found
