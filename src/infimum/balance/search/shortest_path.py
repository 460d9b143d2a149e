"""The shortest path from an excess to a deficit (Dijkstra), on a dense graph with whole costs."""

from __future__ import annotations

import numpy as np

from infimum._compiled import compiled_or
from infimum.balance.search.integer_scores import FAR, LARGEST


def _shortest_path_of_arrays(
    cost: np.ndarray, potential: np.ndarray, excess: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    distance = np.where(excess > 0, 0, FAR)
    key, before = distance.copy(), np.full(distance.size, -1)
    while True:
        node = int(key.argmin())
        length = int(distance[node])
        if key[node] >= FAR:
            return -1, distance, before
        if length > LARGEST or excess[node] < 0:
            return node, distance, before
        reach = cost[node] - potential + (potential[node] + length)
        closer = reach < distance
        distance[closer], key[closer], before[closer] = reach[closer], reach[closer], node
        key[node] = FAR


@compiled_or(_shortest_path_of_arrays)
def shortest_path(cost: np.ndarray, potential: np.ndarray, excess: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the nearest node with a deficit, the distances of all nodes, and before each the node it is reached from.

    Costs are reduced by the potentials, and then none is negative. The node is -1 where no deficit can be reached. The
    search ends as well at the first node that is further off than `LARGEST`.
    """
    size = excess.size
    distance, before = np.where(excess > 0, 0, FAR), np.full(size, -1)
    key = distance.copy()
    while True:
        node = 0
        for other in range(1, size):
            if key[other] < key[node]:
                node = other
        if key[node] >= FAR:
            return -1, distance, before
        length = distance[node]
        if length > LARGEST or excess[node] < 0:
            return node, distance, before
        base = potential[node] + length
        for other in range(size):  # without a branch: so several nodes are done at once
            reach = cost[node, other] - potential[other] + base
            closer = reach < distance[other]
            distance[other] = reach if closer else distance[other]
            key[other] = reach if closer else key[other]
            before[other] = node if closer else before[other]
        key[node] = FAR
