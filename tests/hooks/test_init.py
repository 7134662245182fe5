"""`rally init`: a room, and a block in the pages that agents read; undone wholly where a step fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from hook_desk import Desk
from hypothesis import given
from hypothesis import strategies as st

from rally.setup.block import BODY
from rally.setup.fence import HASH, MARKDOWN, Marks, find, with_block, without_block
from rally.setup.jsonc import BrokenTextError

BEGIN, END = MARKDOWN.begin(), MARKDOWN.end()
PAGES = ("AGENTS.md", "CLAUDE.md")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, RALLY_DAEMON="off")


def names(folder: Path) -> list[str]:
    """What is in a folder, git's own left out."""
    return sorted(one.name for one in folder.iterdir() if one.name != ".git")


# --- the fence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", [MARKDOWN, HASH], ids=["markdown", "hash"])
@given(data=st.binary(max_size=60) | st.text("a \n\r#<!->", max_size=60).map(str.encode))
def test_a_block_comes_and_goes_without_a_trace(marks: Marks, data: bytes) -> None:
    """In any file: the bytes outside of it are those of before, in the same order."""
    new = with_block(data, BODY, marks)
    span = find(new, marks)
    assert span is not None
    assert new.startswith(data)
    assert with_block(new, BODY, marks) == new
    assert without_block(new, marks) == data
    moved = with_block(new, "other\n", marks)
    assert moved[: span[0]] == new[: span[0]]
    assert without_block(moved, marks) == data


@given(
    before=st.text("a\n\r ", max_size=20).map(str.encode),
    after=st.text("a\n\r ", max_size=20).map(str.encode),
)
def test_what_was_written_around_a_block_is_never_touched(before: bytes, after: bytes) -> None:
    """A block somewhere in the middle is brought up to date in its place."""
    lines = before + b"\n" + f"{BEGIN}\nof before\n{END}\n".encode() + after
    new = with_block(lines, BODY, MARKDOWN)
    span = find(new, MARKDOWN)
    assert span is not None
    assert new[: span[0]] == before + b"\n"
    assert new[span[1] :] == after
    assert b"of before" not in new


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a\n\n{BEGIN}\nx\n", 3),
        (f"{END}\n", 1),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", 1),
        (f"{BEGIN}\n{END}\nb\n{BEGIN}\n{END}\n", 4),
        (f"{BEGIN}\n{END}\n{END}\n", 3),
    ],
)
def test_a_damaged_fence_is_refused_with_its_line(text: str, line: int) -> None:
    """Where a block ends cannot be guessed."""
    with pytest.raises(BrokenTextError) as caught:
        with_block(text.encode(), BODY, MARKDOWN)
    assert caught.value.line == line


def test_the_block_is_short_and_what_it_says_can_be_typed(desk: Desk) -> None:
    """At most 25 lines; its commands run as they stand, one after the other."""
    assert with_block(b"", BODY, MARKDOWN).count(b"\n") <= 25
    commands = [
        one for one in re.findall(r"`([^`]+)`", BODY) if one.startswith(("rally ", "export "))
    ]
    assert len(commands) == 8  # the id, six steps, and --help
    script = "\n".join(commands)
    done = subprocess.run(
        ["sh", "-eu"], input=script, text=True, capture_output=True, check=False, cwd=desk.root,
        env=desk.env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# --- the command ----------------------------------------------------------------------------------


def test_init_in_an_empty_foreign_repository_makes_a_room_and_nothing_else(desk: Desk) -> None:
    """Pages are made only when asked for; the answer says how, and how to get hooks."""
    shown = desk.rally("init").stdout
    assert shown.startswith(f"made a room in {desk.root}  head 0\n")
    assert "rally init --create" in shown
    assert "rally hooks install" in shown
    assert names(desk.root) == [".rally"]
    again = desk.data("init")
    assert (again["created"], again["head"], again["files"]) == (False, 0, [])


def test_the_line_that_is_offered_works(desk: Desk) -> None:
    """What init prints can be typed."""
    (desk.root / ".codex").mkdir()
    offer = desk.data("init")["offer"]
    assert offer.startswith("rally hooks install ")
    assert "codex" in offer
    done = desk.rally(*offer.split()[1:])
    assert done.returncode == 0, done.stderr
    assert desk.data("init")["offer"] == ""


def test_pages_are_made_with_create_and_gone_with_remove(desk: Desk) -> None:
    """Repeatable in both directions; the room stays."""
    made = desk.data("init", "--create")
    assert [one["change"] for one in made["files"]] == ["created", "created"]
    for page in PAGES:
        text = (desk.root / page).read_text()
        assert text == f"{BEGIN}\n{BODY}{END}\n"
    again = desk.data("init", "--create")
    assert [one["change"] for one in again["files"]] == ["unchanged", "unchanged"]
    gone = desk.data("init", "--remove")
    assert [one["change"] for one in gone["files"]] == ["removed", "removed"]
    assert names(desk.root) == [".rally"]
    assert desk.data("init", "--remove")["files"] == []


def test_a_block_of_another_version_is_refreshed_in_place(desk: Desk) -> None:
    """What stands around it stays, edits inside are replaced."""
    page = desk.root / "AGENTS.md"
    page.write_bytes(f"# Mine\r\n\r\n{BEGIN}\r\nold\r\n{END}\r\n\r\n## After\r\n".encode())
    desk.data("init")
    inside = BODY.replace("\n", "\r\n")
    expected = f"# Mine\r\n\r\n{BEGIN}\r\n{inside}{END}\r\n\r\n## After\r\n"
    assert page.read_bytes() == expected.encode()


@pytest.mark.parametrize(
    "data", [b"# Mine\n", b"# Mine", b"", b"\xff\xfe not UTF-8\n", b"a\r\n\r\n"]
)
def test_init_and_remove_leave_a_page_byte_identical(desk: Desk, data: bytes) -> None:
    """Whatever it holds, and without its backup as well but for an empty page."""
    page = desk.root / "CLAUDE.md"
    page.write_bytes(data)
    desk.data("init")
    assert page.read_bytes() != data
    desk.data("init", "--remove")
    assert page.read_bytes() == data
    assert names(desk.root) == [".rally", "CLAUDE.md"]


def test_a_page_that_is_a_link_to_the_other_gets_one_block(desk: Desk) -> None:
    """Also when neither is there yet."""
    (desk.root / "CLAUDE.md").symlink_to("AGENTS.md")
    made = desk.data("init", "--create")
    assert [Path(one["path"]).name for one in made["files"]] == ["AGENTS.md"]
    assert (desk.root / "CLAUDE.md").is_symlink()
    assert (desk.root / "AGENTS.md").read_text().count(BEGIN) == 1


def test_a_link_that_leads_out_of_the_repository_is_left_alone(desk: Desk) -> None:
    """Whoever wrote the repository may not have the user's own files changed; the rest is done."""
    mine = desk.home / ".bashrc"
    mine.write_bytes(b"# mine\n")
    (desk.root / "AGENTS.md").symlink_to(mine)
    for argv in (["init"], ["init", "--create"]):
        done = desk.rally(*argv)
        assert done.returncode == 0
        assert f"{desk.root}/AGENTS.md is a link to {mine}, outside" in done.stderr
        assert "to make them" not in done.stdout
        assert mine.read_bytes() == b"# mine\n"
    assert BEGIN in (desk.root / "CLAUDE.md").read_text()


def test_a_dry_run_says_that_a_room_is_all_that_it_would_make(desk: Desk) -> None:
    """And not that nothing would change."""
    assert desk.rally("init", "--dry-run").stdout == f"would make a room in {desk.root}\n"


def test_a_dry_run_prints_a_diff_and_makes_nothing(desk: Desk, tmp_path: Path) -> None:
    """No room, no page, no hook, no backup."""
    (desk.root / "AGENTS.md").write_text("# Mine\n")
    shown = desk.rally("init", "--create", "--hooks", "claude", "--dry-run").stdout
    assert f"would make a room in {desk.root}" in shown
    assert f"+{BEGIN}" in shown
    assert "+++ " + str(desk.root / ".claude" / "settings.json") in shown
    assert names(desk.root) == ["AGENTS.md"]
    assert not (tmp_path / "state").exists()
    answer = desk.data("init", "--dry-run")
    assert (answer["dry_run"], answer["created"]) == (True, True)
    assert answer["diff"].startswith("--- ")


def test_init_installs_hooks_in_the_same_go(desk: Desk) -> None:
    """With --hooks; nothing is then offered."""
    answer = desk.data("init", "--hooks", "claude, codex")
    assert [(row["surface"], row["state"]) for row in answer["hooks"]] == [
        ("claude", "installed"),
        ("codex", "installed"),
    ]
    assert answer["offer"] == ""
    assert names(desk.root) == [".claude", ".codex", ".rally"]


@pytest.mark.parametrize(
    ("page", "place"),
    [
        (f"x\n{BEGIN}\n", "AGENTS.md:2:1: "),
        (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", "AGENTS.md:3:1: "),
        ("a\0b\n", "AGENTS.md:1:1: "),
    ],
)
def test_a_page_that_is_damaged_stops_all_of_it(desk: Desk, page: str, place: str) -> None:
    """Nothing is made, not even the room; file and line are said."""
    (desk.root / "AGENTS.md").write_text(page)
    error = desk.error("init", "--create", "--hooks", "all", exits=2)
    assert error["code"] == "broken-config"
    assert place in error["message"]
    assert names(desk.root) == ["AGENTS.md"]
    assert (desk.root / "AGENTS.md").read_text() == page


def test_a_hook_file_that_is_broken_stops_all_of_it(desk: Desk) -> None:
    """The pages and the room belong to the same step."""
    (desk.root / "AGENTS.md").write_text("# Mine\n")
    (desk.root / ".claude").mkdir()
    (desk.root / ".claude" / "settings.json").write_text("{")
    assert desk.error("init", "--hooks", "claude", exits=2)["code"] == "broken-config"
    assert names(desk.root) == [".claude", "AGENTS.md"]
    assert (desk.root / "AGENTS.md").read_text() == "# Mine\n"


def test_a_room_that_cannot_be_made_undoes_the_pages(desk: Desk, tmp_path: Path) -> None:
    """Half of it is worse than nothing."""
    (desk.root / "AGENTS.md").write_text("# Mine\n")
    (desk.root / ".rally").write_text("in the way")
    error = desk.error("init", "--create", "--hooks", "claude,cursor", exits=1)
    assert error["hint"]
    assert names(desk.root) == [".rally", "AGENTS.md"]
    assert (desk.root / "AGENTS.md").read_text() == "# Mine\n"
    assert list((tmp_path / "state" / "rally" / "backups").iterdir()) == []


def test_a_room_that_fails_halfway_is_not_left_behind(desk: Desk) -> None:
    """The folder's file for git is made before the ledger; where that fails both go."""
    # A file may hold 16 blocks of 512 bytes, which the pages fit into and an empty ledger does not.
    script = 'ulimit -f 16; trap "" XFSZ; exec rally init --create'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=desk.root,
        env=desk.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert names(desk.root) == []


def test_agents_that_begin_together_make_one_room_and_one_block(desk: Desk) -> None:
    """Each of them succeeds, and what they leave is what one of them would."""
    (desk.root / "AGENTS.md").write_text("# Mine\n")
    argv = ["rally", "init", "--create", "--hooks", "claude,codex,cursor"]
    begun = [
        subprocess.Popen(
            argv, cwd=desk.root, env=desk.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(6)
    ]
    ends = [(one.communicate()[1], one.returncode) for one in begun]
    assert [code for _, code in ends] == [0] * 6, ends
    page = (desk.root / "AGENTS.md").read_text()
    assert page == f"# Mine\n\n{BEGIN}\n{BODY}{END}\n"
    assert (desk.root / ".claude" / "settings.json").read_text().count("rally hook") == 6
    desk.data("hooks", "uninstall", "all")
    desk.data("init", "--remove")
    assert names(desk.root) == [".rally", "AGENTS.md"]
    assert (desk.root / "AGENTS.md").read_text() == "# Mine\n"


def test_remove_makes_no_room_and_takes_no_other_wish(desk: Desk) -> None:
    """Contradictions are usage errors."""
    (desk.root / "AGENTS.md").write_text("# Mine\n")
    assert desk.data("init", "--remove")["files"][0]["change"] == "unchanged"
    assert names(desk.root) == ["AGENTS.md"]
    for other in (["--create"], ["--hooks", "claude"]):
        assert desk.error("init", "--remove", *other, exits=2)["code"] == "usage"
    assert desk.error("init", "--hooks", "claud", exits=2)["hint"] == "claude"


def test_a_bare_repository_gets_a_room_but_no_pages(desk: Desk, tmp_path: Path) -> None:
    """What would need a working tree says so, and makes nothing."""
    bare = tmp_path / "bare.git"
    desk.run_git("init", "-q", "--bare", str(bare))
    before = sorted(os.listdir(bare))
    for argv in (["--create"], ["--hooks", "claude"], ["--remove"]):
        done = desk.rally("init", *argv, "--json", cwd=bare)
        assert done.returncode == 2
        assert json.loads(done.stdout)["error"]["code"] == "not-a-repository"
        assert sorted(os.listdir(bare)) == before
    assert desk.rally("init", cwd=bare).returncode == 0


def test_outside_of_git_it_works_as_well(desk: Desk, tmp_path: Path) -> None:
    """A folder is enough."""
    folder = tmp_path / "plain"
    folder.mkdir()
    assert desk.rally("init", "--create", "--hooks", "claude", cwd=folder).returncode == 0
    assert names(folder) == [".claude", ".rally", "AGENTS.md", "CLAUDE.md"]
    assert desk.rally("hooks", "install", "all", cwd=folder).returncode == 0
    assert "git" not in desk.rally("hooks", "status", cwd=folder).stdout
    done = desk.rally("hooks", "install", "git", cwd=folder)
    assert done.returncode == 2
    assert "git" in done.stderr
