"""`rally status`: all rooms of a person, also those that are gone, damaged, or never were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_process import Shell


@pytest.fixture
def rooms(shell: Shell, tmp_path: Path) -> list[Path]:
    """Four folders; there is a room in each of the first three."""
    made = []
    for name in ("one", "two", "three's", "four"):
        folder = tmp_path / name
        folder.mkdir()
        made.append(folder)
        if name != "four":
            shell.rally("enter", "--tool", "ada", cwd=folder)
            shell.rally("say", "claim", "--tool", "ada", "--path", "src", cwd=folder)
    return made


def test_a_person_sees_every_room_and_the_sums(shell: Shell, rooms: list[Path]) -> None:
    """From anywhere; a room that vanished is no news."""
    shutil.rmtree(rooms[1] / ".rally")
    shell.rally("say", "blocker", "--tool", "ada", "--subject", "stuck", cwd=rooms[0])
    shown = shell.rally("status", COLUMNS="300")
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["room", "head", "claims", "blockers", "agents"]
    assert lines[1] == [str(rooms[0]), "3", "1", "1", "1"]
    assert lines[2] == [str(rooms[2]), "2", "1", "1"]
    assert lines[3] == ["2", "rooms", "2", "1", "2"]
    assert len(lines) == 4
    data = shell.rally("status", "--json").data
    assert [row["room"] for row in data["rooms"]] == [str(rooms[0]), str(rooms[2])]
    assert (data["total"], data["unreadable"]) == (2, [])


def test_one_room_needs_no_sum(shell: Shell, rooms: list[Path]) -> None:
    """A line that repeats the one above it says nothing."""
    for folder in rooms[1:3]:
        shutil.rmtree(folder / ".rally")
    assert len(shell.rally("status").out.splitlines()) == 2


def test_a_damaged_room_hides_no_other_and_is_not_hidden(shell: Shell, rooms: list[Path]) -> None:
    """It is named, with what to run; also where there is no other room."""
    ledger = rooms[2] / ".rally" / "ledger.db"
    ledger.write_bytes(b"no database" * 900)
    data = shell.rally("status", "--json").data
    assert [row["room"] for row in data["rooms"]] == [str(rooms[0]), str(rooms[1])]
    (damaged,) = data["unreadable"]
    assert (damaged["room"], damaged["code"]) == (str(rooms[2]), "corrupt-ledger")
    assert damaged["hint"] == f"rally verify --room '{str(rooms[2]).replace(chr(39), _QUOTE)}'"
    for folder in rooms[:2]:
        shutil.rmtree(folder / ".rally")
    shown = shell.rally("status", COLUMNS="300")
    assert shown.code == 0
    assert "no rooms" not in shown.out
    assert "corrupt-ledger  rally verify --room " in shown.out
    assert "is damaged" in shown.err


_QUOTE = "'\"'\"'"


def test_without_any_room_it_says_how_to_make_one(shell: Shell) -> None:
    """Exit 0, and nothing is made by looking."""
    shown = shell.rally("status", COLUMNS="300")
    assert (shown.code, shown.out) == (
        0, "no rooms yet; `rally enter --tool claude:1` makes one here\n",
    )  # fmt: skip
    assert shell.rally("status", "--json").data == {"rooms": [], "unreadable": [], "total": 0}
    assert list(shell.cwd.iterdir()) == []


@pytest.mark.parametrize(
    "entry", [b"", b"a\0b", b"relative/path", b"/" + b"x" * 100_000, b"\xff\xfe", b"/tmp/\x1b[31mx"]
)
def test_what_is_no_entry_of_the_register_is_passed_over(
    shell: Shell, rooms: list[Path], entry: bytes
) -> None:
    """It is a convenience, never the truth."""
    register = Path(shell.env["XDG_STATE_HOME"], "rally", "rooms")
    (register / "0123456789abcdef").write_bytes(entry)
    (register / "a folder").mkdir()
    assert shell.rally("status", "--json").data["total"] == 3
