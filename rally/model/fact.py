"""A fact: one immutable record of the ledger, and its place in the hash chain.

A fact is a JSON object with the field names of contract F1; fields that are empty are absent. It is
kept as the object that was read, not as a class with forty attributes, so that fields and kinds
written by a newer rally are kept, shown and carried along unchanged.

The chain: `hash` is the SHA-256 of `body`, the canonical JSON (sorted keys, no blanks) of the fact
without `hash` itself; `prev` inside the body is the hash of the fact before. The first fact's `prev`
is `GENESIS`. Changing, dropping or reordering any fact therefore breaks every later link.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from rally.model.clock import from_rfc3339

GENESIS = "0" * 64

# Contract F1, in the order in which people read them.
FIELDS = (
    "event_id seq kind tool session_id created_at subject summary paths resources mode run step "
    "parent_steps ref target thread uri evidence status severity reason state intent ack_by claim "
    "wake_after until ttl lease_expires_at fence role tier key data origin trust prev hash"
).split()


class Fact:
    """A sealed fact: `doc` is the whole JSON object (hash included), `body` the bytes hashed.

    Neither may be changed after construction.
    """

    __slots__ = ("body", "doc")

    def __init__(self, doc: dict[str, Any], body: bytes) -> None:
        self.doc = doc
        self.body = body

    @property
    def seq(self) -> int:
        return self.doc["seq"]  # type: ignore[no-any-return]

    @property
    def event_id(self) -> str:
        return self.doc["event_id"]  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self.doc["kind"]  # type: ignore[no-any-return]

    @property
    def tool(self) -> str:
        return self.doc["tool"]  # type: ignore[no-any-return]

    @property
    def session_id(self) -> str | None:
        return self.doc.get("session_id")

    @property
    def created_ms(self) -> int:
        return from_rfc3339(self.doc["created_at"])

    @property
    def paths(self) -> list[str]:
        return self.doc.get("paths", [])  # type: ignore[no-any-return]

    @property
    def run(self) -> str | None:
        return self.doc.get("run")

    @property
    def step(self) -> str | None:
        return self.doc.get("step")

    @property
    def ref(self) -> str | None:
        return self.doc.get("ref")

    @property
    def prev(self) -> str:
        return self.doc["prev"]  # type: ignore[no-any-return]

    @property
    def hash(self) -> str:
        return self.doc["hash"]  # type: ignore[no-any-return]

    @property
    def has_effect(self) -> bool:
        """Whether it may change anything: what another machine sent untrusted is only shown (contract
        T3)."""
        return self.doc.get("trust") != "untrusted"

    @property
    def withdraws(self) -> str | None:
        """The id of the fact that this one takes out of every view; None for all but retractions."""
        return self.ref if self.kind == "retract" and self.has_effect else None

    def get(self, name: str, default: Any = None) -> Any:
        """A field by its F1 name; `default` where it is absent."""
        return self.doc.get(name, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fact) and self.doc == other.doc

    def __hash__(self) -> int:
        return hash(self.doc["event_id"])

    def __repr__(self) -> str:
        return f"<Fact {self.seq} {self.kind} {self.event_id} by {self.tool}>"


def seal(content: dict[str, Any], *, seq: int, prev: str) -> Fact:
    """Give content its place in the ledger: number, link and hash.

    Args:
        content: the fact's fields without `seq`, `prev`, `hash`; empty ones already absent.
        seq: its place, 1..N.
        prev: the hash of the fact before, `GENESIS` for the first.
    """
    doc = {**content, "seq": seq, "prev": prev}
    body = orjson.dumps(doc, option=orjson.OPT_SORT_KEYS)
    doc["hash"] = sha256(body).hexdigest()
    return Fact(doc, body)


def from_body(body: bytes, digest: str) -> Fact:
    """A fact as the ledger kept it. `digest` is the stored hash; it is not recomputed here."""
    doc = orjson.loads(body)
    doc["hash"] = digest
    return Fact(doc, body)
