"""What is live in a room, one small record each.

Each record keeps the fact that opened it, because lists show facts (contract P), and beside it only
what later facts change. Everything a record knows can be rebuilt from the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rally.model.fact import Fact


@dataclass(slots=True)
class Claim:
    """A leased right (contract section 5). `seq` is its fence; `expires_ms` moves forward only."""

    claim_id: str
    seq: int
    tool: str
    session_id: str | None
    paths: tuple[str, ...]
    resources: tuple[str, ...]
    shared: bool
    run: str | None
    step: str | None
    since_ms: int
    ttl_ms: int
    expires_ms: int
    fact: Fact

    @property
    def renew_at_ms(self) -> int:
        """When a third of the lease has passed: the earliest renewal (contract C6)."""
        return self.expires_ms - self.ttl_ms * 2 // 3


@dataclass(slots=True)
class Lost:
    """A lapsed claim that another owner's claim took over, kept for its old owner (contract C6)."""

    claim: Claim
    by: Fact


def step_of(said: Claim | Fact) -> tuple[str, str] | None:
    """The (run, step) that a claim takes or a fact is about, if it names one."""
    return (said.run, said.step) if said.run and said.step else None


@dataclass(slots=True)
class Standby:
    """A dormant agent's wish to be woken. `held` are the indices of conditions known to hold.

    Only `step:` and `fact:` conditions are kept in `held`; `free:` depends on leases, so on time, and
    is judged when it is asked.
    """

    fact: Fact
    wake_after_ms: int | None
    until: tuple[str, ...]
    held: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Handoff:
    """An open handoff and the last answer of each tool that answered."""

    fact: Fact
    ack_by_ms: int | None
    receipts: dict[str, Fact] = field(default_factory=dict)


@dataclass(slots=True)
class Blocker:
    """An open blocker. `freeze`: unscoped, and its author held the lead's seat when it was said."""

    fact: Fact
    freeze: bool


@dataclass(slots=True)
class Presence:
    """A tool that entered. `sessions` are the live ones (session id or "") with their enter's seq."""

    tool: str
    entered_ms: int
    enter_seq: int
    last_ms: int
    role: str | None = None
    tier: str | None = None
    paths: tuple[str, ...] = ()
    sessions: dict[str, int] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        """Whether it has entered and not left."""
        return bool(self.sessions)


@dataclass(slots=True)
class Lead:
    """Who holds the lead's seat, since when, by which fact, and when the holder last wrote anything."""

    tool: str
    since_ms: int
    event_id: str
    seen_ms: int


@dataclass(slots=True)
class Task:
    """A registered task of an open run."""

    task_id: str
    fact: Fact
    depends_on: tuple[str, ...]
    priority: int
    read_only: bool


@dataclass(slots=True)
class ManagedSession:
    """A managed agent session that nobody has ended.

    Attributes:
        fact: opened it; its event id is the session id that the agent was given.
        started: says in which pane the agent runs; None while it is being started, and for one
            that was adopted.
    """

    fact: Fact
    started: Fact | None = None


@dataclass(slots=True)
class Waiter:
    """A claim that waits in the queue of this process (contract C8)."""

    tool: str
    session_id: str | None
    paths: tuple[str, ...]
    resources: tuple[str, ...]
    run: str | None
    step: str | None
    since_ms: int
    deadline_ms: int
