"""lint and the room around it: who holds what, what is on the disk, and how much is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plan_desk import Desk, codes, plan, report_on, task

from rally.facilitation.places import Place, canonical_path, find_place
from rally.model.errors import UsageError
from rally.workstream.descriptor import TASKS_MAX
from rally.workstream.survey import Survey

COMMAND = Path(__file__).parents[2] / "bin" / "rally"
LINT = ("workstream", "lint", "plan.json")


async def test_tasks_whose_paths_somebody_holds_are_warned_of(desk: Desk) -> None:
    """By the rule of C2, patterns included; what is held by nobody any more counts for nothing."""
    desk.write(
        plan(task("a", owns=["src/a"]), task("b", owns=["docs/*.md", "x"]), task("c", owns=["y"]))
    )
    claim = await desk.say("z:1", "claim", "--path", "src/a/deep.py")
    await desk.say("z:2", "claim", "--path", "docs")
    await desk.say("z:3", "claim", "--path", "x")
    gone = await desk.say("z:4", "claim", "--path", "y")
    await desk.say("z:4", "release", "--ref", gone["event_id"])
    result = await desk(*LINT, "--json")
    assert result.code == 0
    found = [one for one in result.data["warnings"] if one["code"] == "claimed-path"]
    assert [(one["task"], one["field"]) for one in found] == [("a", "owns[0]"), ("b", "owns[0]")]
    until = claim["lease_expires_at"]
    assert found[0]["message"] == f"'src/a' overlaps what z:1 holds until {until}"
    assert found[1]["message"].endswith("(and 1 more)")


async def test_a_room_that_cannot_be_read_is_no_hindrance_and_is_told(desk: Desk) -> None:
    """Lint judges a file; what it could not compare it says."""
    desk.write(plan(task("a")))
    (desk.cwd / ".rally").mkdir(mode=0o700)
    (desk.cwd / ".rally" / "ledger.db").write_bytes(b"no database at all" * 100)
    result = await desk(*LINT, "--json")
    assert (result.code, result.data["clean"]) == (0, True)
    assert "nobody's claims were compared" in result.envelope["warnings"][-1]["message"]


async def test_lint_makes_no_room(desk: Desk) -> None:
    """R2: asking creates nothing."""
    desk.write(plan(task("a")))
    assert (await desk(*LINT)).code == 0
    assert not (desk.cwd / ".rally").exists()


async def test_of_many_warnings_of_a_kind_the_first_are_told(desk: Desk) -> None:
    """A plan for new files is no flood; the answer lists all of them, the envelope says how many."""
    desk.write(plan(*(task(f"t{n}") for n in range(50)), note="x"))
    result = await desk(*LINT, "--json")
    assert len(result.data["warnings"]) == 51
    told = result.envelope["warnings"]
    assert len(told) == 22
    assert told[-1] == {"code": "missing-path", "message": "30 more of the kind missing-path"}


def test_too_many_tasks_are_one_violation() -> None:
    """A hundred thousand tasks are refused as such, and what is wrong with the first is told too."""
    tasks = [task(f"t{n}") for n in range(TASKS_MAX)]
    assert report_on(plan(*tasks)).clean
    tasks[7] = task("t8")
    found = codes(report_on(plan(*tasks, *(["x"] * 90_000))))
    assert ("too-long", "", "tasks") in found
    assert ("duplicate-id", "t8", "id") in found


@pytest.mark.parametrize("mode", ["off", "on"])
def test_a_descriptor_is_read_from_a_pipe(tmp_path: Path, mode: str) -> None:
    """`-` is standard input for real, of any length that a descriptor may have."""
    long = json.dumps(plan(*(task(f"t{n}", intent="x" * 2_000) for n in range(600)))).encode()
    assert len(long) > 1024 * 1024
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RALLY_DAEMON": mode}
    done = subprocess.run(
        [sys.executable, str(COMMAND), "workstream", "lint", "-", "--json"], input=long,
        cwd=tmp_path, env=env, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["data"]["workstream"]["clean"]


WRITTEN = (
    "src", "src/", "src/a.py", "src/new.py", "src/new/deep/x.py", "src/a.py/below", "link", "link/",
    "link/x.py", "src/inside", "src/inside/y.py", "out", "out/passwd", "loop", "./src", "src//a.py",
    "src/./a.py", "src/../src/a.py", "../x", "/etc", "src/*.py", "src/**", ".", "", ".github/x.yml",
    "..x", "src/.", "é/ü.py", "a b/c (1).py", "-rf", "sub", "sub/a.py", "sub/new/x", "nested/f.py",
    "src\n", "src/a.py\0", "x" * 5_000, "dangling", "dangling/x",
)  # fmt: skip


@pytest.fixture(params=["git", "plain", "linked"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """A room with links, nested working trees and other things in it."""
    root = tmp_path / "repo"
    (root / "src" / "sub").mkdir(parents=True)
    (root / "src" / "a.py").touch()
    (root / "link").symlink_to("src")
    (root / "src" / "inside").symlink_to("sub")
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "nested" / ".git").mkdir(parents=True)
    if request.param == "plain":
        return find_place(str(root))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["commit", "-qm", "x", "--allow-empty"],
                  ["worktree", "add", "-q", "--detach", "sub"]):  # fmt: skip
        subprocess.run([*git, *words], cwd=root, env={"PATH": "/usr/bin:/bin"}, check=True)
    return find_place(str(root / "sub" if request.param == "linked" else root))


def test_the_short_way_to_a_path_ends_where_the_long_one_does(place: Place) -> None:
    """C1: ten thousand paths at once have the same form as each by itself."""

    def answer(how: object, raw: str) -> str:
        try:
            return str(how(raw))  # type: ignore[operator]
        except UsageError as error:
            return f"{error.code}: {error.message}"

    survey = Survey(place)
    for raw in (*WRITTEN, *reversed(WRITTEN)):
        expected = answer(lambda one: canonical_path(one, place), raw)
        assert answer(survey.canonical, raw) == expected, raw
        if ": " not in expected:
            assert survey.exists(expected) == Survey(place).exists(expected), raw
