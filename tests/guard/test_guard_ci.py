"""The checks in CI: which ledger they ask, how they tell GitHub, and the examples that are shipped."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from guard_desk import Desk

from rally.cli.screen import Screen
from rally.cli.text.github import show_github

ROOT = Path(__file__).resolve().parents[2]
SCREEN = Screen(80, is_piped=True, colour=False, now_ms=0)


def cloned(repo: Desk, name: str = "clone") -> Desk:
    """A fresh clone beside the repository: what CI checks out."""
    beside = repo.at(repo.folder.parent)
    beside.git("clone", "-q", str(repo.folder), name)
    return repo.at(repo.folder.parent / name)


# --- the ledger


@pytest.mark.parametrize(
    "words", [["check", "range", "HEAD~1..HEAD", "--tool", "ci"], ["check-ci"]]
)
def test_a_checkout_without_a_ledger_is_never_green(repo: Desk, words: list[str]) -> None:
    """K0: in a fresh clone nothing is claimed, which would be an allow."""
    repo.commit("a")
    clone = cloned(repo)
    done = clone.rally(*words, "--strict", "--format", "github")
    assert done.code == 1
    assert f"there is no ledger in {clone.folder}" in done.err
    assert "RALLY_ROOM=" in done.err
    assert not (clone.folder / ".rally").exists()


def test_a_clone_is_checked_against_the_room_of_another_folder(repo: Desk) -> None:
    """By the names of its files, whatever folders the two are in; --room says the same."""
    repo.commit("src/ä b", "free")
    repo.claim("a:1", "src")
    clone = cloned(repo)
    clone.commit("src/ä b")
    words = ("check", "range", "HEAD~1..HEAD", "--tool", "ci", "--strict", "--json")
    done = clone.rally(*words, RALLY_ROOM=str(repo.folder))
    assert (done.code, done.data["paths"]) == (4, ["src/ä b"])
    assert "files are matched by their names" in done.out
    assert clone.rally(*words, "--room", str(repo.folder)).code == 4
    assert (
        clone.rally("check", "range", "HEAD..HEAD", *words[3:], RALLY_ROOM=str(repo.folder)).code
        == 0
    )
    clone.write("src/staged")
    staged = clone.rally("check", "before-commit", *words[3:], RALLY_ROOM=str(repo.folder))
    assert staged.data["paths"] == ["src/staged"]


def test_a_room_for_a_part_of_a_repository_means_that_part_of_a_clone(repo: Desk) -> None:
    """What is outside of the part is told, and not matched with something else."""
    repo.commit("part/in", "in")
    part = repo.at(repo.folder / "part")
    part.ask("say", "claim", "--tool", "a:1", "--path", "in", RALLY_ROOM=str(part.folder))
    clone = cloned(repo)
    clone.commit("part/in", "in")
    done = clone.rally(
        "check", "range", "HEAD~1..HEAD", "--tool", "ci", "--strict", "--format", "github",
        RALLY_ROOM=str(part.folder),
    )  # fmt: skip
    assert done.code == 4
    assert "file=part/in::in is claimed by a:1" in done.out, (
        "GitHub knows the file by its name there"
    )
    assert "not checked, it is not in the room: in" in done.err


def test_a_room_for_a_part_of_a_repository_means_that_part_of_a_worktree(repo: Desk) -> None:
    """Another working tree of the same repository is no way round."""
    repo.commit("part/in", "out")
    part = repo.at(repo.folder / "part")
    part.ask("init", RALLY_ROOM=str(part.folder))
    part.ask("say", "claim", "--tool", "a:1", "--path", "in", RALLY_ROOM=str(part.folder))
    repo.git("worktree", "add", "-q", "../tree", "-b", "side")
    tree = repo.at(repo.folder.parent / "tree")
    tree.write("part/in", "by force\n")
    words = ("check", "before-commit", "--tool", "b:1")
    assert tree.ask(*words, RALLY_ROOM=str(part.folder))["allow"] is False


def test_a_room_that_is_no_repository_is_matched_by_name(repo: Desk) -> None:
    """Several clones may share a room in a folder of its own."""
    room = repo.folder.parent / "room"
    room.mkdir()
    shared = {"RALLY_ROOM": str(room)}
    repo.ask("say", "claim", "--tool", "a:1", "--path", "src", **shared)
    repo.write("src/a")
    assert repo.rally("check", "before-commit", "--tool", "b:1", "--strict", **shared).code == 4


# --- what GitHub is told


def finding(**fields: object) -> dict[str, object]:
    empty = dict.fromkeys(("path", "fact_id", "owner", "hint"))
    return {"code": "x", "severity": "stop", "message": "m", **empty, **fields}


def shown(*findings: dict[str, object], strict: bool = True, **names: str) -> str:
    data = {"mode": "strict" if strict else "warn", "allow": False, "findings": list(findings)}
    return show_github(names)(data, SCREEN)


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (finding(), "::error title=rally%3A x::m"),
        (finding(severity="warn"), "::warning title=rally%3A x::m"),
        (finding(path="a,b:c%"), "::error title=rally%3A x,file=a%2Cb%3Ac%25::m"),
        (finding(message="50%, a:b", hint="try"), "::error title=rally%3A x::50%25, a:b%0Atry"),
        (
            finding(message="a\n::error::b\r\x1b[0m"),
            r"::error title=rally%3A x::a\n::error::b\r\x1b[0m",
        ),
        (finding(path="src/**"), "::error title=rally%3A x::m"),
        (finding(path="."), "::error title=rally%3A x::m"),
        (finding(path="a"), "::error title=rally%3A x,file=A::m"),
    ],
)
def test_findings_are_written_as_workflow_commands(one: dict[str, object], line: str) -> None:
    """As GitHub's page says; no text of an agent begins a command, and a pattern is no file."""
    assert shown(one, a="A") == f"{line}\nstop\n"


def test_only_what_fails_the_job_is_an_error(repo: Desk) -> None:
    """Without --strict all are warnings; what is only for information is left out."""
    assert shown(finding(), strict=False).startswith("::warning ")
    assert shown(finding(severity="info")) == "stop\n"
    repo.ask("say", "blocker", "--tool", "a:1", "--subject", "the build: red", "--path", "src/a")
    warns = repo.rally("check-ci", "--format", "github")
    assert warns.code == 0
    assert warns.out.startswith(
        "::warning title=rally%3A open-blocker,file=src/a::open blocker of a:1: the build: red%0A"
    )
    assert warns.out.endswith("\n1 finding\n")
    strict = repo.rally("check-ci", "--format", "github", "--strict")
    assert (strict.code, strict.out.startswith("::error ")) == (4, True)
    assert repo.rally("check-ci", "--format", "json").data["clean"] is False
    wrong = repo.rally("check-ci", "--format", "gitlab")
    assert (wrong.code, "hint: --format github" in wrong.err) == (2, True)


# --- what is shipped


def hook_entry(name: str) -> list[str]:
    """The command of a hook of the manifest, as the pre-commit framework would start it."""
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    block = text.partition(f"- id: {name}\n")[2].partition("\n- id:")[0]
    for field in ("name", "description", "language: system", "pass_filenames: false", "stages"):
        assert f"\n  {field}" in f"\n{block}", field
    found = re.search(r"^  entry: (?:>-\n)?((?:.*\n)(?:    .*\n)*)", block, re.MULTILINE)
    assert found is not None
    return shlex.split(" ".join(line.strip() for line in found[1].splitlines()))


def test_the_hooks_for_the_pre_commit_framework_guard(repo: Desk) -> None:
    """Their commands, with the variables that the framework sets for a push."""
    base = repo.git("rev-parse", "HEAD").strip()
    repo.claim("a:1", "held")
    repo.write("held/a")
    commit, push = hook_entry("rally-check"), hook_entry("rally-check-push")
    assert repo.run(*commit, RALLY_TOOL="b:1").code == 4
    assert repo.run(*commit, RALLY_TOOL="a:1").code == 0
    repo.commit("held/a")
    head = repo.git("rev-parse", "HEAD").strip()
    there = {"PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": head, "RALLY_TOOL": "b:1"}
    assert repo.run(*push, **there).code == 4
    assert repo.run(*push, **{**there, "PRE_COMMIT_FROM_REF": head}).code == 0
    everything = {"PRE_COMMIT_REMOTE_NAME": "origin", "RALLY_TOOL": "b:1"}
    assert repo.run(*push, **everything).code == 4, "a first push of all names no range"


def test_the_commands_of_the_example_workflow_work(repo: Desk) -> None:
    """Each `run:` of it that calls rally, in a clone and with the room of another folder."""
    text = (ROOT / "docs" / "examples" / "rally-ci.yml").read_text()
    steps = re.findall(r"^        run: (rally .*)$", text, re.MULTILINE)
    assert len(steps) == 2
    base = repo.git("rev-parse", "HEAD").strip()
    repo.claim("a:1", "held")
    clone = cloned(repo)
    clone.commit("held/a")
    codes = [
        clone.run(
            "sh", "-c", step, RALLY_ROOM=str(repo.folder), BASE=base,
            HEAD=clone.git("rev-parse", "HEAD").strip(),
        ).code
        for step in steps
    ]  # fmt: skip
    assert codes == [4, 0]
    assert os.path.basename("docs/examples/rally-ci.yml") in (ROOT / "docs" / "git.md").read_text()


def test_what_the_page_on_git_says_can_be_pasted(bench: Desk) -> None:
    """Its `sh` blocks, in an empty folder."""
    page = (ROOT / "docs" / "git.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    folder = bench.folder / "repo"
    folder.mkdir()
    done = bench.at(folder).run("sh", "-eu", stdin="\n".join(blocks))
    assert done.code == 0, done
    assert "rally: stop for codex:2" in done.err
    assert "::error title=rally%3A claimed-path,file=src/api/users.py::" in done.out
    assert f"there is no ledger in {bench.folder}/checkout" in done.err
