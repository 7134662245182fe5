"""The `dag` answer as a picture of its own: SVG, laid out here, left to right, dark on light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rally.cli.dag_export import COLOURS
from rally.cli.dag_layout import (
    GLYPHS,
    SPOKEN,
    Component,
    Edge,
    components,
    edges_of,
    positions,
)
from rally.model.visible import display_width, one_line, visible

# All in pixels.
_CHAR, _SMALL_CHAR = 7.9, 6.7  # advance of the two monospace sizes
_BOX_HEIGHT, _ROW, _MARGIN, _HEAD = 42, 58, 20, 58
_CHANNEL_MIN, _CHANNEL_MAX, _CHANNEL_PER_LINK = 56, 200, 4
_LOOP = 46  # how far a line that closes a ring hangs below its boxes
_REF_OFFSET = 9  # so that a reference beside a parent edge is seen

_NAME_WIDTH = 30  # columns
_ALONE_IN_ROW = 5


@dataclass(slots=True)
class _Picture:
    """Boxes (x, y, width) by node, and the lines between them as SVG paths by edge."""

    boxes: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    paths: dict[Edge, str] = field(default_factory=dict)
    width: float = 0
    bottom: float = _HEAD


def render_svg(graph: dict[str, Any]) -> str:
    """A complete SVG document, ending in a line break. References are dashed."""
    nodes = graph["nodes"]
    edges = edges_of(graph)
    forward = [edge for edge in edges if edge.source < edge.target]
    closing = [edge for edge in edges if edge.source > edge.target]
    picture = _Picture()
    parts = components(len(nodes), forward)
    widths = [_box_width(node) for node in nodes]
    for part in parts:
        if len(part.layers) > 1:
            _place(picture, part, widths)
    _place_alone(picture, [p.layers[0][0] for p in parts if len(p.layers) == 1], widths)
    for edge in closing:
        picture.paths[edge] = _loop(picture, edge)
    counts = ", ".join(
        f"{graph['counts'][status]} {SPOKEN.get(status, status)}" for status in GLYPHS
    )
    head = f"run {one_line(graph['run_id'], 80)}"
    width = max(picture.width, 2 * _MARGIN + _CHAR * max(display_width(head), len(counts)))
    height = picture.bottom + (_LOOP if closing else 0)
    lines = [
        f"<title>{_xml(head)}: {counts}</title>",
        _STYLE,
        '<rect class="paper" width="100%" height="100%"/>',
        f'<text class="head" x="{_MARGIN}" y="26">{_xml(head)}</text>',
        f'<text class="small" x="{_MARGIN}" y="44">{counts}</text>',
        *(_path(nodes, edge, picture.paths[edge]) for edge in edges),
        *(line for number in range(len(nodes)) for line in _box(nodes, number, picture)),
    ]
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    body = "\n".join(lines)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n{body}\n</svg>\n'


def _box_width(node: dict[str, Any]) -> float:
    name = display_width(one_line(node["step_id"], _NAME_WIDTH)) + 2
    tool = display_width(one_line(_small_text(node), _NAME_WIDTH))
    return max(name * _CHAR, tool * _SMALL_CHAR) + 24


def _small_text(node: dict[str, Any]) -> str:
    status: str = SPOKEN.get(node["status"], node["status"])
    if node["tool"] and node["status"] != "planned":  # nobody works on that yet
        return f"{status} · {node['tool']}"
    return status


def _place(picture: _Picture, part: Component, widths: Sequence[float]) -> None:
    """Put one component below what is there: boxes, then lines."""
    place = positions(part, lambda _: 1)
    top = picture.bottom
    middle = {node: top + at * _ROW + _BOX_HEIGHT / 2 for node, at in place.items()}
    spans: dict[int, tuple[float, float]] = {}  # where each node or dummy begins and ends
    left: float = _MARGIN
    for layer, links in zip(part.layers, part.links, strict=True):
        room = max(widths[node] if node < len(widths) else 0 for node in layer)
        for node in layer:
            spans[node] = (left, left + room)
            if node < len(widths):
                picture.boxes[node] = (left, middle[node] - _BOX_HEIGHT / 2, room)
        picture.width = max(picture.width, left + room + _MARGIN)
        left += room + min(_CHANNEL_MIN + _CHANNEL_PER_LINK * len(links), _CHANNEL_MAX)
    for edge, route in part.routes.items():
        picture.paths[edge] = _curve(route, spans, middle, edge.kind == "ref")
    picture.bottom = top + max(place.values()) * _ROW + _BOX_HEIGHT + _MARGIN


def _curve(
    route: Sequence[int],
    spans: dict[int, tuple[float, float]],
    middle: dict[int, float],
    is_ref: bool,
) -> str:
    offset = _REF_OFFSET if is_ref else 0
    x, y = spans[route[0]][1], middle[route[0]] + offset
    path = f"M{x:.1f} {y:.1f}"
    for node in route[1:]:
        to_x, to_y = spans[node][0], middle[node] + offset
        bend = (to_x - x) / 2
        path += f" C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if node != route[-1]:
            x = spans[node][1]
            path += f" H{x:.1f}"
    return path


def _place_alone(picture: _Picture, nodes: Sequence[int], widths: Sequence[float]) -> None:
    """Put the steps that are linked to nothing below what is there, several in a row."""
    room = max((widths[node] for node in nodes), default=0)
    for number, node in enumerate(nodes):
        row, column = divmod(number, _ALONE_IN_ROW)
        left = _MARGIN + column * (room + _MARGIN)
        picture.boxes[node] = (left, picture.bottom + row * _ROW, room)
        picture.width = max(picture.width, left + room + _MARGIN)
    rows = -(-len(nodes) // _ALONE_IN_ROW)
    picture.bottom += rows * _ROW + (_MARGIN if rows else 0)


def _loop(picture: _Picture, edge: Edge) -> str:
    """A line back to an earlier step, below both boxes."""
    (x, y, width), (to_x, to_y, to_width) = picture.boxes[edge.source], picture.boxes[edge.target]
    x, y, to_x, to_y = x + width / 2, y + _BOX_HEIGHT, to_x + to_width / 2, to_y + _BOX_HEIGHT
    deep = max(y, to_y) + _LOOP
    return f"M{x:.1f} {y:.1f} C{x:.1f} {deep:.1f} {to_x:.1f} {deep:.1f} {to_x:.1f} {to_y:.1f}"


def _path(nodes: Sequence[dict[str, Any]], edge: Edge, path: str) -> str:
    ends = " → ".join(_xml(visible(nodes[node]["step_id"])) for node in edge[:2])
    closing = " closing" if edge.source > edge.target else ""
    return (
        f'<path class="edge {edge.kind}{closing}" marker-end="url(#arrow)" d="{path}">'
        f"<title>{ends}</title></path>"
    )


def _box(nodes: Sequence[dict[str, Any]], number: int, picture: _Picture) -> Iterator[str]:
    node = nodes[number]
    x, y, width = picture.boxes[number]
    name = f"{GLYPHS[node['status']]} {one_line(node['step_id'], _NAME_WIDTH)}"
    told = [node["step_id"], _small_text(node), node["detail"], *node["subjects"][:3]]
    tip = "\n".join(visible(line) for line in told if line)
    yield f'<g class="node {node["status"]}"><title>{_xml(tip)}</title>'
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BOX_HEIGHT}" rx="8"/>'
    yield f'<text class="name" x="{x + 12:.1f}" y="{y + 18:.1f}">{_xml(name)}</text>'
    small = _xml(one_line(_small_text(node), _NAME_WIDTH))
    yield f'<text class="small" x="{x + 12:.1f}" y="{y + 33:.1f}">{small}</text></g>'


def _xml(text: str) -> str:
    """Visible text as XML character data; what XML forbids altogether is an escape by then."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text


_RULES = """\
text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}
.head,.name{fill:#1f2328}
.head{font-size:15px;font-weight:bold}.name{font-size:13px;font-weight:600}
.small{font-size:11px;fill:#57606a}.paper{fill:#ffffff}
.edge{fill:none;stroke:#57606a;stroke-width:1.4}.ref{stroke-dasharray:3 3}
.parent_step.closing{stroke:#cf222e}
.node rect{stroke-width:1.4}
""" + "\n".join(
    f".{status} rect{{fill:{fill};stroke:{border};stroke-dasharray:{dash or 'none'}}}"
    for status, (fill, border, dash) in COLOURS.items()
)
_STYLE = f"""\
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#57606a"/></marker></defs>
<style>
{_RULES}
</style>"""
