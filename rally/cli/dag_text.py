"""The `dag` answer as text: a drawn graph where it fits, a listing where it does not.

Everything that agents wrote passes through `model.visible` before it reaches a line (contract O5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rally.cli import dag_export, dag_svg
from rally.cli.dag_draw import Cell, Label, draw
from rally.cli.dag_layout import GLYPHS, SPOKEN, Component, Edge, components, edges_of, telling
from rally.model.visible import display_width, one_line, pad, visible

FORMATS = ("text", "mermaid", "dot", "svg")
WIDTH_MIN = 20

_DRAWN_NODES_MAX = 60
# Longest name and whether to draw top down, in the order in which a component is tried.
_ATTEMPTS = ((28, False), (48, True), (28, True), (18, False), (18, True), (12, False), (12, True))
_PARENT_NAME_WIDTH = 40
_NAMED_MAX = 12
_LISTED = (("parent_step", "after"), ("ref", "refers to"))

Paint = Callable[[str, str], str]


def plain(text: str, style: str) -> str:
    """The paint of a pipe: the text as it is."""
    return text


def render(graph: dict[str, Any], form: str, *, width: int = 80, paint: Paint = plain) -> str:
    """A `dag` answer in one of `FORMATS`, ending in a line break.

    Args:
        graph: the object under `data.dag` (contract P5).
        form: one of `FORMATS`.
        width: columns of the terminal; text only.
        paint: gives a piece of text its style, one of `landed`, `in_flight`, `stalled`, `planned`,
            `edge`, `title`, `dim`; text only. It must not change what the text says.
    """
    if form == "text":
        return render_text(graph, width=width, paint=paint)
    renderers = {
        "mermaid": dag_export.render_mermaid,
        "dot": dag_export.render_dot,
        "svg": dag_svg.render_svg,
    }
    return renderers[form](graph)


def render_text(graph: dict[str, Any], *, width: int = 80, paint: Paint = plain) -> str:
    """The graph for a terminal: counts, the drawing or listing, then what wants attention.

    Args:
        graph: the object under `data.dag`.
        width: columns to stay within, where words permit; under `WIDTH_MIN` counts as that.
        paint: as for `render`.
    """
    width = max(width, WIDTH_MIN)
    nodes = graph["nodes"]
    if not nodes:
        return f"run {visible(graph['run_id'])}: no facts\n"
    edges = edges_of(graph)
    forward = [edge for edge in edges if edge.source < edge.target]
    closing = [e for e in edges if e.source > e.target and e.kind == "parent_step"]
    drawing = _drawing(nodes, forward, width, paint) or list(_listing(nodes, forward, width, paint))
    blocks = [
        list(_header(graph, paint)),
        drawing,
        list(_attention(nodes, width, paint)),
        [
            paint(f"↺ {_name(nodes, edge.source)} → {_name(nodes, edge.target)}", "stalled")
            for edge in closing
        ],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _header(graph: dict[str, Any], paint: Paint) -> Iterator[str]:
    yield paint(f"run {visible(graph['run_id'])}", "title")
    counts = graph["counts"]
    yield "  ".join(
        paint(f"{glyph} {counts[status]} {SPOKEN.get(status, status)}", status)
        for status, glyph in GLYPHS.items()
    )


def _name(nodes: Sequence[dict[str, Any]], number: int) -> str:
    return visible(nodes[number]["step_id"])


def _drawing(
    nodes: Sequence[dict[str, Any]], edges: Sequence[Edge], width: int, paint: Paint
) -> list[str]:
    """The lines of the drawn graph; none where it cannot be read."""
    if len(nodes) > _DRAWN_NODES_MAX:
        return []
    for parents_too in (False, True):
        drawn = telling(len(nodes), edges, parents_too=parents_too)
        lines = _drawn_parts(nodes, components(len(nodes), drawn), width, paint)
        if lines:
            parents = sum(edge.kind != "ref" for edge in edges)
            omitted = parents - sum(edge.kind != "ref" for edge in drawn)
            note = f"not drawn: {omitted} that follow from longer paths" if omitted else ""
            return [*lines, *(["", paint(note, "dim")] if note else [])]
    return []


def _drawn_parts(
    nodes: Sequence[dict[str, Any]], parts: Sequence[Component], width: int, paint: Paint
) -> list[str]:
    labels = {most: _labels(nodes, most) for most, _ in _ATTEMPTS}
    labels = {most: some for most, some in labels.items() if _differ(some)}
    lines: list[str] = []
    for part in parts:
        if len(part.layers) == 1:
            continue
        attempts = (
            draw(part, labels[most], down=down, width=width)
            for most, down in _ATTEMPTS
            if most in labels
        )
        rows = next((rows for rows in attempts if rows), None)
        if rows is None:
            return []
        lines += [*([""] if lines else []), *(_painted(row, paint) for row in rows)]
    alone = [nodes[part.layers[0][0]] for part in parts if len(part.layers) == 1]
    if alone:
        longest = _labels(alone, width - 2)
        lines += [*([""] if lines else []), *_in_rows(list(longest.values()), width, paint)]
    return lines


def _labels(nodes: Sequence[dict[str, Any]], name_width: int) -> dict[int, Label]:
    """A label for each node, by its number."""
    return {
        number: [
            (GLYPHS[node["status"]], node["status"]),
            (" ", ""),
            (one_line(node["step_id"], name_width), ""),
        ]
        for number, node in enumerate(nodes)
    }


def _differ(labels: dict[int, Label]) -> bool:
    """Whether no two names became the same by being cut."""
    return len({label[-1] for label in labels.values()}) == len(labels)


def _painted(row: Iterable[Cell], paint: Paint) -> str:
    """One line, painted run by run."""
    pieces: list[list[str]] = []
    for text, style in row:
        if pieces and pieces[-1][1] == style:
            pieces[-1][0] += text
        else:
            pieces.append([text, style])
    return "".join(paint(text, style) if style else text for text, style in pieces).rstrip()


def _in_rows(labels: Sequence[Label], width: int, paint: Paint) -> Iterator[str]:
    """Steps that are linked to nothing, as many in a line as fit."""
    cell = max(sum(display_width(text) for text, _ in label) for label in labels) + 3
    each = max(width // cell, 1)
    for first in range(0, len(labels), each):
        line = ""
        for label in labels[first : first + each]:
            used = sum(display_width(text) for text, _ in label)
            line += _painted(label, paint) + " " * (cell - used)
        yield line.rstrip()


def _listing(
    nodes: Sequence[dict[str, Any]], edges: Sequence[Edge], width: int, paint: Paint
) -> Iterator[str]:
    """One line for each step, below and inside of the last of those it comes after."""
    before: dict[int, dict[str, list[int]]] = {}
    for edge in sorted(edges):
        before.setdefault(edge.target, {}).setdefault(edge.kind, []).append(edge.source)
    inside: dict[int, list[int]] = {}
    for target, kinds in before.items():
        inside.setdefault(kinds.get("parent_step", kinds.get("ref", []))[-1], []).append(target)
    pending = [(number, 0) for number in reversed(range(len(nodes))) if number not in before]
    while pending:
        number, depth = pending.pop()
        node = nodes[number]
        indent = min(2 * depth, width // 3)
        name = one_line(node["step_id"], max(width - indent - 2, 8))
        line = " " * indent + paint(GLYPHS[node["status"]], node["status"]) + " " + name
        room = width - indent - 4 - display_width(name)
        for kind, word in _LISTED:
            sources = before.get(number, {}).get(kind, [])
            if not sources:
                continue
            names = [
                one_line(nodes[n]["step_id"], _PARENT_NAME_WIDTH) for n in sources[:_NAMED_MAX]
            ]
            told = _shortened(f"↳ {word} ", names, len(sources), width - indent - 2)
            if display_width(told) > room:
                yield line
                line = " " * (indent + 2) + paint(told, "dim")
                room = width - indent - 4 - display_width(told)
            else:
                line += "  " + paint(told, "dim")
                room -= 2 + display_width(told)
        yield line
        following = sorted(inside.get(number, ()))
        # An only child goes below, not inside: a long chain must not run off the screen.
        deeper = depth + (len(following) > 1)
        pending += [(child, deeper) for child in reversed(following)]


def _shortened(start: str, names: Sequence[str], total: int, room: int) -> str:
    """As many of the names as there is room for; at least a part of the first."""
    for count in range(len(names), 0, -1):
        more = total - count
        told = start + ", ".join(names[:count]) + (f" and {more} more" if more else "")
        if display_width(told) <= room:
            break
    return one_line(told, room)


def _attention(nodes: Sequence[dict[str, Any]], width: int, paint: Paint) -> Iterator[str]:
    """What is stalled and why, then what is in flight and by whom."""
    rows = [
        node for status in ("stalled", "in_flight") for node in nodes if node["status"] == status
    ]
    if not rows:
        return
    name_width = min(max(display_width(visible(n["step_id"])) for n in rows), width // 3)
    tool_width = min(max(display_width(visible(n["tool"] or "")) for n in rows), width // 4)
    for node in rows:
        glyph = paint(GLYPHS[node["status"]], node["status"])
        line = f"{glyph} {pad(node['step_id'], name_width)}  {pad(node['tool'] or '', tool_width)}"
        detail = visible(node["detail"])
        if display_width(detail) <= width - name_width - tool_width - 6:
            yield f"{line}  {detail}".rstrip()
        else:  # the ids in it are there to be copied: it is wrapped, never cut
            yield line.rstrip()
            yield from (f"    {reason}" for reason in detail.split("; "))
