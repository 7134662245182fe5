"""The answer of `room`: the screen that one keeps open. Sections without entries are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import age, held, in_time, left, plural, several, step_of, waits_for
from rally.model.clock import from_rfc3339
from rally.model.durations import span
from rally.model.visible import cut_inside, one_line, visible

Row = Callable[[dict[str, Any], Screen], list[Cell]]

_STATUS_STYLES = {"active": "ok", "standby": "warn", "idle": "dim", "gone": "dim"}
# Columns that the room's folder keeps where the counts beside it would fill the line.
_ROOM_MIN = 8
# A lease with less than this left is about to go.
_SHORT_MS = 3 * 60_000


class Section(NamedTuple):
    """One list of the room: its name in the answer, its title, its columns and one row."""

    name: str
    title: str
    style: str
    columns: tuple[Column, ...]
    row: Row


def show_room(data: dict[str, Any], screen: Screen) -> str:
    """Head line, lead and mission, then the sections, most pressing first."""
    lines = [_head(data, screen)]
    if data["lead"]:
        since = span(screen.now_ms - from_rfc3339(data["lead"]["since"]))
        name = screen.paint(visible(data["lead"]["tool"]), "name")
        lines.append(f"lead     {name}  for {since}")
    if data["mission"]:
        text = data["mission"]["text"]
        room = max(_ROOM_MIN, screen.width - len("mission  "))
        lines.append(f"mission  {visible(text) if screen.is_piped else one_line(text, room)}")
    sections = [_section(one, data, screen) for one in SECTIONS if data[one.name]]
    for section in sections:
        lines += ["", *section]
    if not sections:
        lines += ["", *_empty(data["head"])]
    return "\n".join(lines) + "\n"


def _head(data: dict[str, Any], screen: Screen) -> str:
    counts = [
        (data["totals"]["active_claims"], "claim"),
        (sum(row["status"] != "gone" for row in data["tools"]), "agent"),
        (data["totals"]["active_blockers"], "blocker"),
    ]
    told = [plural(count, word) for count, word in counts if count]
    told.insert(0, f"head {data['head']}")
    where = visible(data["room"])
    if not screen.is_piped:
        where = cut_inside(where, max(_ROOM_MIN, screen.width - len("  ".join(["", *told]))))
    return "  ".join([screen.paint(where, "title"), *told])


def _empty(head: int) -> list[str]:
    if head:
        return ["nothing is open here"]
    return [
        "nobody has said anything here yet; begin with",
        "  export RALLY_TOOL=claude:1",
        "  rally enter",
        "  rally say claim --path src/ --subject 'what you are about to do'",
    ]


def _section(section: Section, data: dict[str, Any], screen: Screen) -> list[str]:
    entries, total = data[section.name], data["totals"][section.name]
    title = screen.paint(section.title, section.style)
    more = f" of {total}; --limit 0 shows all" if len(entries) < total else ""
    rows = [section.row(entry, screen) for entry in entries]
    return [f"{title} ({len(entries)}{more})", *table(section.columns, rows, screen)]


def _claim(claim: dict[str, Any], screen: Screen) -> list[Cell]:
    expires = claim["lease_expires_at"]
    short = from_rfc3339(expires) - screen.now_ms < _SHORT_MS
    return [
        (claim["tool"], "name"),
        _holds(claim, screen) + (" (shared)" if claim.get("mode") == "shared" else ""),
        (left(expires, screen), "warn" if short else ""),
        str(claim.get("fence", "")),
        claim.get("subject", ""),
        (claim["event_id"], "dim"),
    ]


def _holds(claim: dict[str, Any], screen: Screen) -> str:
    """Where two names would not fit, one and how many more: cut, they would look like one."""
    names = [*claim.get("paths", ()), *claim.get("resources", ())]
    text = held(claim)
    return several(names, 1) if len(names) > 1 and len(text) > screen.width // 3 else text


def _blocker(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    severity = fact.get("severity", "")
    return [
        (severity, "stop" if severity in ("high", "critical") else ""),
        (fact["tool"], "name"),
        several(fact.get("paths", ())) or step_of(fact) or "everything",
        fact.get("subject", ""),
        age(fact, screen),
        (fact["event_id"], "dim"),
    ]


def _handoff(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    state: Cell = (fact.get("receipt") or "open", "")
    if fact["overdue"]:
        state = ("overdue", "stop")
    return [
        (fact["tool"], "name"),
        (fact.get("target", ""), "name"),
        fact.get("intent", "work"),
        fact.get("subject", ""),
        span(fact["age_s"] * 1_000),
        state,
        (fact["event_id"], "dim"),
    ]


def _standby(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    wake = fact.get("wake_after")
    when: Cell = in_time(wake, screen) if wake else ""
    if fact.get("due"):
        when = (f"due ({fact['due']})", "warn")
    until = waits_for({"until": fact.get("until")})
    return [
        (fact["tool"], "name"),
        when,
        until,
        fact.get("reason") or fact.get("subject", ""),
        (fact["event_id"], "dim"),
    ]


def _said(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    return [
        (fact["tool"], "name"),
        several(fact.get("paths", ())) or step_of(fact),
        fact.get("subject", ""),
        age(fact, screen),
        (fact["event_id"], "dim"),
    ]


def _decision(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    row = _said(fact, screen)
    if fact.get("status", "binding") != "binding":
        row[2] = f"({fact['status']}) {fact.get('subject', '')}"
    return row


def _artifact(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    row = _said(fact, screen)
    row[1] = step_of(fact) or several(fact.get("paths", ()))
    row.insert(3, "" if fact.get("evidence") else ("no evidence", "warn"))
    return row


def _tool(row: dict[str, Any], screen: Screen) -> list[Cell]:
    status = row["status"]
    return [
        (row["tool"], "name"),
        (status, _STATUS_STYLES.get(status, "")),
        " ".join(filter(None, (row["role"], row["tier"] and f"({row['tier']})"))),
        str(row["claims"] or ""),
        in_time(row["last_seen"], screen),
    ]


def _waiter(row: dict[str, Any], screen: Screen) -> list[Cell]:
    return [
        (row["tool"], "name"),
        held(row),
        span(screen.now_ms - from_rfc3339(row["since"])),
        left(row["until"], screen),
    ]


def _paths(title: str, floor: int) -> Column:
    return Column(title, floor, inside=True)


_BY = Column("by", 16)
_SUBJECT = Column("subject", 20)
_ID = Column("id")
_CLAIM = (
    Column("owner", 16), _paths("holds", 20), Column("left"), Column("fence"), _SUBJECT, _ID
)  # fmt: skip
_SAID = (_BY, _paths("where", 12), _SUBJECT, Column("age"), _ID)

SECTIONS: Sequence[Section] = (
    Section(
        "active_blockers", "blockers", "stop",
        (Column("severity"), _BY, _paths("blocks", 12), _SUBJECT, Column("age"), _ID), _blocker,
    ),
    Section("active_claims", "claims", "title", _CLAIM, _claim),
    Section("lapsed_claims", "lapsed claims", "warn", _CLAIM, _claim),
    Section(
        "waiting", "waiting for paths", "title",
        (Column("who", 16), _paths("for", 20), Column("since"), Column("gives up in")), _waiter,
    ),
    Section(
        "open_handoffs", "handoffs", "title",
        (Column("from", 16), Column("to", 16), Column("intent"), _SUBJECT, Column("age"),
         Column("state"), _ID), _handoff,
    ),
    Section(
        "standbys", "standbys", "title",
        (Column("who", 16), Column("wakes"), _paths("condition", 14), Column("reason", 12), _ID),
        _standby,
    ),
    Section("current_decisions", "decisions", "title", _SAID, _decision),
    Section("open_risks", "risks", "warn", _SAID, _said),
    Section(
        "tools", "agents", "title",
        (Column("tool", 16), Column("status"), Column("role", 8), Column("claims", right=True),
         Column("seen")), _tool,
    ),
    Section(
        "recent_artifacts", "latest artifacts", "title",
        (_BY, _paths("where", 12), _SUBJECT, Column("evidence"), Column("age"), _ID), _artifact,
    ),
)  # fmt: skip
