"""Order and cycles of graphs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rally.model.graph import cycles, knots, ordered

NAMES = "abcdefg"
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
).map(lambda graph: graph | {n: [] for s in graph.values() for n in s if n not in graph})


def reachable(graph: dict[str, list[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = list(graph[start])
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            pending += graph[node]
    return seen


def test_order_follows_the_edges_and_then_the_graph() -> None:
    """Among free nodes the first of the mapping is first."""
    assert ordered({"c": [], "b": ["c"], "a": ["c"], "d": []}) == ["b", "a", "c", "d"]


def test_the_shortest_ring_through_the_first_node_is_told() -> None:
    """Its first node is repeated at the end; an edge to itself is a ring."""
    graph = {"a": ["b"], "b": ["c", "a"], "c": ["a"], "d": ["d"], "e": ["a"]}
    assert cycles(graph) == [["a", "b", "a"], ["d", "d"]]


@given(GRAPHS)
def test_knots_are_the_nodes_that_reach_each_other(graph: dict[str, list[str]]) -> None:
    """Compared with the definition."""
    reach = {node: reachable(graph, node) for node in graph}
    found = {frozenset(knot) for knot in knots(graph)}
    told = {frozenset({a, *(b for b in graph if b in reach[a] and a in reach[b])}) for a in graph}
    assert found == told


@given(GRAPHS)
def test_every_ring_is_told_once_and_every_other_edge_leads_forward(
    graph: dict[str, list[str]],
) -> None:
    """One closed path of real edges for each knot that has one."""
    reach = {node: reachable(graph, node) for node in graph}
    paths = cycles(graph)
    for path in paths:
        assert path[0] == path[-1]
        assert all(after in graph[before] for before, after in pairwise(path))
    ringed = [node for node in graph if node in reach[node]]
    assert sum(len([n for n in ringed if n in reach[path[0]] and path[0] in reach[n]])
               for path in paths) == len(ringed)  # fmt: skip
    order = ordered(graph)
    assert sorted(order) == sorted(graph)
    place = {node: number for number, node in enumerate(order)}
    for node in graph:
        assert all(place[node] < place[after] or node in reach[after] for after in reach[node])
