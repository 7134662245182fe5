"""The answers of `enter`, `leave` and `whoami`."""

from __future__ import annotations

from typing import Any

from rally.cli.screen import Screen
from rally.cli.table import Cell, Column, table
from rally.cli.text.facts import age, headline, held, joined, left
from rally.model.visible import one_line, visible

_LISTS = (
    ("do", "yours to go on with", "ok"),
    ("do_not", "do not touch", "stop"),
    ("respond_to", "answer these", "warn"),
    ("know", "decided", "title"),
    ("attention", "new to you", "title"),
)
# Who comes and goes, takes and lets go: the other lists say how that stands now.
_TRAFFIC = frozenset(("enter", "leave", "claim", "release", "standby", "wake", "session"))
_HEADLINE_COLUMNS = 80
_COLUMNS = (
    Column("kind"),
    Column("by", 16),
    Column("what", 20),
    Column("left"),
    Column("age"),
    Column("id"),
)

# What is not to be touched is named whole, however narrow the terminal: it stands last.
_LAST = (0, 1, 3, 4, 5, 2)
_UNCUT = (Column("kind"), Column("by", 16), *_COLUMNS[3:], Column("what"))


def show_enter(data: dict[str, Any], screen: Screen) -> str:
    """Where one is, then the lists of contract P1 that hold anything."""
    tool = screen.paint(visible(data["tool"]), "name")
    head = f"head {data['cursor']['after']}"
    lines = [f"entered {visible(data['room'])} as {tool}  {head}", *about_room(data, screen)]
    for name, title, style in _LISTS:
        entries = data[name]
        told = [entry for entry in entries if name != "attention" or entry["kind"] not in _TRAFFIC]
        if entries:
            lines += ["", screen.paint(f"{title} ({len(entries)})", style)]
            rows = [_row(entry, screen) for entry in told]
            if name == "do_not":
                lines += table(_UNCUT, [[row[n] for n in _LAST] for row in rows], screen)
            else:
                lines += table(_COLUMNS, rows, screen)
        if len(told) < len(entries):
            more = "and " if told else ""
            since = f"rally log --since {data['cursor']['before']}"
            lines.append(
                f"  {more}{len(entries) - len(told)} about who came, went, claimed or let go: {since}"
            )
    if not any(data[name] for name, _, _ in _LISTS):
        lines.append("nothing is claimed, decided or asked of you yet")
    return joined(lines)


def show_exports(data: dict[str, Any], _: Screen) -> str:
    """Lines for `eval` in a POSIX shell; whatever the values are, it reads them back unchanged."""
    from rally.model.shell import word  # `enter` itself builds no command line

    pairs = (("RALLY_TOOL", data["tool"]), ("RALLY_SESSION_ID", data["session_id"]))
    return joined([f"export {name}={word(value)}" for name, value in pairs])


def _row(fact: dict[str, Any], screen: Screen) -> list[Cell]:
    # Only a claim that is live carries its status, and its lease as it stands now.
    live = fact.get("status") == "live"
    lease = left(fact["lease_expires_at"], screen) if live else ""
    return [
        fact["kind"],
        (fact["tool"], "name"),
        _told(fact) if live else one_line(headline(fact), _HEADLINE_COLUMNS),
        lease,
        age(fact, screen),
        (fact["event_id"], "dim"),
    ]


def _told(claim: dict[str, Any]) -> str:
    why = claim.get("subject", "")
    return held(claim) + (f": {one_line(why, _HEADLINE_COLUMNS)}" if why else "")


def about_room(data: dict[str, Any], screen: Screen) -> list[str]:
    """Who leads, and what for."""
    lines = []
    if data["lead"]:
        lines.append(f"lead     {screen.paint(visible(data['lead']['tool']), 'name')}")
    if data["mission"]:
        lines.append(f"mission  {visible(data['mission']['text'])}")
    return lines


def show_leave(data: dict[str, Any], screen: Screen) -> str:
    """What ended with it."""
    fact, released = data["fact"], data["released"]
    lines = [f"left  {visible(fact['event_id'])}  seq {fact['seq']}"]
    if released:
        lines.append(f"released ({len(released)})")
        rows: list[list[Cell]] = [[held(one), (one["event_id"], "dim")] for one in released]
        lines += table((Column("what", 20), Column("id")), rows, screen)
    return joined(lines)


def show_whoami(data: dict[str, Any], screen: Screen) -> str:
    """Names and values, then the claims."""
    pairs = [("room", data["room"])]
    if data.get("working_tree") not in (None, data["room"]):
        pairs.append(("working tree", data["working_tree"]))
    pairs.append(("head", str(data["head"])))
    if data["tool"] is None:
        pairs.append(("tool", "not said: --tool claude:1, or export RALLY_TOOL=claude:1"))
    else:
        entered = "yes" if data["entered"] else f"no: rally enter --tool {data['tool']}"
        pairs += [
            ("tool", data["tool"]),
            ("session", data.get("session_id") or ""),
            ("entered", entered),
            ("status", data.get("status") or ""),
            ("role", data.get("role") or ""),
            ("tier", data.get("tier") or ""),
            ("lead", "yes" if data.get("is_lead") else ""),
        ]
    pairs.append(("rally", data["version"]))
    lines = [f"{name:<13}{visible(value)}" for name, value in pairs if value]
    claims = data.get("claims") or []
    if claims:
        lines.append(f"claims ({len(claims)})")
        lines += claim_table(claims, screen)
    return joined(lines)


def claim_table(claims: list[dict[str, Any]], screen: Screen) -> list[str]:
    """One tool's claims."""
    columns = (Column("holds", 20, inside=True), Column("left"), Column("fence"), Column("id"))
    rows: list[list[Cell]] = [
        [
            held(claim),
            left(claim["lease_expires_at"], screen),
            str(claim.get("fence", "")),
            (claim["event_id"], "dim"),
        ]
        for claim in claims
    ]
    return table(columns, rows, screen)
