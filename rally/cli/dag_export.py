"""The `dag` answer in the languages of other programs: Mermaid and Graphviz.

Nodes are called `n1`, `n2`, … so that nothing an agent wrote can be read as syntax; its words stand
in quoted labels only, visible and escaped by an allow-list.
"""

from __future__ import annotations

from typing import Any

from rally.cli.dag_layout import GLYPHS
from rally.model.visible import one_line, visible

_LABEL_WIDTH = 60
# fill, border, dash pattern
COLOURS = {
    "landed": ("#dafbe1", "#1a7f37", ""),
    "in_flight": ("#ddf4ff", "#0969da", ""),
    "stalled": ("#ffebe9", "#cf222e", ""),
    "planned": ("#f6f8fa", "#8c959f", "4 3"),
}
_INK = "#1f2328"
# No colon: Mermaid's preprocessor takes `style…:…#…;` for a style line, even inside a label.
_MERMAID_PLAIN = frozenset(" -_./,+=()…").union(GLYPHS.values())


def render_mermaid(graph: dict[str, Any]) -> str:
    """A Mermaid flow chart, ending in a line break. References are dotted."""
    lines = ["flowchart TD"]
    names = {}
    for number, node in enumerate(graph["nodes"], 1):
        names[node["step_id"]] = f"n{number}"
        label = "<br/>".join(_mermaid(line) for line in _label(node))
        lines.append(f'  n{number}["{label}"]:::{node["status"]}')
    for edge in graph["edges"]:
        arrow = "-.->" if edge["kind"] == "ref" else "-->"
        lines.append(f"  {names[edge['from_step']]} {arrow} {names[edge['to_step']]}")
    for status, (fill, border, dash) in COLOURS.items():
        dashes = f",stroke-dasharray:{dash}" if dash else ""
        lines.append(f"  classDef {status} fill:{fill},stroke:{border},color:{_INK}{dashes}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Text in a quoted label: letters, digits and a few signs as they are, others as `#code;`.

    The codes come out as HTML entities, so neither Mermaid (quotes, brackets, `%%`, `;`, back
    ticks) nor the page (tags) sees the characters themselves.
    """
    return "".join(
        char if char.isalnum() or char in _MERMAID_PLAIN else f"#{ord(char)};" for char in text
    )


def render_dot(graph: dict[str, Any]) -> str:
    """A Graphviz graph, ending in a line break. References are dashed."""
    lines = [
        "digraph rally {",
        f"  label={_dot('run ' + visible(graph['run_id']))};",
        '  rankdir=LR; node [shape=box, style="rounded,filled", fontname="monospace"];',
    ]
    names = {}
    for number, node in enumerate(graph["nodes"], 1):
        names[node["step_id"]] = f"n{number}"
        fill, border, dash = COLOURS[node["status"]]
        style = ', style="rounded,filled,dashed"' if dash else ""
        label = _dot(*_label(node))
        lines.append(f'  n{number} [label={label}, fillcolor="{fill}", color="{border}"{style}];')
    for edge in graph["edges"]:
        style = " [style=dashed, constraint=false]" if edge["kind"] == "ref" else ""
        lines.append(f"  {names[edge['from_step']]} -> {names[edge['to_step']]}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(*lines: str) -> str:
    """Lines as one quoted string; in labels Graphviz also decodes HTML entities, so `&` is one."""
    escaped = (
        line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines
    )
    return '"' + "\\n".join(escaped) + '"'


def _label(node: dict[str, Any]) -> list[str]:
    lines = [f"{GLYPHS[node['status']]} {one_line(node['step_id'], _LABEL_WIDTH)}"]
    if node["tool"] and node["status"] != "planned":  # nobody works on that yet
        lines.append(one_line(node["tool"], _LABEL_WIDTH))
    return lines
