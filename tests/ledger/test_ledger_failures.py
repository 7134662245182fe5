"""A machine that fails, and files that are not what they should be."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from ledger_facts import chain, content, numbered, opened, say

from rally.facilitation.ledger.creation import APPLICATION_ID, SCHEMA_VERSION
from rally.facilitation.ledger.failures import as_failure
from rally.facilitation.ledger.folder import folder_lock, prepare_room_folder
from rally.facilitation.ledger.port import EMPTY_HEAD, FactQuery
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.ledger.verify import verify
from rally.model.errors import Failure


async def refused(path: Path, *, create: bool = False) -> Failure:
    """The failure that opening ends in."""
    with pytest.raises(Failure) as failure:
        await SqliteLedger.open(path, create=create)
    return failure.value


async def test_a_missing_ledger_is_not_created_by_reading(path: Path) -> None:
    """Opening without `create` leaves the folder as it was."""
    failure = await refused(path)
    assert failure.code == "unavailable"
    assert failure.message == f"there is no ledger at {path}"
    assert list(path.parent.iterdir()) == []


async def test_a_ledger_cannot_be_created_without_its_folder(tmp_path: Path) -> None:
    """Creating needs the room's folder, and says which file it was about."""
    failure = await refused(tmp_path / "none" / "ledger.db", create=True)
    assert failure.code == "unavailable"
    assert str(tmp_path / "none") in failure.message


@pytest.mark.parametrize(
    "raw", [b"", b"not a database at all\n" * 400, b"SQLite format 3\0" + b"\xff" * 5_000]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, raw: bytes) -> None:
    """An empty or foreign file is never taken for an empty ledger, nor overwritten by creating."""
    path.write_bytes(raw)
    for create in (False, True):
        failure = await refused(path, create=create)
        assert failure.code == "corrupt-ledger"
        assert str(path) in failure.message
        assert failure.hint == "rally verify"
    assert path.read_bytes() == raw
    report = await verify(path)
    assert (report.ok, report.whole_until, report.facts) == (False, 0, 0)


async def test_another_programs_database_is_refused(path: Path) -> None:
    """A SQLite file that is not rally's is told from a ledger by its header."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE facts (seq)")
    failure = await refused(path)
    assert failure.code == "corrupt-ledger"
    assert failure.message == f"{path} is damaged: it is not a rally ledger"


async def test_a_newer_ledger_is_refused_with_what_to_install(path: Path) -> None:
    """A format from the future is neither read wrongly nor written to."""
    await (await SqliteLedger.open(path, create=True)).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    failure = await refused(path)
    assert failure.code == "newer-ledger"
    assert failure.details["format"] == SCHEMA_VERSION + 1
    assert "upgrade" in failure.hint
    with pytest.raises(Failure) as again:
        await verify(path)
    assert again.value.code == "newer-ledger"


async def test_a_ledger_without_its_table_is_an_error_and_not_an_empty_ledger(path: Path) -> None:
    """The right header over the wrong content does not pass."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(Failure) as failure:
        await SqliteLedger.open(path)
    assert failure.value.code == "corrupt-ledger"
    assert not (await verify(path)).ok


async def test_a_full_disk_writes_nothing_and_stops_nothing(sqlite_ledger: SqliteLedger) -> None:
    """SQLITE_FULL: the batch is gone whole, what was there is there, and it works with room again."""
    writer = sqlite_ledger._writer
    before = await say(sqlite_ledger, content())
    ((pages,),) = await writer.execute_fetchall("PRAGMA page_count")
    await writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    batch = chain(await sqlite_ledger.head(), [content(summary="x" * 900) for _ in range(50)])
    for _ in range(2):
        with pytest.raises(Failure) as failure:
            await sqlite_ledger.append(batch)
        assert failure.value.code == "disk-full"
        assert failure.value.hint == "free some space, then run the command again"
        assert await sqlite_ledger.tail(0, 100) == before
    await writer.execute_fetchall("PRAGMA max_page_count = 100000")
    await sqlite_ledger.append(batch)
    assert (await sqlite_ledger.head()).seq == 51


async def test_a_lock_held_too_long_is_busy_and_nothing_is_written(
    path: Path, sqlite_ledger: SqliteLedger
) -> None:
    """Waiting for another process ends; reading goes on meanwhile."""
    await sqlite_ledger._writer.execute_fetchall("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failure) as failure:
            await sqlite_ledger.append(chain(EMPTY_HEAD, [content()]))
        assert failure.value.code == "busy"
        assert str(path) in failure.value.message
        assert await sqlite_ledger.head() == EMPTY_HEAD
        other.execute("ROLLBACK")
    await say(sqlite_ledger, content())
    assert (await sqlite_ledger.head()).seq == 1


async def test_a_cancelled_append_is_whole_or_absent_and_blocks_nobody(
    path: Path, sqlite_ledger: SqliteLedger
) -> None:
    """Whoever stops waiting leaves no transaction open behind."""
    batch = chain(EMPTY_HEAD, [content(), content()])
    task = asyncio.ensure_future(sqlite_ledger.append(batch))
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    async with opened(path) as other:
        (fact,) = await say(other, content())
        assert fact.seq in (1, 3)
        assert await sqlite_ledger.head() == await other.head()


def damage(path: Path, *, at: float, size: int) -> None:
    """Overwrite bytes; `at` is a fraction of the file. No connection may be open."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * at))
        file.write(b"\xa5" * size)


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
async def test_overwritten_pages_are_an_error_that_says_what_is_whole(
    path: Path, at: float
) -> None:
    """Reading stops with an error; verifying answers how far the history is whole."""
    async with opened(path, create=True) as ledger:
        await say(ledger, *(content(summary="x" * 700) for _ in range(400)))
    damage(path, at=at, size=20_000)
    async with opened(path) as ledger:
        with pytest.raises(Failure) as failure:
            await ledger.tail(0, 1_000)
        assert failure.value.code == "corrupt-ledger"
        assert failure.value.hint == "rally verify"
    report = await verify(path)
    assert not report.ok
    assert 0 < report.whole_until < 400
    assert report.first_problem is not None
    assert report.first_problem.seq == report.whole_until + 1
    async with opened(path) as ledger:
        assert numbered(await ledger.tail(0, report.whole_until))[-1] == report.whole_until


async def read_all(path: Path) -> None:
    async with opened(path) as ledger:
        await ledger.tail(0, 1_000)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.95])
async def test_a_truncated_file_is_an_error(path: Path, left: float) -> None:
    """Half a ledger is not a shorter ledger."""
    async with opened(path, create=True) as ledger:
        await say(ledger, *(content(summary="x" * 700) for _ in range(400)))
    os.truncate(path, int(path.stat().st_size * left))
    report = await verify(path)
    assert not report.ok
    assert report.whole_until < 400
    with pytest.raises(Failure) as failure:  # opening may notice it, or reading
        await read_all(path)
    assert failure.value.code == "corrupt-ledger"


async def test_a_body_that_is_not_json_stops_the_reader(path: Path) -> None:
    """A fact that cannot be read is named; the reader does not go past it."""
    async with opened(path, create=True) as ledger:
        await say(ledger, content(), content(), content())
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("DROP TRIGGER facts_never_change")
            raw.execute("UPDATE facts SET body = x'ff00' WHERE seq = 2")
        for reading in (ledger.tail(0, 10), ledger.select(FactQuery()), ledger.by_id(["2"])):
            with pytest.raises(Failure) as failure:
                await reading
            assert failure.value.code == "corrupt-ledger"
            assert failure.value.message.endswith("fact 2 cannot be read")


async def test_a_missing_fact_stops_the_reader(path: Path) -> None:
    """A gap is an error and not a shorter history."""
    async with opened(path, create=True) as ledger:
        await say(ledger, content(), content(), content())
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("DROP TRIGGER facts_never_vanish")
            raw.execute("DELETE FROM facts WHERE seq = 2")
        for after, missing in ((0, 2), (1, 2)):
            with pytest.raises(Failure) as failure:
                await ledger.tail(after, 10)
            assert failure.value.message.endswith(f"fact {missing} is missing")
        assert numbered(await ledger.tail(2, 10)) == [3]


async def test_a_deleted_ledger_takes_no_more_facts(path: Path) -> None:
    """An append into a file that nobody can find again is never acknowledged."""
    async with opened(path, create=True) as ledger:
        await say(ledger, content())
        assert not ledger.is_replaced()
        path.unlink()
        assert ledger.is_replaced()
        with pytest.raises(Failure) as failure:
            await ledger.append(chain(await ledger.head(), [content()]))
        assert failure.value.code == "unavailable"


async def test_a_recreated_ledger_is_told_from_the_old_one_and_untouched_by_it(path: Path) -> None:
    """The old file's log is not replayed into the new one, and its closing takes nothing along."""
    async with opened(path, create=True) as old:
        await say(old, *(content(summary="x" * 900) for _ in range(50)))
        path.unlink()
        async with opened(path, create=True) as new:
            assert await new.head() == EMPTY_HEAD
            assert new.identity() != old.identity()
            assert old.is_replaced()
            with pytest.raises(Failure) as failure:
                await old.select(FactQuery())
            assert failure.value.code == "unavailable"
            await say(new, content())
            await old.close()
            await say(new, content())
    report = await verify(path)
    assert (report.ok, report.facts) == (True, 2)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "ledger.db",
        "ledger.db-wal.orphaned",
    ]


async def test_what_killed_creators_left_is_cleared_away(path: Path) -> None:
    """A half-built database under a temporary name hurts nobody and does not stay."""
    for name in ("ledger.db.new-1-dead", "ledger.db.new-1-dead-journal", "ledger.db-shm"):
        path.with_name(name).write_bytes(b"half")
    async with opened(path, create=True) as ledger:
        await say(ledger, content())
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.db"]


async def test_creating_waits_for_another_creator_and_then_says_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A creator that is stopped in the middle does not hang the others for ever."""
    monkeypatch.setattr("rally.facilitation.ledger.folder._PAUSE_S", 0)
    with folder_lock(path.parent, wait=False) as held:
        assert held
        assert (await refused(path, create=True)).code == "busy"
    assert list(path.parent.iterdir()) == []
    await (await SqliteLedger.open(path, create=True)).close()


def test_the_room_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    """Mode 0700 whatever the umask, a `.gitignore` of its own, and repeating changes nothing."""
    umask = os.umask(0o277)
    try:
        folder = prepare_room_folder(tmp_path)
    finally:
        os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    (folder / ".gitignore").write_text("*\n!mine\n")
    assert prepare_room_folder(tmp_path) == folder
    assert (folder / ".gitignore").read_text() == "*\n!mine\n"


def test_a_room_folder_that_was_half_made_is_completed(tmp_path: Path) -> None:
    """A process that was killed in between is made good by the next one."""
    folder = tmp_path / ".rally"
    folder.mkdir()
    (folder / ".gitignore").touch()
    prepare_room_folder(tmp_path)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_file_in_the_room_folders_place_is_an_error(tmp_path: Path) -> None:
    """What the user has there stays, and the error says what to move."""
    (tmp_path / ".rally").write_text("mine")
    with pytest.raises(Failure) as failure:
        prepare_room_folder(tmp_path)
    assert failure.value.code == "unwritable"
    assert failure.value.hint == f"move {tmp_path / '.rally'} away"
    assert (tmp_path / ".rally").read_text() == "mine"


def test_a_room_folder_that_cannot_be_finished_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half room stays behind. (The full disk is played: a real one needs a mount of its own.)"""

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Failure) as failure:
        prepare_room_folder(tmp_path)
    assert failure.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (sqlite3.SQLITE_FULL, "disk-full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "disk-full"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "unwritable"),
        (sqlite3.SQLITE_PERM, "unwritable"),
        (sqlite3.SQLITE_BUSY_RECOVERY, "busy"),
        (sqlite3.SQLITE_PROTOCOL, "busy"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "corrupt-ledger"),
        (sqlite3.SQLITE_NOTADB, "corrupt-ledger"),
        (sqlite3.SQLITE_IOERR_READ, "unavailable"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "unavailable"),
        (sqlite3.SQLITE_MISUSE, "internal"),
    ],
)
def test_errors_are_told_apart_by_number_and_not_by_text(number: int, code: str) -> None:
    """A text full of keywords of other errors changes nothing."""
    error = sqlite3.OperationalError("disk full, database is locked, malformed, readonly")
    error.sqlite_errorcode = number
    failure = as_failure(error, "/room/.rally/ledger.db")
    assert failure.code == code
    assert "/room/.rally/ledger.db" in failure.message
    assert failure.hint


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "unwritable"),
        (errno.EACCES, "unwritable"),
        (errno.ENOENT, "unavailable"),
        (errno.EIO, "unavailable"),
    ],
)
def test_errors_of_the_system_have_the_same_codes(number: int, code: str) -> None:
    """Whether SQLite or the folder met it makes no difference to the caller."""
    assert as_failure(OSError(number, "text"), Path("/room")).code == code


def assert_all_ended(before: set[threading.Thread]) -> None:
    """Threads that were started since have ended, or are at their last instruction."""
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()


async def test_every_failed_opening_ends_its_thread(path: Path) -> None:
    """A daemon that is asked again and again for a broken room does not fill up."""
    path.write_bytes(b"broken")
    before = set(threading.enumerate())
    for _ in range(5):
        await refused(path)
    assert_all_ended(before)


async def test_a_cancelled_opening_ends_its_thread(path: Path) -> None:
    """An interrupt while a ledger is being opened leaves no thread and no half-made file."""
    before = set(threading.enumerate())
    task = asyncio.ensure_future(SqliteLedger.open(path, create=True))
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_all_ended(before)
    assert sorted(entry.name for entry in path.parent.iterdir()) in ([], ["ledger.db"])
