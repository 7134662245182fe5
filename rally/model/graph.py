"""Directed graphs of steps: what comes before what, and where steps wait for each other in a ring.

A graph is a mapping from each node to the nodes that its edges lead to; every node is a key of it.
All answers follow the order of the mapping, so the same graph gives the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heappush
from itertools import chain

Graph = Mapping[str, Collection[str]]


def knots(graph: Graph) -> list[list[str]]:
    """The strongly connected components: nodes that can all reach each other stand together.

    Tarjan's algorithm (SIAM Journal on Computing 1, 1972), with a stack of its own because a chain
    of steps may be longer than Python's recursion limit.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    pending: list[str] = []
    found: list[list[str]] = []
    closed: set[str] = set()
    for start in graph:
        if start in index:
            continue
        index[start] = low[start] = len(index)
        pending.append(start)
        trail = [(start, iter(graph[start]))]
        while trail:
            node, following = trail[-1]
            after = next(following, None)
            if after is None:
                trail.pop()
                if trail:
                    before = trail[-1][0]
                    low[before] = min(low[before], low[node])
                if low[node] == index[node]:
                    found.append(_cut(pending, node))
                    closed.update(found[-1])
            elif after not in index:
                index[after] = low[after] = len(index)
                pending.append(after)
                trail.append((after, iter(graph[after])))
            elif after not in closed:
                low[node] = min(low[node], index[after])
    return found


def _cut(pending: list[str], first: str) -> list[str]:
    knot: list[str] = []
    while not knot or knot[-1] != first:
        knot.append(pending.pop())
    return knot[::-1]


def knot_numbers(graph: Graph) -> dict[str, int]:
    """For each node a number that it shares with the nodes of its knot, and with no others."""
    return {node: number for number, knot in enumerate(knots(graph)) for node in knot}


def cycles(graph: Graph) -> list[list[str]]:
    """One shortest closed path for each knot that has one, its first node repeated at the end.

    Ordered by the place of their first nodes in the graph; an edge from a node to itself is one.
    """
    place = {node: number for number, node in enumerate(graph)}
    found = []
    for knot in knots(graph):
        start = min(knot, key=place.__getitem__)
        if len(knot) > 1 or start in graph[start]:
            found.append(_round_trip(graph, start, set(knot)))
    return sorted(found, key=lambda path: place[path[0]])


def _round_trip(graph: Graph, start: str, knot: set[str]) -> list[str]:
    came_from: dict[str, str] = {}
    queue = deque([start])
    while start not in came_from:
        node = queue.popleft()
        for after in graph[node]:
            if after in knot and after not in came_from:
                came_from[after] = node
                queue.append(after)
    path = [start, came_from[start]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def ordered(graph: Graph) -> list[str]:
    """The nodes so that edges lead forward; among nodes that are free, the graph's order decides.

    Edges inside a knot cannot all lead forward: its nodes stand together, in the graph's order.
    """
    place = {node: number for number, node in enumerate(graph)}
    groups = [sorted(knot, key=place.__getitem__) for knot in knots(graph)]
    group_of = {node: number for number, group in enumerate(groups) for node in group}
    following = [
        {group_of[after] for node in group for after in graph[node]} - {number}
        for number, group in enumerate(groups)
    ]
    waits_for = [0] * len(groups)
    for after in chain.from_iterable(following):
        waits_for[after] += 1
    free = [
        (place[group[0]], number) for number, group in enumerate(groups) if not waits_for[number]
    ]
    heapify(free)
    result: list[str] = []
    while free:
        _, number = heappop(free)
        result += groups[number]
        for after in following[number]:
            waits_for[after] -= 1
            if not waits_for[after]:
                heappush(free, (place[groups[after][0]], after))
    return result
