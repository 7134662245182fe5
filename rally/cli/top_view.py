"""What `rally top` shows: one answer about the room, drawn for one size of terminal.

It imports rich (22 ms), which `top` alone pays for. What agents wrote is made
visible here (contract O5) and reaches rich as `Text`; markup is never read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rally.cli.screen import Screen
from rally.cli.text.facts import headline, held, several, step_of, waits_for
from rally.model.clock import from_rfc3339, to_rfc3339
from rally.model.durations import parse_duration_ms, span
from rally.model.visible import display_width, one_line, visible

Doc = dict[str, Any]
Row = Callable[[Doc, Screen], list[RenderableType]]

# From here on the sections stand in two columns.
_WIDE = 120
# Below this the first line holds nothing that is not about the room.
_ROOMY = 70
_HOUR_S, _DAY_S = 3_600, 86_400
_STATUSES = ("active", "standby", "idle")
_STATUS_STYLES = {"active": "green", "standby": "yellow"}
_COUNTS = (("in_flight", "blue"), ("stalled", "red"), ("planned", "dim"))


class Section(NamedTuple):
    """One list of the room.

    Attributes:
        total: how many there are, None where nobody counted; `entries` may be fewer.
        row: draws one entry.
        ratios: how its columns share what is left, 0 for one that takes only what it needs.
    """

    title: str
    style: str
    total: int | None
    entries: Sequence[Doc]
    row: Row
    ratios: tuple[int, ...]


def view(data: Doc, screen: Screen, height: int) -> Group:
    """The room at one moment; it depends on nothing else.

    Args:
        data: the answer of `room`, with `runs` (`{run, counts}` each) and `facts`, oldest first.
        screen: its width in columns and the moment.
        height: lines there are; what does not fit is counted in the titles.
    """
    head = _head(data, screen)
    left, right = _sections(data)
    if not left and not right:
        nobody = "nobody has said anything here yet; `rally enter` begins"
        return Group(head, Text(nobody, style="dim", no_wrap=True, overflow="ellipsis"))
    room = height - 1
    if screen.width < _WIDE or not left:
        return Group(head, *_stack([*left, *right], screen, room))
    both = Table.grid(expand=True, padding=(0, 2, 0, 0))
    both.add_column(ratio=1)
    both.add_column(ratio=1)
    half = Screen(screen.width // 2 - 2, is_piped=False, colour=True, now_ms=screen.now_ms)
    both.add_row(Group(*_stack(left, half, room)), Group(*_stack(right, half, room)))
    return Group(head, both)


def draw(shown: RenderableType, screen: Screen, height: int) -> list[str]:
    """The `height` lines of a view, none wider than the screen; colours as escapes."""
    console = Console(
        file=StringIO(), force_terminal=True, width=screen.width, height=height,
        color_system="standard" if screen.colour else None, no_color=not screen.colour,
        legacy_windows=False, markup=False, emoji=False, highlight=False,
    )  # fmt: skip
    with console.capture() as captured:
        console.print(shown, end="")
    lines = captured.get().split("\n")[:height]
    return lines + [""] * (height - len(lines))


def _head(data: Doc, screen: Screen) -> Table:
    totals, third = data["totals"], screen.width // 3
    root = visible(data["room"])
    name = root if display_width(root) <= third else os.path.basename(root)
    line = Text(one_line(name, max(8, third)), style="bold")
    counts = (
        (totals["active_claims"], "claim", ""),
        (len(_present(data)), "agent", ""),
        (totals["active_blockers"], "blocker", "red"),
        (totals["open_handoffs"], "handoff", ""),
        (totals["waiting"], "waiting", "yellow"),
    )
    line.append(f"  head {data['head']}", "dim")
    for count, word, style in counts:
        if count:
            line.append(f"  {count} {word}{'s' if count > 1 and word != 'waiting' else ''}", style)
    clock = f"{to_rfc3339(screen.now_ms)[11:19]}Z"
    grid = _grid((1, 0))
    grid.add_row(line, Text(f"q leaves  {clock}" if screen.width >= _ROOMY else clock, style="dim"))
    return grid


def _sections(data: Doc) -> tuple[list[Section], list[Section]]:
    """Those that have entries: what is held and what moves; who is there and what was said."""
    totals, runs = data["totals"], data["runs"]
    claims = [*reversed(data["active_claims"]), *reversed(data["lapsed_claims"])]
    claimed = totals["active_claims"] + totals["lapsed_claims"]
    blocked, agents = totals["active_blockers"], _present(data)
    standbys = sorted(
        data["standbys"], key=lambda one: (not one["due"], one.get("wake_after", "~"))
    )
    facts = [fact for fact in reversed(data["facts"]) if fact["kind"] != "renew"]
    left = [
        Section("blockers", "bold red", blocked, data["active_blockers"], _blocker, (0, 0, 1, 2)),
        Section("claims", "bold", claimed, claims, _claim, (0, 0, 0, 1, 1)),
        Section("last runs", "bold", None, runs, _run, (0, 0, 0, 1)),
    ]
    right = [
        Section("agents", "bold", len(agents), agents, _agent, (0, 0, 0, 0, 1)),
        Section("standbys", "bold", totals["standbys"], standbys, _standby, (0, 0, 1)),
        Section("last facts", "bold", None, facts, _fact, (0, 0, 0, 1)),
    ]
    return [one for one in left if one.entries], [one for one in right if one.entries]


def _present(data: Doc) -> list[Doc]:
    """Who is in the room, those that work first."""
    present = [row for row in data["tools"] if row["status"] != "gone"]
    return sorted(present, key=lambda row: (_STATUSES.index(row["status"]), row["tool"]))


def _stack(sections: Sequence[Section], screen: Screen, height: int) -> list[RenderableType]:
    """Sections below each other; each has a title and at least one line, or is left out."""
    sections = sections[: max(0, height // 2)]
    lines = _share([len(section.entries) for section in sections], height - len(sections))
    stacked: list[RenderableType] = []
    for section, count in zip(sections, lines, strict=True):
        title = Text(section.title, style=section.style)
        if section.total is not None:
            title.append(f" {count} of {section.total}" if count < section.total else f" {count}")
        grid = _grid(section.ratios)
        for entry in section.entries[:count]:
            grid.add_row(*section.row(entry, screen))
        stacked += [Rule(title, align="left", style="dim"), grid]
    return stacked


def _share(wants: Sequence[int], lines: int) -> list[int]:
    """Deal out lines one by one: what one section does not need, the others get."""
    given = [0] * len(wants)
    while hungry := [n for n, want in enumerate(wants) if given[n] < want][: max(0, lines)]:
        for n in hungry:
            given[n] += 1
        lines -= len(hungry)
    return given


def _grid(ratios: Sequence[int]) -> Table:
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for ratio in ratios:
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio or None)
    return grid


def _text(text: str, screen: Screen, style: str = "") -> Text:
    return Text(one_line(text, screen.width), style=style, no_wrap=True, overflow="ellipsis")


def _tool(doc: Doc, screen: Screen) -> Text:
    return Text(one_line(doc["tool"], max(12, screen.width // 5)), style="cyan")


def _bar(done: float, total: float, style: str, screen: Screen) -> ProgressBar:
    width = min(16, max(3, screen.width // 8))
    return ProgressBar(
        total, done, width=width, style="dim", complete_style=style, finished_style=style
    )


def _countdown(left_ms: int) -> str:
    """`0:07`, `12:34`, `3:00:00`, `2d4h`: seconds as long as they matter."""
    seconds = -(-max(0, left_ms) // 1_000)
    minutes, second = divmod(seconds, 60)
    if seconds >= _DAY_S:
        return span(left_ms)
    if seconds >= _HOUR_S:
        return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
    return f"{minutes}:{second:02d}"


def _claim(claim: Doc, screen: Screen) -> list[RenderableType]:
    left_ms = from_rfc3339(claim["lease_expires_at"]) - screen.now_ms
    lease_ms = parse_duration_ms(claim["ttl"])
    style = "red" if left_ms * 10 < lease_ms else "yellow" if left_ms * 4 < lease_ms else "green"
    holds = held(claim) + (" (shared)" if claim.get("mode") == "shared" else "")
    return [
        _bar(max(0, left_ms), lease_ms, style, screen),
        Text(_countdown(left_ms) if left_ms > 0 else "lapsed", style=style),
        _tool(claim, screen),
        _text(holds, screen),
        _text(claim.get("subject", ""), screen, "dim"),
    ]


def _blocker(fact: Doc, screen: Screen) -> list[RenderableType]:
    where = several(fact.get("paths", ())) or step_of(fact) or "everything"
    subject = _text(fact.get("subject", ""), screen)
    severity = _text(fact.get("severity", ""), screen, "red")
    return [severity, _tool(fact, screen), _text(where, screen), subject]


def _standby(fact: Doc, screen: Screen) -> list[RenderableType]:
    left_ms = from_rfc3339(fact["wake_after"]) - screen.now_ms if fact.get("wake_after") else None
    if fact.get("due") or (left_ms is not None and left_ms <= 0):
        when = _text(f"due ({fact.get('due') or 'time'})", screen, "yellow")
    else:
        when = Text("" if left_ms is None else _countdown(left_ms))
    until = waits_for({"until": fact.get("until")})
    why = fact.get("reason") or fact.get("subject", "")
    return [_tool(fact, screen), when, _text("  ".join(filter(None, (until, why))), screen)]


def _run(run: Doc, screen: Screen) -> list[RenderableType]:
    counts = run["counts"]
    landed, total = counts["landed"], sum(counts.values())
    rest = Text("  ").join(
        Text(f"{counts[name]} {name.replace('_', ' ')}", style=style)
        for name, style in _COUNTS
        if counts[name]
    )
    name = Text(one_line(run["run"], max(8, screen.width // 4)))
    return [name, _bar(landed, max(total, 1), "green", screen), Text(f"{landed}/{total}"), rest]


def _agent(row: Doc, screen: Screen) -> list[RenderableType]:
    status, claims = row["status"], row["claims"]
    seen = span(screen.now_ms - from_rfc3339(row["last_seen"]))
    return [
        _tool(row, screen),
        Text(status, style=_STATUS_STYLES.get(status, "dim")),
        Text(f"{seen} ago", style="dim"),
        Text(f"{claims} claim{'s' if claims != 1 else ''}" if claims else ""),
        _text(" ".join(filter(None, (row["role"], row["tier"]))), screen, "dim"),
    ]


def _fact(fact: Doc, screen: Screen) -> list[RenderableType]:
    return [
        Text(to_rfc3339(from_rfc3339(fact["created_at"]))[11:19], style="dim"),
        Text(one_line(fact["kind"], 10)),
        _tool(fact, screen),
        _text(headline(fact), screen),
    ]
