"""A `FactQuery` as SQL."""

from __future__ import annotations

from typing import Any

from rally.facilitation.ledger.port import FactQuery

# Larger than any seq: SQLite's integers are signed and have 64 bits.
SEQ_MAX = 2**63 - 1
_COLUMNS = "seq, hash, body"
_NOT_RETRACTED = (
    "NOT EXISTS (SELECT 1 FROM facts AS withdrawal"
    " WHERE withdrawal.ref = facts.event_id AND withdrawal.kind = 'retract'"
    " AND json_extract(CAST(withdrawal.body AS TEXT), '$.trust') IS NOT 'untrusted')"
)


def select_sql(query: FactQuery) -> tuple[str, dict[str, Any]]:
    """One chunk of the answer, in order, between `:after` and `:before` (both exclusive).

    Several kinds are asked one by one and merged: each of them then comes out of the index by kind
    in order of seq, and a chunk costs its own size and not the number of all facts of those kinds.

    Returns:
        The statement, and the values of its parameters but `:after`, `:before` and `:size`.
    """
    terms, values = _terms(query)
    kinds = _wanted_kinds(query)
    branches = [terms]
    if kinds is not None:
        for index, kind in enumerate(kinds):
            values[f"kind{index}"] = kind
        if query.run is None and kinds:
            branches = [[f"kind = :kind{index}", *terms] for index in range(len(kinds))]
        else:
            branches = [[_in("kind", "kind", len(kinds)), *terms]]
    order = "DESC" if query.newest_first else "ASC"
    union = " UNION ALL ".join(
        f"SELECT {_COLUMNS} FROM facts WHERE {' AND '.join(branch)}"  # noqa: S608 - names only
        for branch in branches
    )
    return f"{union} ORDER BY seq {order} LIMIT :size", values


def count_sql(query: FactQuery) -> tuple[str, dict[str, Any]]:
    """How many facts match, `where` and `limit` left aside; same parameters but `:size`."""
    terms, values = _terms(query)
    kinds = _wanted_kinds(query)
    if kinds is not None:
        terms.insert(0, _in("kind", "kind", len(kinds)))
        values.update((f"kind{index}", kind) for index, kind in enumerate(kinds))
    return f"SELECT count(*) FROM facts WHERE {' AND '.join(terms)}", values  # noqa: S608


def bounds(query: FactQuery) -> tuple[int, int]:
    """The seqs just outside the range asked for: `:after` and `:before`."""
    before = SEQ_MAX if query.until_seq is None else min(query.until_seq + 1, SEQ_MAX)
    return query.since_seq, before


def _wanted_kinds(query: FactQuery) -> list[str] | None:
    return sorted(query.kinds - query.exclude_kinds) if query.kinds else None


def _terms(query: FactQuery) -> tuple[list[str], dict[str, Any]]:
    terms = ["seq > :after", "seq < :before"]
    values: dict[str, Any] = {}
    for column in ("tool", "run", "step", "target"):
        value = getattr(query, column)
        if value is not None:
            terms.append(f"{column} = :{column}")
            values[column] = value
    if query.not_tool is not None:
        terms.append("tool <> :not_tool")
        values["not_tool"] = query.not_tool
    if query.exclude_kinds and not query.kinds:
        terms.append("NOT " + _in("kind", "excluded", len(query.exclude_kinds)))
        for index, kind in enumerate(sorted(query.exclude_kinds)):
            values[f"excluded{index}"] = kind
    if query.hide_retracted:
        terms.append(_NOT_RETRACTED)
    return terms, values


def _in(column: str, prefix: str, number: int) -> str:
    return f"{column} IN ({', '.join(f':{prefix}{index}' for index in range(number))})"
