"""What the database file itself refuses, whoever has it open and with whatever program."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import chain, content, opened, say

from rally.facilitation.ledger.connection import open_connection
from rally.facilitation.ledger.creation import APPLICATION_ID, SCHEMA_VERSION
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.ledger.statements import SQL
from rally.facilitation.ledger.verify import verify
from rally.model.errors import Failure
from rally.model.fact import GENESIS

INSERT = "INTO facts (seq, event_id, kind, tool, key, prev, hash, body) VALUES (?,?,?,?,?,?,?,?)"


@pytest.fixture
async def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """A plain connection to a ledger of three facts, the first of them with a key."""
    async with opened(path, create=True) as ledger:
        await say(
            ledger, content(key="k", event_id="a"), content(event_id="b"), content(event_id="c")
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def rows(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT * FROM facts").fetchall()


def next_row(connection: sqlite3.Connection, **changes: Any) -> tuple[Any, ...]:
    """A row that the guards would take, but for the changes."""
    seq, prev = connection.execute("SELECT max(seq), hash FROM facts").fetchone()
    good = {"seq": seq + 1, "event_id": "new", "kind": "note", "tool": "t", "key": None}
    return tuple((good | {"prev": prev, "hash": "d" * 64, "body": b"{}"} | changes).values())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET tool = 'mallory' WHERE seq = 2",
        "UPDATE OR REPLACE facts SET seq = 1 WHERE seq = 2",
        "UPDATE facts SET body = body",
        "DELETE FROM facts WHERE seq = 3",
        "DELETE FROM facts",
        "REPLACE INTO facts SELECT * FROM facts WHERE seq = 2",
        "INSERT OR REPLACE INTO facts SELECT * FROM facts WHERE seq = 3",
        "INSERT INTO facts SELECT * FROM facts WHERE seq > 2 ON CONFLICT (seq) DO UPDATE SET tool = 1",
    ],
)
@pytest.mark.parametrize("recursive", [0, 1])
def test_no_statement_changes_or_removes_a_fact(
    raw: sqlite3.Connection, statement: str, recursive: int
) -> None:
    """UPDATE, DELETE and REPLACE fail in the database, with recursive triggers or without."""
    before = rows(raw)
    raw.execute(f"PRAGMA recursive_triggers = {recursive}")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    assert rows(raw) == before


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "INSERT OR FAIL"])
@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 5},
        {"seq": 3},
        {"seq": 0},
        {"seq": -1},
        {"seq": None},
        {"prev": "e" * 64},
        {"prev": GENESIS},
        {"event_id": "a"},
        {"key": "k"},
    ],
)
def test_no_gap_no_broken_link_and_no_taken_name_is_inserted(
    raw: sqlite3.Connection, verb: str, changes: dict[str, Any]
) -> None:
    """A row goes in behind the newest one, chained to it, under names of its own, or not at all."""
    before = rows(raw)
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(f"{verb} {INSERT}", next_row(raw, **changes))
    assert rows(raw) == before


def test_the_right_row_is_accepted(raw: sqlite3.Connection) -> None:
    """The guards refuse what is wrong, not everything."""
    raw.execute(f"INSERT {INSERT}", next_row(raw))
    assert len(rows(raw)) == 4


async def test_the_first_fact_must_follow_nothing(path: Path) -> None:
    """An empty ledger takes only the fact whose prev is all zeros."""
    await (await SqliteLedger.open(path, create=True)).close()
    with closing(sqlite3.connect(path)) as raw:
        for seq, prev in ((1, "f" * 64), (2, GENESIS)):
            with pytest.raises(sqlite3.IntegrityError):
                raw.execute(f"INSERT {INSERT}", (seq, "a", "k", "t", None, prev, "h", b""))
        raw.execute(f"INSERT {INSERT}", (1, "a", "k", "t", None, GENESIS, "h", b""))


async def test_the_file_says_what_it_is_and_is_its_owners_alone(path: Path) -> None:
    """Format numbers stand in SQLite's header; nobody else may read the ledger or its log."""
    async with opened(path, create=True) as ledger:
        await say(ledger, content())
        modes = {
            entry.name: stat.S_IMODE(entry.stat().st_mode)
            for entry in sorted(path.parent.iterdir())
        }
        assert modes == dict.fromkeys(["ledger.db", "ledger.db-shm", "ledger.db-wal"], 0o600)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_every_commit_is_synced(sqlite_ledger: SqliteLedger) -> None:
    """Returning from an append means durable: the connection syncs the log at each commit."""
    rows = await sqlite_ledger._writer.execute_fetchall("PRAGMA synchronous")
    assert [tuple(row) for row in rows] == [(2,)]


async def test_a_copy_made_by_vacuum_is_a_ledger_again(raw: sqlite3.Connection) -> None:
    """A backup taken with SQLite's own means can be put in place and used."""
    (file,) = [row[2] for row in raw.execute("PRAGMA database_list")]
    copy = Path(file).with_name("copy.db")
    raw.execute("VACUUM INTO ?", (str(copy),))
    async with opened(copy) as ledger:
        await say(ledger, content())
        assert (await ledger.head()).seq == 4
        assert copy.with_name("copy.db-wal").exists()
    assert (await verify(copy)).ok


async def test_a_taken_seq_that_was_lost_is_not_given_again(raw: sqlite3.Connection) -> None:
    """Where the newest fact was torn out by force, nothing is put into its place."""
    (file,) = [row[2] for row in raw.execute("PRAGMA database_list")]
    raw.execute("DROP TRIGGER facts_never_vanish")
    raw.execute("DELETE FROM facts WHERE seq = 3")
    async with opened(file) as ledger:
        with pytest.raises(Failure) as failure:
            await ledger.append(chain(await ledger.head(), [content()]))
        assert failure.value.code == "corrupt-ledger"
        assert failure.value.message == f"{file} is damaged: fact 3 is missing"


def test_no_cursor_leaves_its_thread_with_a_statement(path: Path) -> None:
    """What the event loop's thread frees later cannot reset a statement that is in use by then."""
    with closing(open_connection(path, create=True)) as connection:
        read = connection.execute(SQL["head"])
        assert read.fetchall() == []
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            read.fetchall()
        row = (1, "a", "k", "t", None, None, None, None, None, GENESIS, "h", b"")
        written = connection.executemany(SQL["append"], [row])
        assert (written.rowcount, written.description) == (-1, None)
