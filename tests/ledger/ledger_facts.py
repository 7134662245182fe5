"""Facts to append, for the ledger's tests and for the programs that they start."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rally.facilitation.ledger.port import Head, HeadMoved, Ledger
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.fact import Fact, seal

CREATED_AT = "2030-01-01T00:00:00.000Z"


def content(kind: str = "note", tool: str = "claude:1", **fields: Any) -> dict[str, Any]:
    """The unsealed fields of a fact; the event id is a new one unless it is given."""
    fields.setdefault("event_id", f"f-{os.urandom(8).hex()}")
    return {"kind": kind, "tool": tool, "created_at": CREATED_AT, **fields}


def chain(head: Head, contents: Iterable[dict[str, Any]]) -> list[Fact]:
    """The contents sealed one behind the other, behind `head`."""
    facts = []
    for fields in contents:
        fact = seal(fields, seq=head.seq + 1, prev=head.hash)
        head = Head(fact.seq, fact.hash)
        facts.append(fact)
    return facts


@asynccontextmanager
async def opened(path: Path, *, create: bool = False) -> AsyncIterator[SqliteLedger]:
    """A ledger that is closed whatever the test ends in: an open one would keep its thread alive."""
    ledger = await SqliteLedger.open(path, create=create)
    try:
        yield ledger
    finally:
        await ledger.close()


async def say(ledger: Ledger, *contents: dict[str, Any]) -> list[Fact]:
    """Append the contents in one go, deciding again whenever somebody else was faster."""
    while True:
        facts = chain(await ledger.head(), contents)
        try:
            await ledger.append(facts)
        except HeadMoved:
            continue
        return facts


def numbered(facts: Sequence[Fact]) -> list[int]:
    """The seqs of facts, in the order given."""
    return [fact.seq for fact in facts]
