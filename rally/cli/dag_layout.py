"""Where the steps of a graph stand when it is drawn: layers, order within a layer, positions.

The usual way for directed graphs (Sugiyama, Tagawa and Toda, IEEE Transactions on Systems, Man, and
Cybernetics 11, 1981): each node's layer is the length of the longest path that leads to it; an edge
across several layers is cut into links by dummies; nodes of a layer are sorted by where their
neighbours stand; then they are spread so that neighbours stand side by side where possible.

Nodes are numbers 0..N-1 in topological order, dummies are numbers from N up.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor
from typing import Any, NamedTuple

GLYPHS = {"landed": "●", "in_flight": "◐", "stalled": "✖", "planned": "○"}
SPOKEN = {"in_flight": "in flight"}  # where a status is said otherwise than it is written

_SWEEPS = 8
# Above this many links the crossings are no longer counted: the last sweep is taken as it is.
_COUNTED_LINKS_MAX = 2_000
# A graph that would need more dummies gets none: its long edges are straight lines.
_DUMMIES_MAX = 5_000


class Edge(NamedTuple):
    """A line from one node or dummy to another; `kind` as in the `dag` answer."""

    source: int
    target: int
    kind: str


@dataclass(slots=True)
class Component:
    """A connected part of the graph, laid out by itself.

    Attributes:
        layers: nodes and dummies of each layer, in order.
        links: edges between neighbouring layers, by the layer they start from.
        routes: for each edge the nodes and dummies that its line passes, ends included.
    """

    layers: list[list[int]]
    links: list[list[Edge]]
    routes: dict[Edge, list[int]] = field(default_factory=dict)


def edges_of(graph: dict[str, Any]) -> list[Edge]:
    """The edges of a `dag` answer by the numbers of its nodes, in its order."""
    place = {node["step_id"]: number for number, node in enumerate(graph["nodes"])}
    return [
        Edge(place[edge["from_step"]], place[edge["to_step"]], edge["kind"])
        for edge in graph["edges"]
    ]


def telling(count: int, edges: Sequence[Edge], *, parents_too: bool) -> list[Edge]:
    """The edges without those whose ends a longer path connects anyway.

    Args:
        count: number of nodes; edges lead from lower to higher numbers.
        edges: at most one of a kind for each pair.
        parents_too: leave out parent edges as well (transitive reduction), not references alone.
    """
    after: list[list[Edge]] = [[] for _ in range(count)]
    for edge in edges:
        after[edge.source].append(edge)
    reached = [0] * count  # a bit for each node that can be reached
    kept: list[Edge] = []
    for source in reversed(range(count)):
        # Parents before references; the nearest first, because a longer path passes through it.
        for edge in sorted(after[source], key=lambda edge: (edge.kind == "ref", edge.target)):
            known = reached[source] >> edge.target & 1
            if not known or (edge.kind != "ref" and not parents_too):
                kept.append(edge)
                reached[source] |= 1 << edge.target | reached[edge.target]
    return kept


def components(count: int, edges: Sequence[Edge]) -> list[Component]:
    """The connected parts of a graph of `count` nodes, in the order of their first nodes.

    Args:
        count: number of nodes; edges lead from lower to higher numbers.
        edges: at most one of a kind for each pair.
    """
    leader = list(range(count))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for edge in edges:
        first, second = sorted((find(edge.source), find(edge.target)))
        leader[second] = first
    members: dict[int, list[int]] = {}
    for node in range(count):
        members.setdefault(find(node), []).append(node)
    inside: dict[int, list[Edge]] = {}
    for edge in edges:
        inside.setdefault(find(edge.source), []).append(edge)
    free = count
    parts = []
    for first, nodes in members.items():
        part, free = _layered(nodes, inside.get(first, []), free)
        _sort_layers(part)
        parts.append(part)
    return parts


def _layered(nodes: list[int], edges: list[Edge], free: int) -> tuple[Component, int]:
    """Layers with dummies. All edges of one kind from one node share their dummies.

    Returns the component and the first number that is free for the next one's dummies.
    """
    layer = dict.fromkeys(nodes, 0)
    for edge in sorted(edges):
        layer[edge.target] = max(layer[edge.target], layer[edge.source] + 1)
    part = Component([[] for _ in range(max(layer.values()) + 1)], [])
    for node in nodes:
        part.layers[layer[node]].append(node)
    part.links = [[] for _ in part.layers]
    spans = {edge: layer[edge.target] - layer[edge.source] for edge in sorted(edges)}
    longest: dict[tuple[int, str], int] = {}
    for edge, span in spans.items():
        longest[edge.source, edge.kind] = max(span, longest.get((edge.source, edge.kind), 0))
    span_max = max(spans.values(), default=0) if sum(longest.values()) <= _DUMMIES_MAX else 1
    tracks: dict[tuple[int, str], list[int]] = {}
    for edge, span in spans.items():
        if span > span_max:
            part.routes[edge] = [edge.source, edge.target]
            continue
        track = tracks.setdefault((edge.source, edge.kind), [edge.source])
        start = layer[edge.source]
        while len(track) < span:
            at = start + len(track)
            part.layers[at].append(free)
            part.links[at - 1].append(Edge(track[-1], free, edge.kind))
            track.append(free)
            free += 1
        part.links[start + span - 1].append(Edge(track[span - 1], edge.target, edge.kind))
        part.routes[edge] = [*track[:span], edge.target]
    return part, free


def _sort_layers(part: Component) -> None:
    before, after = neighbours(part)
    count_all = sum(map(len, part.links)) <= _COUNTED_LINKS_MAX
    best = [list(layer) for layer in part.layers]
    fewest = _crossings(part) if count_all else 0
    for sweep in range(_SWEEPS if fewest or not count_all else 0):
        down = sweep % 2 == 0
        near = before if down else after
        layers = part.layers if down else part.layers[::-1]
        for fixed, layer in pairwise(layers):
            place = {node: number for number, node in enumerate(fixed)}
            layer[:] = _by_neighbours(layer, place, near)
        if not count_all:
            best = [list(layer) for layer in part.layers]
        elif (now := _crossings(part)) < fewest:
            fewest, best = now, [list(layer) for layer in part.layers]
    part.layers = best


def _by_neighbours(
    layer: list[int], place: dict[int, int], near: dict[int, list[int]]
) -> list[int]:
    """The layer sorted by the mean place of the neighbours; who has none keeps its own place."""
    means = {
        node: _mean((place[n] for n in near[node]), number) for number, node in enumerate(layer)
    }
    return sorted(layer, key=means.__getitem__)


def neighbours(part: Component) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """What each node and dummy is linked to, in the layer before and in the layer after."""
    before: dict[int, list[int]] = {node: [] for layer in part.layers for node in layer}
    after: dict[int, list[int]] = {node: [] for layer in part.layers for node in layer}
    for links in part.links:
        for link in links:
            before[link.target].append(link.source)
            after[link.source].append(link.target)
    return before, after


def _mean(values: Iterable[float], otherwise: float) -> float:
    known = list(values)
    return sum(known) / len(known) if known else otherwise


def _crossings(part: Component) -> int:
    total = 0
    for (layer, following), links in zip(pairwise(part.layers), part.links, strict=False):
        place = {node: number for number, node in enumerate((*layer, *following))}
        seen: list[int] = []
        for _, target in sorted((place[link.source], place[link.target]) for link in links):
            total += len(seen) - bisect_right(seen, target)
            insort(seen, target)
    return total


def positions(part: Component, size: Callable[[int], int]) -> dict[int, int]:
    """Where each node and dummy stands across the flow, from 0 up; order and room are kept.

    Args:
        part: the component.
        size: the room that a node or dummy needs, at least 1: how far off the next one stands.
    """
    before, after = neighbours(part)
    place: dict[int, int] = {}
    for layer in part.layers:
        at = 0
        for node in layer:
            place[node] = at
            at += size(node)
    for near, layers in ((before, part.layers), (after, part.layers[::-1])) * 2:
        for layer in layers[1:]:
            wanted = [_mean((place[n] for n in near[node]), place[node]) for node in layer]
            now = [place[node] for node in layer]
            spread = _spread(wanted, now, [size(node) for node in layer])
            place.update(zip(layer, spread, strict=True))
    least = min(place.values())
    return {node: at - least for node, at in place.items()}


def _spread(wanted: Sequence[float], now: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Positions nearest to the wanted ones (least squares) that keep order and room.

    Pooling of adjacent violators (Barlow and others, Statistical Inference under Order
    Restrictions, 1972): neighbours that would overlap become a block, which moves to its mean.
    Half a step goes to where the block stands now, so that passes to and fro come to rest.
    """
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    blocks: list[tuple[float, int]] = []  # sum of the starts wished for, number of members
    for wish, offset in zip(wanted, offsets, strict=True):
        total, number = wish - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / number:
            total, number = total + blocks[-1][0], number + blocks[-1][1]
            blocks.pop()
        blocks.append((total, number))
    result: list[int] = []
    for total, number in blocks:
        first = len(result)
        mean = total / number
        up = mean < now[first] - offsets[first]
        start = floor(mean + 0.5) if up else ceil(mean - 0.5)
        result += [start + offset for offset in offsets[first : first + number]]
    return result
