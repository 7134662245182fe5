"""A ledger that is overwritten while it is open: the next question notices, nothing is lost in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ledger_facts import chain, content, numbered, opened, say

from rally.facilitation.ledger.port import Head
from rally.model.errors import Failure


async def grown(path: Path, number: int) -> None:
    """A ledger with so many facts, all of them in the file itself and none in its log."""
    async with opened(path, create=True) as ledger:
        await say(ledger, *(content(summary="x" * 300) for _ in range(number)))


def overwrite(path: Path, raw: bytes) -> None:
    """Other bytes in the same file: its inode stays, and so does what others have open."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(raw)


@pytest.mark.parametrize("number", [3, 200])
@pytest.mark.parametrize("raw", [b"", b"garbage " * 40, None], ids=["empty", "short", "as-long"])
async def test_garbage_over_an_open_ledger_is_never_acknowledged_into(
    path: Path, number: int, raw: bytes | None
) -> None:
    """R3: SQLite itself would answer from memory and commit to the log, beside a ledger that is lost."""
    await grown(path, number)
    async with opened(path) as ledger:
        head = await ledger.head()
        assert numbered(await ledger.tail(0, 500))[-1] == number
        overwrite(path, os.urandom(path.stat().st_size) if raw is None else raw)
        for _ in range(2):
            with pytest.raises(Failure) as failure:
                await ledger.append(chain(head, [content()]))
            assert failure.value.code == "corrupt-ledger"
            assert str(path) in failure.value.message
            with pytest.raises(Failure) as failure:
                await ledger.head()
            assert failure.value.code == "corrupt-ledger"


async def test_another_ledger_over_an_open_one_is_noticed(path: Path, tmp_path: Path) -> None:
    """Every page of the other one is sound: what was read before is no longer there."""
    other = tmp_path / "other.db"
    await grown(path, 40)
    await grown(other, 40)
    async with opened(path) as ledger:
        assert (await ledger.head()).seq == 40
        overwrite(path, other.read_bytes())
        with pytest.raises(Failure) as failure:
            await ledger.head()
        assert failure.value.code == "corrupt-ledger"


async def test_damage_is_final_whatever_is_written_over_it(path: Path) -> None:
    """What is in memory and in the log belongs to the file as it was: a copy needs a new beginning."""
    await grown(path, 3)
    whole = path.read_bytes()
    async with opened(path) as ledger:
        await ledger.head()
        overwrite(path, b"garbage")
        with pytest.raises(Failure):
            await ledger.head()
        overwrite(path, whole)
        with pytest.raises(Failure) as failure:
            await ledger.head()
        assert failure.value.code == "corrupt-ledger"


async def test_what_rally_itself_writes_to_the_file_is_no_damage(path: Path) -> None:
    """Checkpoints, another process's included, and new permissions change the file and nothing else."""
    async with opened(path, create=True) as ledger, opened(path) as other:
        for number in range(1, 6):
            await say(ledger, *(content(summary="y" * 500) for _ in range(50)))
            await other._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            path.chmod(0o600 if number % 2 else 0o640)
            assert (await ledger.head()).seq == (await other.head()).seq == number * 50


async def test_a_ledger_in_pieces_is_refused_when_it_is_opened(path: Path) -> None:
    """A sound first page says nothing of the others."""
    await grown(path, 200)
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(os.urandom(path.stat().st_size - 8_192))
    with pytest.raises(Failure) as failure:
        async with opened(path) as ledger:
            await ledger.append(chain(Head(200, "0" * 64), [content()]))
    assert failure.value.code == "corrupt-ledger"
