"""A program that tests start to have a second, real process on a ledger: `ledger_child.py VERB PATH`.

It says `ready` once everything is imported, waits for a line on standard input, and then acts, so
that many of them begin at the same moment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from ledger_facts import chain, content, numbered, say

from rally.facilitation.ledger.folder import prepare_room_folder
from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ledger.sqlite import SqliteLedger
from rally.model.errors import Failure

NOBODY = 65_534


async def create(path: Path) -> None:
    """Prepare the room and its ledger and say what is there."""
    prepare_room_folder(path.parent.parent)
    ledger = await SqliteLedger.open(path, create=True)
    await say(ledger, content())
    print(json.dumps({"identity": ledger.identity()}))
    await ledger.close()


async def append(path: Path) -> None:
    """Append forty facts and say which seqs they got."""
    ledger = await SqliteLedger.open(path)
    seqs = [(await say(ledger, content()))[0].seq for _ in range(40)]
    print(json.dumps({"seqs": seqs}))
    await ledger.close()


async def flood(path: Path) -> None:
    """Append batches of three for ever and name each as soon as it is acknowledged."""
    ledger = await SqliteLedger.open(path)
    while True:
        facts = await say(ledger, content(), content(), content())
        print(" ".join(fact.event_id for fact in facts), flush=True)


async def look(path: Path) -> None:
    """Read, and try to append, as somebody who may not write there."""
    path.as_uri()  # it imports late, and the interpreter may be readable for root alone
    if os.access(path.parent, os.W_OK):  # nothing is read-only for root
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    answer: dict[str, object] = {"writable": os.access(path.parent, os.W_OK)}
    try:
        ledger = await SqliteLedger.open(path)
    except Failure as failure:
        print(json.dumps(answer | {"open": failure.code}))
        return
    head = await ledger.head()
    answer["head"] = head.seq
    answer["facts"] = numbered(await ledger.select(FactQuery(newest_first=True)))
    try:
        await ledger.append(chain(head, [content()]))
    except Failure as failure:
        answer["append"] = failure.code
    answer["head_after"] = (await ledger.head()).seq
    print(json.dumps(answer))
    await ledger.close()


if __name__ == "__main__":
    verb = {"create": create, "append": append, "flood": flood, "look": look}[sys.argv[1]]
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(verb(Path(sys.argv[2])))
