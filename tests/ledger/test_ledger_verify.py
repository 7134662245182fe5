"""Verification finds every kind of tampering, and says up to where the history is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_facts import chain, content, opened, say

from rally.facilitation.ledger.creation import schema_sql
from rally.facilitation.ledger.port import EMPTY_HEAD, Head
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.facilitation.ledger.verify import Problem, verify
from rally.model.fact import Fact, seal

ROWS = "seq, event_id, kind, tool, run, step, ref, key, target, prev, hash, body"


@pytest.fixture
async def facts(path: Path) -> list[Fact]:
    """A closed ledger of six facts at `path`."""
    async with opened(path, create=True) as ledger:
        return await say(
            ledger,
            content("claim", event_id="e1", key="k1", paths=["src"]),
            content("artifact", event_id="e2", run="r", step="s"),
            content("note", event_id="e3", target="codex:1"),
            content("retract", event_id="e4", ref="e2", reason="x"),
            content("note", event_id="e5", key="k5"),
            content("note", event_id="e6"),
        )


def tamper(path: Path, *statements: str, schema: bool = True) -> None:
    """Change the file the way somebody would who takes the guards off and puts them back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        guards = raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in guards:
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        if schema:
            for _, sql in guards:
                raw.execute(sql)


async def test_a_whole_ledger_is_found_whole(path: Path, facts: list[Fact]) -> None:
    """The report names the file, the head and its hash, and no problem."""
    report = await verify(path)
    assert report.as_json() == {
        "ok": True,
        "facts": 6,
        "head": 6,
        "hash": facts[-1].hash,
        "whole_until": 6,
        "first_problem": None,
        "file": str(path),
    }


async def test_an_empty_ledger_is_whole(path: Path) -> None:
    """Nothing has been said, nothing is missing."""
    await (await SqliteLedger.open(path, create=True)).close()
    report = await verify(path)
    assert (report.ok, report.facts, report.head, report.hash) == (True, 0, *EMPTY_HEAD)


async def test_a_ledger_in_use_is_verified_with_what_stands_in_the_log(
    path: Path, facts: list[Fact]
) -> None:
    """Verifying needs no quiet: the open connection's last commit counts."""
    async with opened(path) as ledger:
        (newest,) = await say(ledger, content())
        report = await verify(path)
        assert (report.ok, report.head, report.hash) == (True, 7, newest.hash)


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        (
            "UPDATE facts SET body = replace(body, 'codex:1', 'claud:1') WHERE seq = 3",
            3,
            "its hash is not the hash of its body",
        ),
        (
            f"UPDATE facts SET hash = '{'a' * 64}' WHERE seq = 4",
            4,
            "its hash is not the hash of its body",
        ),
        (
            f"UPDATE facts SET prev = '{'a' * 64}' WHERE seq = 4",
            4,
            "its column prev differs from its body",
        ),
        ("UPDATE facts SET tool = 'x' WHERE seq = 2", 2, "its column tool differs from its body"),
        ("UPDATE facts SET key = NULL WHERE seq = 1", 1, "its column key differs from its body"),
        ("UPDATE facts SET run = 'r' WHERE seq = 1", 1, "its column run differs from its body"),
        ("UPDATE facts SET ref = 'e3' WHERE seq = 4", 4, "its column ref differs from its body"),
        ("UPDATE facts SET body = CAST(body AS TEXT) WHERE seq = 5", 5,
         "its hash is not the hash of its body"),
        ("DELETE FROM facts WHERE seq = 3", 3, "it is missing; the next fact in the file has seq 4"),
        ("DELETE FROM facts WHERE seq < 3", 1, "it is missing; the next fact in the file has seq 3"),
        ("DELETE FROM facts WHERE seq = 6", 6, "it is missing; 6 facts have been written"),
        ("DELETE FROM facts WHERE seq > 3", 4, "it is missing; 6 facts have been written"),
        ("DELETE FROM facts", 1, "it is missing; 6 facts have been written"),
        ("UPDATE facts SET seq = 0 WHERE seq = 1", 1,
         "it is missing; the next fact in the file has seq 0"),
        ("UPDATE facts SET seq = -5 WHERE seq = 3", 1,
         "it is missing; the next fact in the file has seq -5"),
        ("UPDATE facts SET seq = 9 WHERE seq = 6", 6,
         "it is missing; the next fact in the file has seq 9"),
    ],
)  # fmt: skip
async def test_every_change_to_a_fact_is_found(
    path: Path, facts: list[Fact], statement: str, seq: int, what: str
) -> None:
    """The first fact that is not whole is named; everything before it is vouched for."""
    tamper(path, statement)
    report = await verify(path)
    assert not report.ok
    assert report.first_problem == Problem(seq, what)
    assert report.whole_until == seq - 1


async def test_swapped_facts_are_found(path: Path, facts: list[Fact]) -> None:
    """Two whole facts in each other's place are no whole history."""
    swap = "UPDATE facts SET seq = {} WHERE seq = {}"
    tamper(path, swap.format(99, 3), swap.format(3, 4), swap.format(4, 99))
    report = await verify(path)
    assert report.first_problem == Problem(3, "its column seq differs from its body")
    assert (report.whole_until, report.facts, report.head) == (2, 6, 6)


async def test_a_forged_fact_that_is_whole_in_itself_breaks_the_chain(
    path: Path, facts: list[Fact]
) -> None:
    """Changing a fact together with its hash shows at the next one."""
    forged = seal(content("note", "claude:1", event_id="e3"), seq=3, prev=facts[1].hash)
    values = f"hash = '{forged.hash}', body = x'{forged.body.hex()}', target = NULL"
    tamper(path, f"UPDATE facts SET {values} WHERE seq = 3")
    report = await verify(path)
    assert report.first_problem == Problem(4, "its prev is not the hash of the fact before")
    assert report.whole_until == 3


@pytest.mark.parametrize(
    ("doubled", "index", "what"),
    [
        ({"event_id": "e5"}, "sqlite_autoindex_facts_1", "its event id was used before"),
        ({"key": "k5"}, "facts_by_key", "its idempotency key was used before"),
    ],
)
async def test_a_name_given_twice_is_found(
    path: Path, facts: list[Fact], doubled: dict[str, str], index: str, what: str
) -> None:
    """Uniqueness is recomputed; it is not taken from the index that should have kept it."""
    (fact,) = chain(Head(6, facts[-1].hash), [content(**doubled)])
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        plain = schema_sql().replace("NOT NULL UNIQUE", "NOT NULL").replace("UNIQUE INDEX", "INDEX")
        everything = raw.execute(f"SELECT {ROWS} FROM facts").fetchall()
        raw.execute("DROP TABLE facts")
        raw.executescript(plain)
        row = (fact.seq, fact.event_id, fact.kind, fact.tool, None, None, None, fact.get("key"))
        raw.execute("DROP TRIGGER facts_in_order")
        raw.executemany(
            f"INSERT INTO facts ({ROWS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [*everything, (*row, None, fact.prev, fact.hash, fact.body)],
        )
    report = await verify(path)
    assert report.first_problem == Problem(7, what)
    assert report.whole_until == 6


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("DROP TRIGGER facts_never_change", "trigger facts_never_change"),
        ("DROP TRIGGER facts_never_vanish", "trigger facts_never_vanish"),
        ("DROP TRIGGER facts_in_order", "trigger facts_in_order"),
        ("DROP INDEX facts_by_key", "index facts_by_key"),
    ],
)
async def test_a_missing_guard_is_found_though_every_fact_is_whole(
    path: Path, facts: list[Fact], statement: str, missing: str
) -> None:
    """A file that could be changed from now on is not called whole."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(statement)
    report = await verify(path)
    assert report.first_problem == Problem(None, f"the file's {missing} is missing or was changed")
    assert report.whole_until == 6


async def test_a_damaged_index_is_found_though_every_fact_can_be_read(
    path: Path, facts: list[Fact]
) -> None:
    """SQLite's own structure is checked as well as the facts in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        (page,) = raw.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'facts_by_kind'"
        ).fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        index = bytearray(file.read(size))
        file.seek((page - 1) * size)
        file.write(index.replace(b"claim", b"clown"))
    report = await verify(path)
    assert not report.ok
    assert report.first_problem is not None
    assert report.first_problem.seq is None
    assert report.whole_until == 6
