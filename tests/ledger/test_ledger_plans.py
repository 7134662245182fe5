"""Questions stay cheap as history grows: what SQLite would walk through to answer them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import chain, content, numbered, say

from rally.facilitation.ledger.connection import open_connection
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ledger.selection import SEQ_MAX, count_sql, select_sql
from rally.facilitation.ledger.sqlite import CHUNK_FACTS, SqliteLedger, _row
from rally.facilitation.ledger.statements import SQL
from rally.model.fact import Fact

VALUES: dict[str, Any] = {
    "after": 0, "before": SEQ_MAX, "limit": 10, "size": 10, "event_id": "a",
    "ids": '["a"]', "keys": '["a"]', "seqs": "[1]", "seq": 1, "pairs": '[["r","s"]]',
}  # fmt: skip


async def plan(ledger: SqliteLedger, sql: str, values: dict[str, Any]) -> list[str]:
    rows = await ledger._writer.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}", values)
    return [row[-1] for row in rows]


@pytest.mark.parametrize("name", sorted(set(SQL) - {"append"}))
async def test_every_named_statement_is_answered_from_an_index(
    sqlite_ledger: SqliteLedger, name: str
) -> None:
    """No decision walks through all of history; verifying does, in chunks."""
    steps = await plan(sqlite_ledger, SQL[name], VALUES)
    assert steps
    if name == "head":
        assert steps == ["SCAN facts"]  # backwards, and LIMIT 1 ends it at the first row
    elif not name.startswith("verify"):
        assert not [step for step in steps if step.startswith("SCAN facts")]


MANY = frozenset({"note", "claim", "artifact"})


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("conditions", "index"),
    [
        ({"kinds": frozenset({"note"})}, "facts_by_kind (kind=?"),
        ({"kinds": MANY}, "facts_by_kind (kind=?"),
        ({"kinds": MANY, "hide_retracted": True, "target": "x"}, "facts_by_kind (kind=?"),
        ({"tool": "t"}, "facts_by_tool (tool=?"),
        ({"tool": "t", "exclude_kinds": MANY}, "facts_by_tool (tool=?"),
        ({"tool": "t", "kinds": MANY}, "facts_by_tool_kind (tool=? AND kind=?"),
        ({"run": "r"}, "facts_by_run (run=?"),
        ({"run": "r", "step": "s", "kinds": MANY}, "facts_by_run (run=?"),
        ({}, "INTEGER PRIMARY KEY (rowid>?"),
        ({"not_tool": "t", "step": "s"}, "INTEGER PRIMARY KEY (rowid>?"),
    ],
)
async def test_selections_come_out_of_an_index_in_order(
    sqlite_ledger: SqliteLedger, conditions: dict[str, Any], index: str, newest_first: bool
) -> None:
    """Nothing is sorted: the newest fifty of a million cost as much as of a thousand."""
    sql, values = select_sql(FactQuery(**conditions, newest_first=newest_first))
    steps = await plan(sqlite_ledger, sql, VALUES | values)
    assert any(index in step for step in steps), steps
    assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN facts")]


async def test_counting_a_kind_reads_its_index_only(sqlite_ledger: SqliteLedger) -> None:
    """Exact totals need not touch a single fact."""
    sql, values = count_sql(FactQuery(kinds=MANY))
    (step,) = await plan(sqlite_ledger, sql, VALUES | values)
    assert "COVERING INDEX facts_by_kind" in step


async def test_a_long_search_holds_up_neither_appends_nor_decisions(
    sqlite_ledger: SqliteLedger,
) -> None:
    """While history is searched, without end in this case, the ledger works as if nothing were."""
    await sqlite_ledger.count(FactQuery())
    reader = sqlite_ledger._reader
    assert reader is not None
    endless = asyncio.ensure_future(
        reader.execute_fetchall(
            "WITH RECURSIVE n (i) AS (SELECT max(seq) FROM facts UNION ALL SELECT i FROM n) "
            "SELECT i FROM n WHERE i = 0"
        )
    )
    (fact,) = await say(sqlite_ledger, content())
    assert await sqlite_ledger.by_id([fact.event_id]) == {fact.event_id: fact}
    assert await sqlite_ledger.head() == (fact.seq, fact.hash)
    assert not endless.done()
    while not endless.done():
        await reader.interrupt()
        await asyncio.wait({endless}, timeout=0.01)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await endless


async def test_what_is_appended_during_a_search_is_seen_once(
    path: Path, sqlite_ledger: SqliteLedger
) -> None:
    """No lock and no snapshot is held from chunk to chunk."""
    number = CHUNK_FACTS * 2
    await say(sqlite_ledger, *(content() for _ in range(number)))
    (late,) = chain(await sqlite_ledger.head(), [content()])
    with closing(open_connection(path, timeout_s=0)) as other:

        def append_late(fact: Fact) -> bool:
            if fact.seq == CHUNK_FACTS // 2:
                other.executemany(SQL["append"], [_row(late)])
            return True

        found = numbered(await sqlite_ledger.select(FactQuery(where=append_late)))
    assert found == list(range(1, number + 2))


async def test_one_prepared_statement_serves_any_number_of_ids(sqlite_ledger: SqliteLedger) -> None:
    """Lists travel as one value, so that a statement is compiled once."""
    assert "IN (" not in "".join(SQL.values())
    await sqlite_ledger.by_id([str(n) for n in range(5_000)])
