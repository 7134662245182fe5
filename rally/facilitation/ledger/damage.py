"""What to say of a damaged ledger beside the damage: how far it is whole, and the way out.

A caller who meets the damage must not be sent in a circle, so the way out is one command that can be
pasted. It moves the ledger's files and nothing else, since worktrees and cursors live beside them, and
deletes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from rally.facilitation.ledger.connection import open_connection
from rally.facilitation.ledger.verify import VerifyReport, follow_chain
from rally.model.errors import Failure
from rally.model.shell import word

_ASIDE = "damaged"
# Following the chain takes some five seconds for a million facts, and somebody waits for an error.
FACTS_MAX = 200_000


async def add_way_out(failure: Failure) -> None:
    """Have an error about a damaged ledger name what is still whole, and how to set it aside.

    Args:
        failure: changed in place where it is of code `corrupt-ledger`; `details.file` names the ledger.
    """
    file = failure.details.get("file")
    if failure.code != "corrupt-ledger" or not file or "whole_to_seq" in failure.details:
        return
    whole = await asyncio.to_thread(whole_to_seq, Path(file))
    failure.message = f"{failure.message}; {still_whole(whole)}"
    failure.hint = set_aside_command(file)
    failure.details = {**failure.details, "whole_to_seq": whole}


def told(report: VerifyReport) -> str:
    """What verifying found to be damaged, and how far the history is whole, in a line."""
    problem = report.first_problem
    assert problem is not None
    where = "" if problem.seq is None else f"fact {problem.seq}: "
    return f"{report.file} is damaged: {where}{problem.what}; {still_whole(report.whole_until)}"


def whole_to_seq(path: Path) -> int:
    """The history from 1 to this seq is whole, as far as the first `FACTS_MAX` facts tell."""
    with suppress(Failure, sqlite3.Error), closing(open_connection(path)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        head, _ = follow_chain(connection, facts_max=FACTS_MAX)
        return head.seq
    return 0


def still_whole(seq: int) -> str:
    """How far a history is whole, in words."""
    if seq == 0:
        return "none of its facts can be read"
    at_least = "at least " if seq >= FACTS_MAX else ""
    return f"{at_least}facts 1 to {seq} are whole" if seq > 1 else "only fact 1 is whole"


def set_aside_command(file: str | os.PathLike[str]) -> str:
    """The command after which the room begins anew, the damaged ledger kept in a folder beside it.

    Who has a whole copy of the ledger puts it in its place then.
    """
    folder = Path(file).parent
    number, aside = 1, folder / _ASIDE
    while os.path.lexists(aside):
        number += 1
        aside = folder / f"{_ASIDE}-{number}"
    return f"mkdir {word(str(aside))} && mv {word(str(file))}* {word(str(aside))}"
