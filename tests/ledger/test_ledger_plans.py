"""Questions stay cheap as history grows: what SQLite would walk through to answer them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ledger_facts import content, numbered, say

from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ledger.selection import SEQ_MAX, count_sql, select_sql
from rally.facilitation.ledger.sqlite import CHUNK_FACTS, SqliteLedger
from rally.facilitation.ledger.statements import SQL

VALUES: dict[str, Any] = {
    "after": 0, "before": SEQ_MAX, "limit": 10, "size": 10, "event_id": "a",
    "ids": '["a"]', "keys": '["a"]', "seqs": "[1]", "pairs": '[["r","s"]]',
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


async def test_a_long_search_does_not_hold_up_appends(sqlite_ledger: SqliteLedger) -> None:
    """Facts are appended while a search is under way, and the search still sees each fact once."""
    await say(sqlite_ledger, *(content() for _ in range(CHUNK_FACTS * 4)))
    seen: list[int] = []
    appended_during: list[int] = []

    async def search() -> list[int]:
        query = FactQuery(where=lambda fact: not seen.append(fact.seq))
        return numbered(await sqlite_ledger.select(query))

    async def append() -> None:
        for _ in range(5):
            (fact,) = await say(sqlite_ledger, content())
            if len(seen) < CHUNK_FACTS * 4:
                appended_during.append(fact.seq)

    found, _ = await asyncio.gather(search(), append())
    assert appended_during
    assert found == seen == list(range(1, len(found) + 1))
    assert len(found) >= CHUNK_FACTS * 4


async def test_one_prepared_statement_serves_any_number_of_ids(sqlite_ledger: SqliteLedger) -> None:
    """Lists travel as one value, so that a statement is compiled once."""
    assert "IN (" not in "".join(SQL.values())
    await sqlite_ledger.by_id([str(n) for n in range(5_000)])
