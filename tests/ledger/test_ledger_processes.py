"""Several real processes on one ledger: creating it, appending to it, dying over it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import content, opened, say

from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.ledger.verify import verify
from rally.facilitation.places import ROOM_FOLDER

CHILD = Path(__file__).with_name("ledger_child.py")


@contextmanager
def children(number: int, verb: str, path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """So many children, all imported and waiting for `start`; none outlives the test."""
    started = [
        subprocess.Popen(
            [sys.executable, CHILD, verb, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    try:
        for child in started:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        yield started
    finally:
        for child in started:
            child.kill()
            child.communicate()


def answers(started: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Let all begin at once and collect what each one says."""
    for child in started:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=60)[0] for child in started]
    assert [child.returncode for child in started] == [0] * len(started)
    return [json.loads(text) for text in said]


async def test_sixteen_first_commands_at_once_make_one_ledger(tmp_path: Path) -> None:
    """Creation is atomic: every process uses the same file, and loses nothing that it said."""
    folder = tmp_path / ROOM_FOLDER
    path = folder / "ledger.db"
    with children(16, "create", path) as started:
        said = answers(started)
    found = path.stat()
    assert {tuple(answer["identity"]) for answer in said} == {(found.st_dev, found.st_ino)}
    report = await verify(path)
    assert (report.ok, report.facts) == (True, 16)
    assert sorted(entry.name for entry in folder.iterdir()) == [".gitignore", "ledger.db"]


async def test_eight_processes_that_append_at_once_make_one_chain(path: Path) -> None:
    """Every process gets its own seqs, and together they leave no gap."""
    await (await SqliteLedger.open(path, create=True)).close()
    with children(8, "append", path) as started:
        said = answers(started)
    seqs = [seq for answer in said for seq in answer["seqs"]]
    assert sorted(seqs) == list(range(1, 8 * 40 + 1))
    report = await verify(path)
    assert (report.ok, report.facts) == (True, 320)


@pytest.mark.parametrize("acknowledged", [1, 20, 77])
async def test_what_a_killed_writer_had_acknowledged_is_there(
    path: Path, acknowledged: int
) -> None:
    """SIGKILL in the middle of writing loses nothing that was acknowledged, and halves no batch."""
    await (await SqliteLedger.open(path, create=True)).close()
    with children(1, "flood", path) as (child,):
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        lines = [child.stdout.readline() for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    told = [event_id for line in lines if line.endswith("\n") for event_id in line.split()]
    assert len(told) >= acknowledged * 3
    async with opened(path) as ledger:
        assert set(await ledger.by_id(told)) == set(told)
        assert (await ledger.head()).seq % 3 == 0
        await say(ledger, content())
    report = await verify(path)
    assert report.ok
    assert report.facts % 3 == 1


@contextmanager
def read_only_room() -> Iterator[Path]:
    """A folder that another user could reach (pytest's own folders are closed to others)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder / "ledger.db"
        folder.chmod(0o755)


def look(path: Path) -> dict[str, Any]:
    """What a process finds that may read everything in the folder and write nothing."""
    for entry in path.parent.iterdir():
        entry.chmod(0o444)
    path.parent.chmod(0o555)
    with children(1, "look", path) as started:
        (answer,) = answers(started)
    path.parent.chmod(0o755)
    assert answer.pop("writable") is False
    return answer


async def test_a_ledger_in_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    """A sandboxed command still gets its answer; appending says that it cannot be written."""
    with read_only_room() as path:
        async with opened(path, create=True) as ledger:
            await say(ledger, content(), content())
        assert os.listdir(path.parent) == ["ledger.db"]
        assert look(path) == {"head": 2, "facts": [2, 1], "append": "unwritable", "head_after": 2}


async def test_a_read_only_reader_sees_what_still_stands_in_the_log() -> None:
    """While another user's daemon writes, its newest facts are in the log and are not missed."""
    with read_only_room() as path:
        async with opened(path, create=True) as ledger:
            await say(ledger, content(), content())
            assert look(path) == {
                "head": 2,
                "facts": [2, 1],
                "append": "unwritable",
                "head_after": 2,
            }


async def test_a_read_only_reader_never_answers_without_a_pending_log() -> None:
    """Facts in a log that cannot be used are not silently left out: the answer is an error."""
    with read_only_room() as path:
        async with opened(path, create=True) as ledger:
            await say(ledger, content(), content())
            log = path.with_name("ledger.db-wal").read_bytes()
        path.with_name("ledger.db-wal").write_bytes(log)
        assert look(path)["open"] in ("unavailable", "unwritable")
