"""The named statements of `queries.sql`, read once when the module is imported."""

from __future__ import annotations

from pathlib import Path

_MARK = "\n-- name: "


def _load() -> dict[str, str]:
    # A plain read beside this file: importing importlib.resources takes longer than all of this.
    text = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
    statements = {}
    for block in text.split(_MARK)[1:]:
        name, _, sql = block.partition("\n")
        statements[name.strip()] = sql.strip()
    return statements


SQL = _load()
