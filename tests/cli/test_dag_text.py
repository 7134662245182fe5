"""The graph of a run in every format: true, escaped, readable (contract P5, O4, O5)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rally.cli.dag_text import FORMATS, render, render_text
from rally.model.visible import display_width

SVG = "{http://www.w3.org/2000/svg}"
STATUSES = ("planned", "in_flight", "stalled", "landed")
HOSTILE = [
    '"]; click n1 "javascript:alert(1)"',
    "%% comment",
    "<script>alert('x')</script>",
    "a\nsubgraph end\tb",
    "`# [x](y)` {z} |p| & &lt; #quot; ;",
    "back\\slash\\",
    "\x1b]0;title\x07\x1b[31m",
    "abc\u202efdp\u2066\u200b\ufeff",
    "--> n2; -- ::: end",
    "ﬂ°°34¶ß",
    "日本語" * 20,
    "𝔘\U000e0041\ufffe",
]


def graph(
    *edges: tuple[str, str], steps: tuple[str, ...] = (), status: dict[str, str] | None = None,
    refs: tuple[tuple[str, str], ...] = (), run: str = "r",
) -> dict[str, Any]:  # fmt: skip
    """A `dag` answer; its nodes are the steps given, then the others as the edges name them."""
    names = list(dict.fromkeys([*steps, *(name for edge in edges for name in edge)]))
    nodes = [
        {
            "step_id": name,
            "status": (status or {}).get(name, "planned"),
            "detail": "blocked by e1" if (status or {}).get(name) == "stalled" else "",
            "tool": "claude:1",
            "event_ids": ["e1"],
            "subjects": [f"do {name}"],
            "parents": [source for source, target in edges if target == name],
            "started_at": None,
            "landed_at": None,
            "evidence": [],
        }
        for name in names
    ]
    kinds = [(edge, "parent_step") for edge in edges] + [(edge, "ref") for edge in refs]
    return {
        "run_id": run,
        "nodes": nodes,
        "edges": [{"from_step": s, "to_step": t, "kind": kind} for (s, t), kind in kinds],
        "counts": {s: sum(n["status"] == s for n in nodes) for s in STATUSES},
        "facts_scanned": len(nodes),
    }


def drawing(answer: dict[str, Any], width: int = 80) -> str:
    """The text without its two header lines."""
    return render_text(answer, width=width).split("\n\n", 1)[1]


FAN = [("plan", f"part-{n:02d}") for n in range(12)] + [(f"part-{n:02d}", "end") for n in range(12)]


def test_a_chain_is_one_line() -> None:
    """Left to right, a glyph for each status, and who is at it below."""
    answer = graph(
        ("schema", "api"), ("api", "ui"), ("ui", "ship"),
        status={"schema": "landed", "api": "in_flight", "ui": "stalled"},
    )  # fmt: skip
    assert render_text(answer) == (
        "run r\n"
        "● 1 landed  ◐ 1 in flight  ✖ 1 stalled  ○ 1 planned\n"
        "\n"
        "● schema ─▸ ◐ api ─▸ ✖ ui ─▸ ○ ship\n"
        "\n"
        "✖ ui   claude:1  blocked by e1\n"
        "◐ api  claude:1\n"
    )


def test_a_diamond_splits_and_joins() -> None:
    """Lines that lead to the same step join."""
    answer = graph(("plan", "api"), ("plan", "ui"), ("api", "ship"), ("ui", "ship"))
    assert drawing(answer) == (
        "○ plan ─┬─▸ ○ api ─┬─▸ ○ ship\n"
        "        └─▸ ○ ui ──┘\n"
    )  # fmt: skip


def test_a_wide_fan_fits_the_terminal() -> None:
    """Twelve steps side by side are twelve rows."""
    lines = drawing(graph(*FAN)).splitlines()
    assert len(lines) == 12
    assert lines[0] == "        ┌─▸ ○ part-00 ─┐"
    assert lines[5] == "○ plan ─┼─▸ ○ part-05 ─┼─▸ ○ end"
    assert lines[11] == "        └─▸ ○ part-11 ─┘"


def test_stages_share_one_line() -> None:
    """Every step of a stage after every step of the one before is drawn as one bus."""
    answer = graph(
        *((f"a{i}", f"b{j}") for i in range(3) for j in range(3)), steps=("a0", "a1", "a2")
    )
    assert drawing(answer) == (
        "○ a0 ─┬─▸ ○ b0\n"
        "○ a1 ─┼─▸ ○ b1\n"
        "○ a2 ─┴─▸ ○ b2\n"
    )  # fmt: skip


def test_components_stand_below_each_other_and_lone_steps_in_rows() -> None:
    """A blank line between what has nothing to do with each other."""
    answer = graph(("a", "b"), ("x", "y"), steps=("lone", "other"))
    assert drawing(answer) == "○ a ─▸ ○ b\n\n○ x ─▸ ○ y\n\n○ lone    ○ other\n"


def test_a_line_that_closes_a_ring_is_told_below() -> None:
    """The rest of the graph is drawn as if it were not there."""
    answer = graph(("a", "b"), ("b", "c"), ("c", "a"))
    assert drawing(answer) == "○ a ─▸ ○ b ─▸ ○ c\n\n↺ c → a\n"


def test_references_are_dashed_and_only_drawn_where_they_tell_something() -> None:
    """A reference along a path of parents is left out."""
    answer = graph(
        ("a", "b"), ("b", "c"), steps=("a", "b", "c", "d"), refs=(("a", "c"), ("c", "d"))
    )
    assert drawing(answer) == "○ a ─▸ ○ b ─▸ ○ c ╌▸ ○ d\n"


def test_a_long_chain_runs_down() -> None:
    """Too wide from left to right: one step below the other, names in full."""
    name = "a-rather-long-name-for-a-step-of-a-run-"
    answer = graph(*((f"{name}{n}", f"{name}{n + 1}") for n in range(3)))
    assert drawing(answer) == "\n│\n".join(f"○ {name}{n}" for n in range(4)) + "\n"


def test_lines_that_tangle_are_reduced_to_those_that_matter() -> None:
    """What follows from longer paths is counted, not drawn."""
    steps = [f"s{n}" for n in range(12)]
    answer = graph(*((a, b) for i, a in enumerate(steps) for b in steps[i + 1 :]))
    text = drawing(answer)
    assert text.startswith("○ s0\n│\n○ s1\n│\n")
    assert text.endswith("not drawn: 55 that follow from longer paths\n")


def test_what_cannot_be_drawn_is_listed() -> None:
    """Each step names what it comes after; only forks go deeper, so chains stay on the screen."""
    crown = [(f"a{i}", f"b{j}") for i in range(6) for j in range(6) if i != j]
    text = drawing(graph(*crown, steps=tuple(f"a{i}" for i in range(6))))
    assert "○ b5  ↳ after a0, a1, a2, a3, a4" in text
    chain = drawing(graph(*((f"s{n}", f"s{n + 1}") for n in range(100)), refs=(("s1", "s5"),)))
    assert "○ s4  ↳ after s3\n○ s5  ↳ after s4  ↳ refers to s1\n" in chain
    assert len(chain.splitlines()) == 101


def test_a_listing_that_runs_out_of_room_says_how_many_are_missing() -> None:
    """Names of parents are wrapped to a line of their own, then counted."""
    edges = [(f"parent-number-{n}", f"s{m}") for n in range(30) for m in range(n % 3, 60, 3)]
    parents = tuple(f"parent-number-{n}" for n in range(30))
    lines = drawing(graph(*edges, steps=parents), width=60).splitlines()
    assert max(map(display_width, lines)) <= 60
    assert any(re.search(r"↳ after parent-number-0, .* and \d+ more$", line) for line in lines)


def test_an_empty_graph_is_said_to_be_empty() -> None:
    """In text; the other formats are valid documents without nodes."""
    assert render_text(graph()) == "run r: no facts\n"
    assert ElementTree.fromstring(render(graph(), "svg")).tag == f"{SVG}svg"
    assert render(graph(), "mermaid").startswith("flowchart TD\n")
    assert tokens(render(graph(), "dot"))[:3] == ["digraph", "rally", "{"]


def test_paint_styles_pieces_and_leaves_the_text_alone() -> None:
    """Colours go around pieces; without them the text is the plain one."""
    answer = graph(*FAN, status={"plan": "landed", "part-03": "stalled"})
    styles = set()

    def paint(text: str, style: str) -> str:
        styles.add(style)
        return f"\x1b[1m{text}\x1b[0m"

    painted = render_text(answer, paint=paint)
    assert re.sub(r"\x1b\[\dm", "", painted) == render_text(answer)
    assert styles == {"title", "edge", *STATUSES}


def test_a_detail_that_does_not_fit_is_wrapped_and_never_cut() -> None:
    """Its ids are there to be copied."""
    answer = graph(("a", "b"), status={"b": "stalled"})
    answer["nodes"][1]["detail"] = f"standby {'1' * 40} due (time); blocked by {'2' * 40}"
    text = render_text(answer, width=60)
    assert f"\n    standby {'1' * 40} due (time)\n    blocked by {'2' * 40}\n" in text


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_text_stays_within_the_width(width: int) -> None:
    """For graphs of any shape, down to a width in which nothing can be drawn."""
    for answer in (
        graph(*FAN),
        graph(*((f"step-{n}", f"step-{n + 1}") for n in range(20))),
        graph(*((f"step-{n // 3}", f"step-{n}") for n in range(3, 40))),
        graph(steps=tuple("a rather long name " * n for n in range(1, 9))),
    ):
        lines = render_text(answer, width=width).splitlines()[2:]
        assert max(map(display_width, lines)) <= max(width, 20)


def test_long_names_are_cut_only_while_they_differ() -> None:
    """Two steps never read the same in a drawing."""
    names = ["the-same-beginning-of-a-very-long-name-" + end * 40 for end in "abc"]
    text = drawing(graph((names[0], names[1]), (names[0], names[2])), width=60)
    assert "↳ after" in text


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_active_reaches_the_output(form: str) -> None:
    """Step ids, tools, subjects, details and the run's name are all hostile."""
    answer = graph(*((HOSTILE[0], name) for name in HOSTILE[1:]), run="\x1b[2J\u202er")
    for node, status in zip(answer["nodes"], STATUSES * 3, strict=True):
        node.update(tool="\x1b[31m", subjects=HOSTILE, detail="\x07\u202e", status=status)
    out = render(answer, form)
    assert all(char.isprintable() or char == "\n" for char in out)


@pytest.mark.parametrize("name", HOSTILE)
def test_mermaid_reads_names_as_text_only(name: str) -> None:
    """Every line has one of four shapes, and a label holds no syntax of its own."""
    answer = graph((name, "b"), refs=(("b", name),), status={"b": "landed"})
    shapes = (
        r"flowchart TD",
        r'  n\d+\["(?:[^"#;<>&`\[\]{}|%\\:]|#\d+;|<br/>)*"\]:::(?:planned|landed)',
        r"  n\d+ (?:-->|-\.->) n\d+",
        r"  classDef \w+ fill:#\w+,stroke:#\w+,color:#\w+(?:,stroke-dasharray:4 3)?",
    )
    lines = render(answer, "mermaid").splitlines()
    assert [sum(bool(re.fullmatch(s, line)) for line in lines) for s in shapes] == [1, 2, 2, 4]
    assert len(lines) == 9


def tokens(source: str) -> list[str]:
    """The tokens of a Graphviz document; what is none of its grammar fails."""
    grammar = re.compile(
        r"""\s*(?:("(?:[^"\\]|\\.)*")|(->|[{}\[\]=,;])|([A-Za-z_][A-Za-z_0-9]*)|(-?[0-9.]+))"""
    )
    found = []
    at = 0
    while source[at:].strip():
        match = grammar.match(source, at)
        assert match, f"no token at {source[at : at + 40]!r}"
        found.append(next(filter(None, match.groups())))
        at = match.end()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_dot_reads_names_as_quoted_text_only(name: str) -> None:
    """The tokens are those of a harmless name, and the label reads back as the name."""
    kept = re.sub(r"[^\x20-\x7e]", "", name)[:30]
    answer = graph((kept, "b"), refs=(("b", kept),), run=name)
    harmless = graph(("a", "b"), refs=(("b", "a"),))
    found, plain = tokens(render(answer, "dot")), tokens(render(harmless, "dot"))
    assert [t for t in found if t[0] != '"'] == [t for t in plain if t[0] != '"']
    label = found[found.index("n1") + 4]
    undone = re.sub(r"\\(.)", r"\1", label[1:-1].removeprefix("○ ")).replace("&amp;", "&")
    assert undone == kept


def test_svg_shows_every_node_and_edge() -> None:
    """With the document's title, a title for each, a view box, and boxes that do not overlap."""
    answer = graph(
        *FAN, ("end", "plan"), ("x", "y"), steps=("lone",), refs=(("plan", "end"), ("y", "x")),
        status={"plan": "landed", "part-03": "stalled"},
    )  # fmt: skip
    root = ElementTree.fromstring(render(answer, "svg"))
    boxes = [g for g in root.iter(f"{SVG}g") if "node" in g.get("class", "")]
    lines = [p for p in root.iter(f"{SVG}path") if "edge" in p.get("class", "")]
    assert len(boxes) == len(answer["nodes"]) == 17
    assert len(lines) == len(answer["edges"]) == 28
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "run r: 1 landed, 0 in flight, 1 stalled, 15 planned"
    assert {line.findtext(f"{SVG}title") for line in lines} >= {"plan → end", "end → plan"}
    left, top, width, height = map(float, root.get("viewBox", "").split())
    rects = []
    for box in boxes:
        rect = box.find(f"{SVG}rect")
        assert rect is not None
        x, y, w, h = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        assert left <= x
        assert top <= y
        assert x + w <= left + width
        assert y + h <= top + height
        assert all(x >= a + c or a >= x + w or y >= b + d or b >= y + h for a, b, c, d in rects)
        rects.append((x, y, w, h))


@given(
    names=st.lists(st.text(max_size=12), min_size=1, max_size=6, unique=True),
    pairs=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10),
)
def test_svg_is_well_formed_whatever_the_names(
    names: list[str], pairs: set[tuple[int, int]]
) -> None:
    """Also characters that XML cannot hold at all, and edges of any direction."""
    edges = [(names[a], names[b]) for a, b in pairs if a != b and max(a, b) < len(names)]
    answer = graph(*edges, steps=tuple(names))
    root = ElementTree.fromstring(render(answer, "svg"))
    assert len(root.findall(f"{SVG}g")) == len(names)
    assert len(root.findall(f"{SVG}path")) == len(edges)


def test_a_huge_graph_is_rendered_in_every_format() -> None:
    """Long edges over many layers do not multiply: the picture stays in proportion."""
    steps = [f"s{n}" for n in range(1_000)]
    answer = graph(*pairwise(steps), *((s, "s999") for s in steps[:-2]))
    for form in FORMATS:
        assert len(render(answer, form)) < 1_000 * len(answer["edges"])
