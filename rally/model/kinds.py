"""The kinds of facts (contract F2, section 4) and the fields that `say` takes, each said once.

The command line, the checks at the door, the error texts and the reference pages are all built from
these two tables, so they cannot disagree.
"""

from __future__ import annotations

from typing import NamedTuple

SUBJECT_CHARS_MAX = 500
SUMMARY_BYTES_MAX = 16 * 1024
EVIDENCE_ENTRIES_MAX = 100
EVIDENCE_BYTES_MAX = 8 * 1024
PATHS_MAX = 1_000
FACT_BYTES_MAX = 64 * 1024
# Not in the contract: identities and short texts are bounded so that a table row stays a row.
IDENTITY_CHARS_MAX = 256
SHORT_TEXT_BYTES_MAX = 8 * 1024
LIST_ENTRIES_MAX = 1_000


class Field(NamedTuple):
    """One field that `say` takes.

    Attributes:
        name: its F1 name in the stored fact, or the option's name where `stored` is false.
        flag: the command-line flag.
        form: `text` free text, `identity` one line without control characters, `choice`, `duration`,
            `instant`, `json`, `switch`, `path`, `condition`, `tool`.
        many: whether the flag may be repeated and the field is a list.
        limit: most characters (`identity`, subject) or UTF-8 bytes (other text) of one value.
        choices: what a `choice` accepts.
        kinds: the kinds that take it; empty: every kind does.
        stored: whether it is kept in the fact under its name.
        help: one line for the reference.
    """

    name: str
    flag: str
    form: str
    help: str
    many: bool = False
    limit: int = SHORT_TEXT_BYTES_MAX
    choices: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    stored: bool = True


SAY_FIELDS: tuple[Field, ...] = (
    Field("subject", "--subject", "text", "what it is about, one line", limit=SUBJECT_CHARS_MAX),
    Field("summary", "--summary", "text", "the text; - reads standard input",
          limit=SUMMARY_BYTES_MAX),
    Field("paths", "--path", "path", "a path or pattern, relative to the room's root", many=True),
    Field("resources", "--resource", "identity", "a named resource such as port:5432", many=True),
    Field("run", "--run", "identity", "the run it belongs to"),
    Field("step", "--step", "identity", "the step of the run"),
    Field("parent_steps", "--parent-step", "identity", "a step that this one builds on", many=True),
    Field("ref", "--ref", "identity", "the id (or seq) of the fact it answers"),
    Field("target", "--target", "tool", "the tool it is addressed to"),
    Field("thread", "--thread", "identity", "a conversation that it belongs to"),
    Field("uri", "--uri", "text", "where the thing can be looked at"),
    Field("evidence", "--evidence", "text", "what shows that it is so; - reads standard input",
          many=True, limit=EVIDENCE_BYTES_MAX),
    Field("status", "--status", "identity", "a status word"),
    Field("severity", "--severity", "choice", "how bad it is",
          choices=("low", "medium", "high", "critical")),
    Field("reason", "--reason", "text", "why"),
    Field("key", "--key", "identity", "idempotency key: repeating it answers the first fact"),
    Field("data", "--data", "json", "a JSON object of your own"),
    Field("role", "--role", "identity", "what the tool does here", kinds=("enter",)),
    Field("tier", "--tier", "choice", "what it is good for",
          choices=("frontier", "executing", "fast"), kinds=("enter",)),
    Field("mode", "--mode", "choice", "who else may hold it", choices=("exclusive", "shared"),
          kinds=("claim",)),
    Field("ttl", "--ttl", "duration", "how long the lease runs (default 30m)", kinds=("claim",)),
    Field("wait", "--wait", "duration", "queue this long for the paths", kinds=("claim",),
          stored=False),
    Field("force", "--force", "switch", "as lead or person: end another's claim, with --reason",
          kinds=("release",), stored=False),
    Field("release", "--release", "switch", "also end your claim on it", kinds=("artifact",),
          stored=False),
    Field("intent", "--intent", "choice", "what is asked for (default work)",
          choices=("work", "review", "plan", "question", "shutdown", "message"),
          kinds=("handoff",)),
    Field("ack_within", "--ack-within", "duration", "by when an answer is expected",
          kinds=("handoff",), stored=False),
    Field("claim", "--claim", "identity", "the claim to hand over", kinds=("handoff",)),
    Field("state", "--state", "choice", "the answer",
          choices=("acked", "accepted", "rejected", "done"), kinds=("receipt",)),
    Field("wake_after", "--wake-after", "instant", "+30m or an RFC 3339 time",
          kinds=("standby",)),
    Field("until", "--until", "condition", "step:ID of --run, fact:ID or free:PATH", many=True,
          kinds=("standby",)),
    Field("ref_standby", "--ref-standby", "identity", "the standby that it ends",
          kinds=("wake", "artifact"), stored=False),
)  # fmt: skip

FIELD_BY_NAME = {field.name: field for field in SAY_FIELDS}


class Kind(NamedTuple):
    """One kind of fact.

    Attributes:
        requires: names of fields that must be given; a tuple inside means one of these.
        meaning: one line for the reference.
        command: the command that writes it where `say` does not; empty otherwise.
    """

    name: str
    requires: tuple[str | tuple[str, ...], ...]
    meaning: str
    command: str = ""


KINDS: tuple[Kind, ...] = (
    Kind("enter", (), "the tool is in the room"),
    Kind("leave", (), "the tool is out of the room; its claims and standbys end"),
    Kind("claim", (), "a leased right to write paths, use a resource, or take a step"),
    Kind("renew", (), "extends all of the caller's leases"),
    Kind("release", (("ref", "paths"),), "ends own claims, by id or by path"),
    Kind("artifact", ("subject",), "something reviewable was produced; lands its step"),
    Kind("blocker", ("subject",), "work cannot go on"),
    Kind("resolve", ("ref",), "closes a blocker, a risk or a handoff"),
    Kind("decision", ("subject",), "binds later work within its paths"),
    Kind("handoff", ("subject", "target"), "asks another tool, or all, to act"),
    Kind("receipt", ("ref", "state"), "the addressee's answer"),
    Kind("risk", ("subject",), "something uncertain that others should know"),
    Kind("lesson", ("subject",), "something worth remembering"),
    Kind("note", ("subject",), "a free remark"),
    Kind("standby", (), "the tool is dormant and wants to be woken"),
    Kind("wake", ("ref_standby",), "the tool is active again; closes the standby"),
    Kind("run", (), "a fan-out of tasks", "rally workstream start"),
    Kind("task", (), "one task of a run", "rally task add"),
    Kind("memory", (), "a named value", "rally memory set"),
    Kind("lead", (), "the lead's seat changed hands", "rally lead take"),
    Kind("mission", (), "the room's goal", "rally mission --set"),
    Kind("session", (), "a managed agent session", "rally run"),
    Kind("retract", ("ref", "reason"), "withdraws a fact from every view"),
)

KIND_BY_NAME = {kind.name: kind for kind in KINDS}
SAYABLE = tuple(kind.name for kind in KINDS if not kind.command)
