"""The exact finish: shortest augmenting paths on the graph of experts, in whole numbers.

The nodes are the n experts, their groups where those are limited, and a root. An arc from expert a to expert b costs
what the cheapest token loses that moves from a to b. Arcs between an expert, its group and the root cost nothing: they
exist while the load may still grow or shrink. The bias is a potential; as long as no arc has a negative reduced cost,
every token is with its k best experts and every load is on the right side of its window, which is optimality.
"""

from __future__ import annotations

import itertools

import numpy as np

from infimum._linalg import transposed
from infimum.balance.search.arc_costs import cheapest_of_expert, cheapest_tokens, lower_costs
from infimum.balance.search.integer_scores import BARRED, FAR, LARGEST, NONE
from infimum.balance.search.shortest_path import shortest_path
from infimum.errors import InfeasibleError
from infimum.proof.largest_entries import k_largest
from infimum.proof.theorems.assignment_dual import Limits

MANY = 32  # moves at once after which costs are measured anew rather than updated one by one
NAMED = 8  # experts that an error lists
CENTRED = 600  # nodes up to which the bias is moved to the middle of all optimal ones: that takes their cube


class GridOverflowError(Exception):
    """The potentials have outgrown 64 bits: a coarser grid is needed."""


class ExpertGraph:
    """The k best experts of every token by ``values + bias``, moved step by step until the loads fit their windows."""

    def __init__(
        self, values: np.ndarray, k: int, limits: Limits, bias: np.ndarray, ahead: np.ndarray | None = None
    ) -> None:
        tokens, experts = values.shape
        self.values, self.member = values, first_choice(values + bias, k, limits)
        self.holds = transposed(self.member)
        parents, low, high = [np.full(experts, experts)], [limits.low], [limits.high]
        if limits.groups is not None:
            groups = limits.groups.low.size
            parents = [experts + limits.groups.of, np.full(groups, experts + groups)]
            low, high = [limits.low, limits.groups.low], [limits.high, limits.groups.high]
        self.parent, self.low, self.high = map(np.concatenate, (parents, low, high))
        self.root = self.parent.size
        self.potential = np.zeros(self.root + 1, dtype=np.int64)
        self.potential[:experts] = bias
        self.toll = np.zeros(self.root, dtype=np.int64) if ahead is None else ahead  # of an arc from node to parent
        self.outflow = np.zeros(self.root, dtype=np.int64)  # load of a node as its parent sees it
        self.excess = np.zeros(self.root + 1, dtype=np.int64)
        self.excess[:experts] = self.holds.sum(axis=1)
        self._fill_windows(experts)
        self.excess[self.root] -= tokens * k
        self.cost = np.full((self.root + 1, self.root + 1), NONE)
        self.owner = np.full((experts, experts), -1)  # the token whose move an arc stands for
        cheapest_tokens(values, self.member, self.cost, self.owner)
        for node in range(self.root):
            self._measure_window(node)

    def _fill_windows(self, experts: int) -> None:
        """Choose the outflow of every node that its potential asks for; what is left over becomes excess."""
        for nodes in (np.arange(experts), np.arange(experts, self.root)):  # experts before their groups
            ahead = self.ahead()[nodes]
            low, high = self.low[nodes], self.high[nodes]
            free = np.clip(self.excess[nodes], low, high)
            self.outflow[nodes] = np.where(ahead > 0, low, np.where(ahead < 0, high, free))
            self.excess[nodes] -= self.outflow[nodes]
            np.add.at(self.excess, self.parent[nodes], self.outflow[nodes])

    def ahead(self) -> np.ndarray:
        """Return how far the potential of every node is above that of its parent, tolls included."""
        return np.asarray(self.toll + self.potential[:-1] - self.potential[self.parent])

    # ---------------------------------------------------------------- costs of the arcs

    def _measure(self, expert: int, others: np.ndarray) -> None:
        """Find the cheapest token of an expert for each of the others."""
        tokens = np.flatnonzero(self.holds[expert])
        cheapest_of_expert(self.values, self.member, tokens, expert, others, self.cost, self.owner)

    def _measure_window(self, node: int) -> None:
        """Open the arcs between a node and its parent in the directions in which the load may still change."""
        above = self.parent[node]
        self.cost[node, above] = self.toll[node] if self.outflow[node] < self.high[node] else NONE
        self.cost[above, node] = -self.toll[node] if self.outflow[node] > self.low[node] else NONE

    def _update(self, token: int, left: int, joined: int) -> None:
        """Repair the costs after one token moved from one expert to another."""
        mine = np.flatnonzero(self.member[token])
        self._measure(left, np.flatnonzero(self.owner[left] == token))
        for expert in mine[self.owner[mine, joined] == token].tolist():
            self._measure(expert, np.array([joined]))
        lower_costs(self.values, self.member, token, self.cost, self.owner)

    # ---------------------------------------------------------------- paths

    def solve(self) -> None:
        """Move along shortest paths until nothing is in excess."""
        while np.any(self.excess > 0):
            self._push(self._search())

    def _search(self) -> list[int]:
        """Find the shortest path from excess to deficit (Dijkstra) and raise the potentials along it."""
        node, distance, before = shortest_path(self.cost, self.potential, self.excess)
        if node < 0:
            raise InfeasibleError(self._obstacle(before >= 0))
        if (length := int(distance[node])) > LARGEST:
            raise GridOverflowError
        self.potential += np.minimum(distance, length)
        if np.abs(self.potential).max() > LARGEST:
            raise GridOverflowError
        path = [node]
        while before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
        return path[::-1]

    def _obstacle(self, reached: np.ndarray) -> str:
        """Say which experts hold more tokens than they may, or may get fewer than they must: those not in reach."""
        reached = reached | (self.excess > 0)
        experts = self.owner.shape[0]
        inside, barred = reached[:experts], self.values == BARRED
        k = int(self.member[0].sum())
        outside = np.minimum(k, (~barred & ~inside).sum(axis=1))  # of every token, what the others can take
        if reached[self.root]:
            named, wish = ~inside, f"need more tokens than the {int(outside.sum())} that the other loads leave to them"
        else:
            least = self.values.shape[0] * k - int(outside.sum())
            named, wish = inside, f"would have to take {least} tokens, more than their loads, or those of groups, allow"
        return (
            f"no assignment meets these loads, since scores of -inf are not admitted: experts {places(named)} {wish}; "
            "widen the loads or admit more pairs"
        )

    def _push(self, path: list[int]) -> None:
        """Move as much along a path as its tokens of least cost and its windows allow: ties go all at once."""
        hops = list(itertools.pairwise(path))
        amount = int(min(self.excess[path[0]], -self.excess[path[-1]]))
        experts = self.owner.shape[0]
        moves = {hop: self._candidates(*hop, amount) for hop in hops if max(hop) < experts}
        for a, b in hops:
            if (a, b) in moves:
                amount = min(amount, moves[a, b].size)
            elif self.parent[min(a, b)] == max(a, b):
                room = self.high[a] - self.outflow[a] if a < b else self.outflow[b] - self.low[b]
                amount = min(amount, int(room))
        self.excess[path[0]] -= amount
        self.excess[path[-1]] += amount
        for a, b in hops:
            if (a, b) not in moves:
                self.outflow[min(a, b)] += amount if a < b else -amount
                self._measure_window(min(a, b))
        self._move({hop: tokens[:amount] for hop, tokens in moves.items()})

    def _candidates(self, a: int, b: int, amount: int) -> np.ndarray:
        if amount == 1:
            return np.array([self.owner[a, b]])
        tokens = np.flatnonzero(self.holds[a] & ~self.holds[b])
        tied = self.values[tokens, a] - self.values[tokens, b] == self.cost[a, b]
        return np.asarray(tokens[tied])

    def _move(self, moves: dict[tuple[int, int], np.ndarray]) -> None:
        for (a, b), tokens in moves.items():
            self.member[tokens, a] = self.holds[a, tokens] = False
            self.member[tokens, b] = self.holds[b, tokens] = True
        if sum(tokens.size for tokens in moves.values()) <= MANY:
            for (a, b), tokens in moves.items():
                for token in tokens.tolist():
                    self._update(token, a, b)
            return
        touched = self.member[np.concatenate(list(moves.values()))].any(axis=0)
        touched[[a for a, _ in moves]] = True
        for expert in np.flatnonzero(touched).tolist():
            self._measure(expert, np.arange(self.owner.shape[0]))

    # ---------------------------------------------------------------- the answer

    def centre(self) -> None:
        """Move to optimal potentials that leave every decision as much room as ties allow, in the gauge of the root.

        The average of the distances from every node is such a potential: an arc keeps an n-th of the shortest cycle
        through it.
        """
        size = self.root + 1
        potential = self.potential
        if size <= CENTRED:
            between = np.minimum(self.cost + (potential[:, None] - potential), FAR)
            np.fill_diagonal(between, 0)
            for via in range(size):
                np.minimum(between, between[:, via, None] + between[via], out=between)
            between[between >= FAR] = between[between < FAR].max()
            # whole parts and remainders apart, because the sum itself may not fit
            potential = potential + (between // size).sum(axis=0) + (between % size).sum(axis=0) // size
        self.potential = self._gauged(potential)

    def _gauged(self, potential: np.ndarray) -> np.ndarray:
        """Put the root at 0, or the experts' mean where the loads leave that free."""
        potential = potential - potential[self.root]
        top = self.parent == self.root
        if np.array_equal(self.low[top], self.high[top]):
            potential = potential - int(np.mean(potential[: self.owner.shape[0]].astype(np.float64)))
        return np.asarray(potential)


def first_choice(biased: np.ndarray, k: int, limits: Limits) -> np.ndarray:
    """Mark the k best experts of every token; ties go where the load is furthest below its window."""
    columns, threshold, dropped = k_largest(biased, k)
    member = np.zeros(biased.shape, dtype=bool)
    np.put_along_axis(member, columns, True, axis=1)
    unclear = np.flatnonzero(threshold == dropped)
    tied = biased[unclear] == threshold[unclear, None]
    member[unclear] &= ~tied
    vacant = k - member[unclear].sum(axis=1)
    room = (limits.low + limits.high) / 2.0 - member.sum(axis=0)
    for token, free, among in zip(unclear.tolist(), vacant.tolist(), tied, strict=True):
        choices = np.flatnonzero(among)
        chosen = choices[np.argsort(-room[choices], kind="stable")[:free]]
        member[token, chosen] = True
        room[chosen] -= 1.0
    return member


def places(named: np.ndarray) -> str:
    """List the places that are marked, as an error shows them."""
    shown = np.flatnonzero(named).tolist()
    return ", ".join(map(str, shown[:NAMED])) + (f" and {len(shown) - NAMED} more" if len(shown) > NAMED else "")
