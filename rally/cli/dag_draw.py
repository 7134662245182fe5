"""One component of a graph drawn with box characters, left to right or top down.

Between two layers runs a channel. In it every bus (some sources, all linked to the same targets)
has a track across the flow; each source leads into its bus's track, and from there to each target.
Two lines may cross or, where they lead to the same node, join; they never overlap otherwise: a
track comes before another one if a source of the first and a target of the second stand at the same
place. Where that order cannot be kept (a ring of such demands), the places of the second layer are
shifted by one, so that nothing stands opposite anything.

Drawing knows two axes, *along* the flow and *across* it; only the last step turns them into columns
and rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rally.cli.dag_layout import Component, Edge, positions
from rally.model.visible import display_width

# Arms of a line at one cell: to the flow's start, to its end, to either side.
_BACK, _ON, _LOW, _HIGH = 1, 2, 4, 8
_FLOW, _SIDE = _BACK | _ON, _LOW | _HIGH
# By the sum of west 1, east 2, north 4, south 8: the arms above, when drawn left to right.
_SOLID = " ╴╶─╵┘└┴╷┐┌┬│┤├┼"
_DASHED = {"─": "╌", "│": "┆"}
_LABEL_GAP = 2
_CROSSINGS_PER_NODE_MAX = 1

Cell = tuple[str, str]  # what is shown and its style; "" follows a character of two columns
Label = Sequence[tuple[str, str]]  # (text, style) runs, already visible


class _Bus(NamedTuple):
    """Lines that are one: every source leads to every target. All are places across the flow."""

    kind: str
    sources: frozenset[int]
    targets: frozenset[int]
    branches: bool  # a line that joins at one target could be followed back and to somewhere else

    @property
    def ends(self) -> frozenset[int]:
        return self.sources | self.targets


@dataclass(slots=True)
class _Sheet:
    """A drawing in the making: line arms by (along, across) and bus, text by (column, row)."""

    down: bool
    buses: list[_Bus] = field(default_factory=list)
    arms: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    text: dict[tuple[int, int], Cell] = field(default_factory=dict)

    def line(self, first: int, last: int, across: int) -> None:
        """A line of the newest bus along the flow; nothing when `last` is before `first`."""
        for along in range(first, last + 1):
            self.join(along, across, _FLOW)

    def join(self, along: int, across: int, arms: int) -> None:
        cell = self.arms.setdefault((along, across), {})
        bus = len(self.buses) - 1
        cell[bus] = cell.get(bus, 0) | arms

    def write(self, along: int, across: int, label: Label) -> None:
        column, row = (across, along) if self.down else (along, across)
        for text, style in label:
            for char in text:
                width = display_width(char)
                if not width and (column - 1, row) in self.text:  # a mark on the one before
                    before, its_style = self.text[column - 1, row]
                    self.text[column - 1, row] = (before + char, its_style)
                    continue
                self.text[column, row] = (char, style)
                if width == 2:
                    self.text[column + 1, row] = ("", style)
                column += width


@dataclass(slots=True)
class _Plan:
    """Where everything stands: nodes across, layers along, the tracks of each channel."""

    part: Component
    widths: dict[int, int]  # of labels; dummies are absent
    down: bool
    across: dict[int, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)  # of each layer, along the flow
    channels: list[list[tuple[_Bus, int]]] = field(default_factory=list)

    def tracks(self, number: int) -> int:
        return max((track for _, track in self.channels[number]), default=-1) + 1

    def channel_start(self, number: int) -> int:
        """The first cell after the layer and, left to right, one blank."""
        start = self.starts[number]
        if self.down:
            return start + 1
        return start + 1 + max(self.widths.get(node, 0) for node in self.part.layers[number])

    def channel_end(self, number: int) -> int:
        """The last cell of the channel; left to right it holds the arrow heads."""
        first = self.channel_start(number)
        tracks = self.tracks(number)
        if self.down:
            return first + max(self.lead_in(number) + tracks, 1) - 1
        return first + 2 * tracks + 1

    def track_at(self, number: int, track: int) -> int:
        first = self.channel_start(number)
        return first + self.lead_in(number) + track if self.down else first + 1 + 2 * track

    def lead_in(self, number: int) -> int:
        """Rows before the first track, top down.

        One, if a straight line joins a bus that branches: it is drawn without touching that bus, so
        it needs a cell of its own to be seen.
        """
        channel = self.channels[number]
        wide = [bus for bus, track in channel if track >= 0 and bus.branches]
        return int(any(bus.ends & other.targets for bus, t in channel if t < 0 for other in wide))


def draw(
    part: Component, labels: dict[int, Label], *, down: bool, width: int
) -> list[list[Cell]] | None:
    """The rows of a drawing, or None where it is too wide or too tangled to be read.

    Args:
        part: the component; every edge of it must have its links.
        labels: what to write for each node; dummies have none.
        down: top down, one row for each layer; else left to right, one row for each node.
        width: columns to stay within.
    """
    widths = {
        node: sum(display_width(text) for text, _ in labels[node])
        for layer in part.layers
        for node in layer
        if node in labels
    }
    plan = _Plan(part, widths, down)
    _place(plan)
    for number in range(len(part.layers)):
        plan.starts.append(0 if not number else plan.channel_end(number - 1) + (1 if down else 2))
    sheet = _Sheet(down)
    for number, layer in enumerate(part.layers):
        for node in layer:
            if node in labels:
                sheet.write(plan.starts[number], plan.across[node], labels[node])
    for number in range(len(plan.channels)):
        _draw_channel(sheet, plan, number)
    if _crossings(sheet) > _CROSSINGS_PER_NODE_MAX * len(widths):
        return None
    return _rows(sheet, width)


def _place(plan: _Plan) -> None:
    part = plan.part

    def size(node: int) -> int:  # in pairs of columns when drawn top down
        return (plan.widths.get(node, 0) + _LABEL_GAP + 1) // 2 if plan.down else 1

    place = positions(part, size)
    scale = 2 if plan.down else 1
    shift = 0
    number = 0
    while number < len(part.layers):
        layer = part.layers[number]
        plan.across.update((node, place[node] * scale + shift) for node in layer)
        if number:
            routed = _route(_buses(part.links[number - 1], plan.across))
            if routed is None and scale == 1:  # again, with a free row between any two
                scale, number = 2, 0
                plan.channels.clear()
                continue
            if routed is None:
                shift ^= 1
                continue
            plan.channels.append(routed)
        number += 1


def _buses(links: Sequence[Edge], across: dict[int, int]) -> list[_Bus]:
    targets: dict[tuple[int, str], set[int]] = {}
    for link in links:
        targets.setdefault((across[link.source], link.kind), set()).add(across[link.target])
    kinds = Counter(source for source, _ in targets)
    sources: dict[tuple[str, frozenset[int], int | None], set[int]] = {}
    for (source, kind), reached in targets.items():
        # A source with lines of both kinds shares no bus: the lines of others on a shared one would
        # seem to go on along its second line.
        own = source if kinds[source] > 1 else None
        sources.setdefault((kind, frozenset(reached), own), set()).add(source)
    return [
        _Bus(kind, frozenset(its_sources), reached, len(reached) > 1 or own is not None)
        for (kind, reached, own), its_sources in sources.items()
    ]


def _route(buses: Sequence[_Bus]) -> list[tuple[_Bus, int]] | None:
    """Each bus with the number of its track, -1 for a straight line; None where none would do."""
    straight = [bus for bus in buses if len(bus.ends) == 1]
    # Wide ones first: what joins them further on cannot be read as leading to their other targets.
    waiting = sorted(
        (bus for bus in buses if len(bus.ends) > 1),
        key=lambda bus: (-len(bus.targets), min(bus.ends)),
    )
    routed: list[tuple[_Bus, int]] = []
    while waiting:
        free = next(
            (
                bus
                for bus in waiting
                if not any(bus.targets & other.sources for other in waiting if other is not bus)
            ),
            None,
        )
        if free is None:
            return None
        waiting.remove(free)
        earliest = max((t for bus, t in routed if bus.sources & free.targets), default=-1) + 1
        taken = {track for bus, track in routed if _meet(bus, free)}
        routed.append((free, next(t for t in range(earliest, len(buses)) if t not in taken)))
    return [*routed, *((bus, -1) for bus in straight)]


def _meet(one: _Bus, other: _Bus) -> bool:
    return min(one.ends) <= max(other.ends) and min(other.ends) <= max(one.ends)


def _draw_channel(sheet: _Sheet, plan: _Plan, number: int) -> None:
    end = plan.channel_end(number)
    leads = _leads(plan, number)
    for bus, track in plan.channels[number]:
        sheet.buses.append(bus)
        if track < 0:
            (across,) = bus.ends
            sheet.line(leads[across], end, across)
            continue
        at = plan.track_at(number, track)
        low, high = min(bus.ends), max(bus.ends)
        for across in range(low, high + 1):
            sheet.join(at, across, (_LOW if across > low else 0) | (_HIGH if across < high else 0))
        for across in bus.sources:
            sheet.line(leads[across], at - 1, across)
            sheet.join(at, across, _BACK)
        for across in bus.targets:
            sheet.join(at, across, _ON)
            sheet.line(at + 1, end, across)
    if not plan.down:
        for node in plan.part.layers[number + 1]:
            if node in plan.widths:
                sheet.write(end, plan.across[node], [("▸", "edge")])


def _leads(plan: _Plan, number: int) -> dict[int, int]:
    """Where along the flow the line of each source begins, by the source's place."""
    leads: dict[int, int] = {}
    for node in plan.part.layers[number]:
        start, width = plan.starts[number], plan.widths.get(node)
        if width is None:  # a dummy: its line runs through the layer
            leads[plan.across[node]] = start if plan.down else start - 1
        else:
            leads[plan.across[node]] = start + 1 if plan.down else start + width + 1
    return leads


def _crossings(sheet: _Sheet) -> int:
    return sum(
        any(not arms & _SIDE for arms in by_bus.values())
        and any(not arms & _FLOW for arms in by_bus.values())
        for by_bus in sheet.arms.values()
    )


def _rows(sheet: _Sheet, width: int) -> list[list[Cell]] | None:
    cells: dict[tuple[int, int], Cell] = {}
    for (along, across), by_bus in sheet.arms.items():
        at = (across, along) if sheet.down else (along, across)
        cells[at] = (_glyph(by_bus, sheet.buses, down=sheet.down), "edge")
    cells.update(sheet.text)
    if max(column for column, _ in cells) >= width:
        return None
    lines: dict[int, dict[int, Cell]] = {}
    for (column, row), cell in sorted(cells.items()):
        lines.setdefault(row, {})[column] = cell
    rows = [lines[row] for row in sorted(lines)]
    if not sheet.down:  # rows in which lines only pass through say nothing
        rows = [row for row in rows if any(shown not in " │┆" for shown, _ in row.values())]
    return [[row.get(column, (" ", "")) for column in range(max(row) + 1)] for row in rows]


def _glyph(by_bus: dict[int, int], buses: Sequence[_Bus], *, down: bool) -> str:
    shown = dict(by_bus)
    flows = [bus for bus, arms in shown.items() if not arms & _SIDE]
    sides = [bus for bus, arms in shown.items() if not arms & _FLOW]
    turns = [bus for bus in shown if bus not in flows and bus not in sides]
    if flows and sides and not turns:  # a crossing: the upright line passes in front
        for bus in sides if down else flows:
            del shown[bus]
    elif any(buses[bus].branches and shown[bus] & _ON for bus in turns):
        for bus in flows:  # it joins, and must not touch what leads elsewhere as well
            del shown[bus]
    arms = 0
    for its_arms in shown.values():
        arms |= its_arms
    if down:
        arms = (arms & _FLOW) << 2 | (arms & _SIDE) >> 2
    glyph = _SOLID[arms]
    dashed = all(buses[bus].kind == "ref" for bus in shown)
    return _DASHED.get(glyph, glyph) if dashed else glyph
