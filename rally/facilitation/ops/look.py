"""log, show: questions about history, answered from the ledger."""

from __future__ import annotations

from collections.abc import Callable

from rally.facilitation.ledger.port import FactQuery
from rally.facilitation.ops.common import LIST_LIMIT_DEFAULT, Ask, Reply
from rally.model.errors import UsageError
from rally.model.fact import Fact
from rally.model.kinds import KIND_BY_NAME
from rally.model.paths import any_overlap
from rally.model.text import check_encodable, check_identity, check_tool, nearest


def log_query(ask: Ask) -> FactQuery:
    """The query behind `log`'s filters (contract P7).

    Raises:
        UsageError: `bad-value`, `bad-tool`, `path-outside-room`, ….
    """
    params = ask.params
    tool, run, grep = params.get("tool"), params.get("run"), params.get("grep")
    if tool:
        check_tool(tool)
    if run:
        check_identity(run, "--run")
    kinds = frozenset(check_identity(kind, "--kind") for kind in params.get("kinds") or ())
    paths = ask.paths()
    tests: list[Callable[[Fact], bool]] = []
    if paths:
        tests.append(lambda fact: any_overlap(fact.paths, paths))
    if grep:
        needle = check_encodable(grep, "--grep").decode().casefold()
        tests.append(lambda fact: needle in _text_of(fact).casefold())
    return FactQuery(
        kinds=kinds,
        tool=tool or None,
        run=run or None,
        since_seq=ask.seq("since") or 0,
        until_seq=ask.seq("until"),
        newest_first=True,
        limit=ask.limit(LIST_LIMIT_DEFAULT) or None,
        where=(lambda fact: all(test(fact) for test in tests)) if tests else None,
    )


def _check_known(kind: str) -> None:
    """A kind of which there is no fact is there to be said, or misspelt."""
    if kind not in KIND_BY_NAME:
        near = nearest(kind, list(KIND_BY_NAME))
        raise UsageError(
            "unknown-kind",
            f"unknown kind {kind!a}; the kinds are: {' '.join(KIND_BY_NAME)}",
            hint=f"--kind {near or 'artifact'}",
            details={"kinds": list(KIND_BY_NAME), "nearest": near},
        )


def _text_of(fact: Fact) -> str:
    """What `--grep` looks through: everything that somebody wrote."""
    doc = fact.doc
    parts = [str(doc.get(name, "")) for name in ("subject", "summary", "reason", "uri", "tool")]
    return "\n".join([*parts, doc["event_id"], *map(str, doc.get("evidence", ()))])


async def log(ask: Ask) -> Reply:
    """Facts in the order of the ledger, the newest `limit` of those that match."""
    query = log_query(ask)
    facts = await ask.service.ledger.select(query)
    if not facts:  # facts of kinds that only a newer rally knows may be there
        for kind in query.kinds:
            _check_known(kind)
    head = await ask.service.ledger.head()
    data = {"head": head.seq, "facts": [fact.doc for fact in reversed(facts)], "count": len(facts)}
    return Reply(data, [])


async def show(ask: Ask) -> Reply:
    """One fact, whether it was withdrawn, and what refers to it.

    Raises:
        UsageError: `unknown-id`.
    """
    wanted = str(ask.params.get("id") or "")
    check_identity(wanted, "the id")
    ledger = ask.service.ledger
    fact = (await ledger.by_id([wanted])).get(wanted)
    if fact is None:
        raise UsageError(
            "unknown-id", f"no fact has this id: {wanted!a}", hint="rally log --limit 20"
        )
    about = await ledger.about(fact.event_id)
    data = {
        "fact": fact.doc,
        "retracted": any(one.withdraws for one in about),
        "referred_by": [one.doc for one in about],
    }
    return Reply(data, [])
