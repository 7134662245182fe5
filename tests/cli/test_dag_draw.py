"""A drawn graph says what the graph says: its lines are followed, cell by cell."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rally.cli.dag_draw import Label, draw
from rally.cli.dag_layout import Edge, components, positions, telling

ARMS = dict(zip("╴╶─╵┘└┴╷┐┌┬│┤├┼", range(1, 16), strict=True)) | {"╌": 3, "┆": 12}
WEST, EAST, NORTH, SOUTH = 1, 2, 4, 8
STEP = {WEST: (-1, 0), EAST: (1, 0), NORTH: (0, -1), SOUTH: (0, 1)}
OPPOSITE = {WEST: EAST, EAST: WEST, NORTH: SOUTH, SOUTH: NORTH}

EDGES = st.lists(
    st.builds(Edge, st.integers(0, 9), st.integers(0, 9), st.sampled_from(["parent_step", "ref"])),
    min_size=1,
    max_size=16,
    unique_by=lambda edge: edge[:2],
).map(lambda edges: [edge for edge in edges if edge.source < edge.target])


def followed(rows: list[list[tuple[str, str]]], *, down: bool) -> set[tuple[int, int]]:
    """The edges that a reader sees, following lines from each letter with the flow.

    Lines go on straight through a character that has no arm towards them: that is a crossing.
    """
    grid = {(x, y): cell[0] for y, row in enumerate(rows) for x, cell in enumerate(row)}
    names = {at: ord(char) - ord("a") for at, char in grid.items() if "a" <= char <= "z"}
    flow = SOUTH if down else EAST
    seen: set[tuple[int, int]] = set()
    for (x, y), source in names.items():
        start = (x, y + 1) if down else (x + 2, y)
        joined = ARMS.get(grid.get(start, " "), 0) & OPPOSITE[flow]
        trail = [(start, flow)] if joined else []
        been = set()
        while trail:
            at, heading = trail.pop()
            if (at, heading) in been:
                continue
            been.add((at, heading))
            char = grid.get(at, " ")
            if char == "▸":
                seen.add((source, names[at[0] + 2, at[1]]))
            elif at in names:
                seen.add((source, names[at]))
            elif char in ARMS:
                arms = ARMS[char]
                if not arms & OPPOSITE[heading]:
                    onward = {heading}
                else:
                    back = {OPPOSITE[heading], OPPOSITE[flow]}
                    onward = {arm for arm in STEP if arms & arm} - back
                trail += [((at[0] + STEP[h][0], at[1] + STEP[h][1]), h) for h in onward]
    return seen


def check(edges: list[Edge], *, down: bool) -> None:
    labels: dict[int, Label] = {n: [(chr(ord("a") + n), "")] for n in range(10)}
    for part in components(10, edges):
        nodes = {node for layer in part.layers for node in layer}
        mine = {(e.source, e.target) for e in edges if e.source in nodes}
        rows = draw(part, labels, down=down, width=10_000)
        assert rows is not None
        assert followed(rows, down=down) == mine


@given(EDGES)
def test_left_to_right_shows_exactly_the_edges(edges: list[Edge]) -> None:
    """No line is lost, none can be read as leading elsewhere."""
    check(edges, down=False)


@given(EDGES)
def test_top_down_shows_exactly_the_edges(edges: list[Edge]) -> None:
    """The same the other way round."""
    check(edges, down=True)


@given(EDGES, st.integers(1, 4))
def test_nodes_keep_their_order_and_room(edges: list[Edge], room: int) -> None:
    """In every layer, whatever was wished for; the first position of all is 0."""
    for part in components(10, edges):
        place = positions(part, lambda _: room)
        assert min(place.values()) == 0
        for layer in part.layers:
            at = [place[node] for node in layer]
            assert all(b - a >= room for a, b in pairwise(at))


@given(EDGES)
def test_reduction_keeps_who_reaches_whom(edges: list[Edge]) -> None:
    """And leaves no edge beside a longer path."""

    def reach(kept: list[Edge]) -> set[tuple[int, int]]:
        pairs = {(e.source, e.target) for e in kept}
        while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
            pairs |= more
        return pairs

    parents = [edge for edge in edges if edge.kind == "parent_step"]
    fewest = telling(10, parents, parents_too=True)
    assert reach(fewest) == reach(parents)
    assert all(reach([e for e in fewest if e != edge]) != reach(parents) for edge in fewest)
    kept = telling(10, edges, parents_too=False)
    assert reach(kept) == reach(edges)
    assert {edge for edge in kept if edge.kind == "parent_step"} == set(parents)
    assert reach(telling(10, edges, parents_too=True)) == reach(edges)
