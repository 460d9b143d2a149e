"""Assignment by shortest augmenting paths from row to row, after Jonker and Volgenant; column duals come with it.

Costs and duals are float64, or int64 where nothing may be rounded; an entry of `never` or more is forbidden. There are
at most as many rows as columns. Where there are fewer no dual is above 0, and a column that nobody takes has 0.

The loops are compiled where Numba is installed. Without it the scans of a row are operations on arrays, which give
the same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from infimum._compiled import compiled, compiled_or

Number = Any  # a cost: a float, or a whole number
ROUNDS = 2  # in which rows hand on their columns, before paths are looked for
STEPS = 2  # scans of those rounds, for each row
TIGHT = 32  # exchanges of a row, on average, up to which a slack is looked for


class State(NamedTuple):
    """An assignment that grows: who has which column, and the duals by which that is cheapest."""

    cost: np.ndarray
    never: Number
    limit: Number  # of a dual
    dual: np.ndarray  # (columns,)
    owner: np.ndarray  # (columns,): the row that has it, or -1
    taken: np.ndarray  # (rows,): the column that it has, or -1


class Tree(NamedTuple):
    """Shortest paths from one row to columns."""

    distance: np.ndarray
    before: np.ndarray  # the row from which a column was reached
    done: np.ndarray
    order: np.ndarray  # the columns that are done


@compiled
def assign(cost: np.ndarray, never: Number, limit: Number) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of every row and the dual of every column.

    A row has -1 where no assignment exists, or where a dual would exceed `limit`.
    """
    rows, columns = cost.shape
    dual, owner, taken = np.zeros(columns, cost.dtype), np.full(columns, -1), np.full(rows, -1)
    state = State(cost, never, limit, dual, owner, taken)
    if rows == columns:
        _take_cheapest_rows(state)
    waiting = np.flatnonzero(taken < 0)
    count = waiting.size
    for _ in range(ROUNDS):
        count = _hand_on(state, waiting, count)
    distance, before = np.empty(columns, cost.dtype), np.zeros(columns, np.int64)
    tree = Tree(distance, before, np.zeros(columns, np.bool_), np.zeros(columns, np.int64))
    for row in waiting[:count]:
        if not _augment(state, tree, row):
            break
    return taken, dual


def _cheapest_rows_of_arrays(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return cost.min(axis=0), cost.argmin(axis=0)


@compiled_or(_cheapest_rows_of_arrays)
def _cheapest_rows(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost of every column, and the first row that has it."""
    least, place = cost[0].copy(), np.zeros(cost.shape[1], np.int64)
    for row in range(1, cost.shape[0]):
        for column in range(least.size):
            if cost[row, column] < least[column]:
                least[column], place[column] = cost[row, column], row
    return least, place


@compiled
def _take_cheapest_rows(state: State) -> None:
    """Give every column the row where it is cheapest, as far as these are different."""
    least, place = _cheapest_rows(state.cost)
    for column in range(least.size - 1, -1, -1):
        if least[column] < state.never:
            state.dual[column] = least[column]
            if state.taken[place[column]] < 0:
                state.taken[place[column]], state.owner[column] = column, place[column]


def _two_least_of_arrays(row: np.ndarray, dual: np.ndarray, never: Number) -> tuple[int, Number, int, Number]:
    reduced = np.where(row < never, row - dual, never)
    first = int(reduced.argmin())
    least = reduced[first]
    reduced[first] = never
    other = int(reduced.argmin())
    return first, least, other, reduced[other]


@compiled_or(_two_least_of_arrays)
def _two_least(row: np.ndarray, dual: np.ndarray, never: Number) -> tuple[int, Number, int, Number]:
    """Return the two columns of least reduced cost, each with that cost."""
    first, other, least, second = -1, -1, never, never
    for column in range(row.size):
        reduced = row[column] - dual[column]
        if reduced < second and row[column] < never:
            if reduced < least:
                first, other, least, second = column, first, reduced, least
            else:
                other, second = column, reduced
    return first, least, other, second


@compiled
def _hand_on(state: State, waiting: np.ndarray, count: int) -> int:
    """Let waiting rows take their cheapest columns from those that have them; return how many wait in the end."""
    dual, owner, taken = state.dual, state.owner, state.taken
    left, place, budget = 0, 0, STEPS * taken.size
    while place < count:
        row = waiting[place]
        place += 1
        first, least, other, second = _two_least(state.cost[row], dual, state.never)
        if second >= state.never or dual[first] - (second - least) < -state.limit:
            waiting[left] = row  # a path has to find what it may take
            left += 1
            continue
        budget -= 1
        if least < second:
            dual[first] -= second - least
        elif owner[first] >= 0:
            first = other
        former = owner[first]
        owner[first], taken[row] = row, first
        if former >= 0:
            taken[former] = -1
            if least < second and budget > 0:
                place -= 1
                waiting[place] = former
            else:
                waiting[left] = former
                left += 1
    return left


def _reach_from_arrays(state: State, tree: Tree, row: int, base: Number, floor: Number) -> int:
    entries, distance = state.cost[row], tree.distance
    reached = np.where(entries < state.never, base + (entries - state.dual), state.never)
    closer = ~tree.done & (reached < distance)
    distance[closer], tree.before[closer] = reached[closer], row
    open_ = np.where(tree.done, state.never, distance)
    nearest = int(open_.argmin())
    vacant = (open_ <= max(floor, open_[nearest])) & (open_ < state.never) & (state.owner < 0)
    if vacant.any():
        return int(vacant.argmax())
    return nearest if open_[nearest] < state.never else -1


@compiled_or(_reach_from_arrays)
def _reach_from(state: State, tree: Tree, row: int, base: Number, floor: Number) -> int:
    """Shorten distances by what can be reached from a row at distance `base`; return the nearest column (-1: none).

    Of columns that are equally near it is the first that nobody has. No distance is below `floor`, but by rounding.
    """
    entries, never, dual, owner = state.cost[row], state.never, state.dual, state.owner
    distance, before, done = tree.distance, tree.before, tree.done
    for column in range(entries.size):  # without a branch: so several columns are done at once
        reached = base + (entries[column] - dual[column])
        closer = (reached < distance[column]) & (entries[column] < never) & (not done[column])
        distance[column] = reached if closer else distance[column]
        before[column] = row if closer else before[column]
    nearest, least = -1, never
    for column in range(entries.size):
        length = distance[column]
        if (length <= least or length <= floor) and not done[column]:
            vacant = owner[column] < 0
            if vacant and length <= floor:
                return column
            if length < least or (length == least and nearest >= 0 and vacant and owner[nearest] >= 0):
                nearest, least = column, length
    return nearest


@compiled
def _augment(state: State, tree: Tree, row: int) -> bool:
    """Give a row a column, along a shortest path of exchanges; False if there is none, or none within the limit."""
    cost, dual, owner, taken = state.cost, state.dual, state.owner, state.taken
    distance, count = tree.distance, 0
    distance[:] = state.never
    tree.done[:] = False
    column = _reach_from(state, tree, row, dual[0] - dual[0], -state.limit)
    while column >= 0 and owner[column] >= 0:
        tree.done[column], tree.order[count] = True, column
        count += 1
        holder = owner[column]
        base = distance[column] - (cost[holder, column] - dual[column])
        column = _reach_from(state, tree, holder, base, distance[column])
    if column < 0 or distance[column] > state.limit:
        return False
    for place in range(count):
        passed = tree.order[place]
        dual[passed] += distance[passed] - distance[column]
        if dual[passed] < -state.limit:
            return False
    holder = -1
    while holder != row:
        holder = tree.before[column]
        owner[column] = holder
        column, taken[holder] = taken[holder], column
    return True


def _tight_of_arrays(
    cost: np.ndarray, taken: np.ndarray, dual: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    index = np.arange(taken.size)
    loss = cost - cost[index, taken][:, None]
    near = (loss + dual[taken][:, None]) - dual < reach
    near[index, taken] = False
    rows, heads = np.nonzero(near)
    return taken[rows], heads, loss[rows, heads]


@compiled_or(_tight_of_arrays)
def _tight(
    cost: np.ndarray, taken: np.ndarray, dual: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the exchanges that lose less than `reach`: the column left, the column taken, and what that costs."""
    room = TIGHT * taken.size + dual.size
    tails, heads, losses = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    count = 0
    for row in range(taken.size):
        own = taken[row]
        if count > room - dual.size:
            break
        for column in range(dual.size):
            loss = cost[row, column] - cost[row, own]
            if (loss + dual[own]) - dual[column] < reach and column != own:
                tails[count], heads[count], losses[count] = own, column, loss
                count += 1
    return tails[:count], heads[:count], losses[:count]


@compiled
def with_slack(cost: np.ndarray, taken: np.ndarray, dual: np.ndarray, share: float) -> np.ndarray:
    """Return duals of a square assignment by which every exchange loses a little; as they were, if ties forbid.

    That is at least `share` of the largest dual or cost that is taken, whose sums may have been rounded. Only exchanges
    that lose next to nothing matter: a dual falls by little.
    """
    slack = 0.0
    for row in range(taken.size):
        slack = max(slack, share * max(abs(dual[row]), abs(cost[row, taken[row]])))
    tails, heads, losses = _tight(cost, taken, dual, 4 * taken.size * slack)
    if heads.size > TIGHT * taken.size:
        return dual
    lowered = dual.copy()
    for _ in range(taken.size):
        moved = False
        for arc in range(heads.size):
            bound = lowered[tails[arc]] + losses[arc] - slack
            if bound < lowered[heads[arc]]:
                lowered[heads[arc]], moved = bound, True
        if not moved:
            return lowered
    return dual


def _all_whole_of_arrays(cost: np.ndarray) -> bool:
    return np.array_equal(cost, np.rint(cost))


@compiled_or(_all_whole_of_arrays)
def all_whole(cost: np.ndarray) -> bool:
    """Tell whether all costs are whole numbers, or infinite."""
    for row in range(cost.shape[0]):
        for column in range(cost.shape[1]):
            if cost[row, column] != np.rint(cost[row, column]):
                return False
    return True
