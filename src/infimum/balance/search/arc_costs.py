"""What it costs to move a token from one expert to another: the cheapest of all tokens, for every pair of experts."""

from __future__ import annotations

import numpy as np

from infimum._compiled import compiled_or
from infimum.balance.search.integer_scores import BARRED, LARGEST, NONE


def _cheapest_tokens_of_arrays(values: np.ndarray, member: np.ndarray, cost: np.ndarray, owner: np.ndarray) -> None:
    offer = np.where(member, BARRED, values)
    for expert in range(values.shape[1]):
        tokens = np.flatnonzero(member[:, expert])
        if tokens.size:
            loss = values[tokens, expert, None] - offer[tokens]
            best, index = loss.argmin(axis=0), np.arange(values.shape[1])
            open_ = np.flatnonzero(loss[best, index] <= LARGEST)
            cost[expert, open_], owner[expert, open_] = loss[best, index][open_], tokens[best[open_]]


@compiled_or(_cheapest_tokens_of_arrays)
def cheapest_tokens(values: np.ndarray, member: np.ndarray, cost: np.ndarray, owner: np.ndarray) -> None:
    """Write the least loss of every move between experts, and the first token that has it, where there is one.

    `cost` holds what stands for no move beforehand; it may have more rows and columns than there are experts.
    """
    experts = values.shape[1]
    offer = np.empty(experts, np.int64)
    for token in range(values.shape[0]):
        for expert in range(experts):
            offer[expert] = BARRED if member[token, expert] else values[token, expert]
        for expert in range(experts):
            if member[token, expert]:
                own = values[token, expert]
                for other in range(experts):
                    loss = own - offer[other]
                    if loss < cost[expert, other] and loss <= LARGEST:
                        cost[expert, other], owner[expert, other] = loss, token


def _cheapest_of_expert_of_arrays(
    values: np.ndarray,
    member: np.ndarray,
    tokens: np.ndarray,
    expert: int,
    others: np.ndarray,
    cost: np.ndarray,
    owner: np.ndarray,
) -> None:
    cost[expert, others], owner[expert, others] = NONE, -1
    if tokens.size and others.size:
        arcs = np.ix_(tokens, others)
        loss = values[tokens, expert, None] - np.where(member[arcs], BARRED, values[arcs])
        best, index = loss.argmin(axis=0), np.arange(others.size)
        open_ = np.flatnonzero(loss[best, index] <= LARGEST)
        cost[expert, others[open_]], owner[expert, others[open_]] = loss[best, index][open_], tokens[best[open_]]


@compiled_or(_cheapest_of_expert_of_arrays)
def cheapest_of_expert(
    values: np.ndarray,
    member: np.ndarray,
    tokens: np.ndarray,
    expert: int,
    others: np.ndarray,
    cost: np.ndarray,
    owner: np.ndarray,
) -> None:
    """Write the least loss of a move of one of an expert's `tokens` to each of the `others`, and the first of them."""
    for other in others:
        cost[expert, other], owner[expert, other] = NONE, -1
    for token in tokens:
        own = values[token, expert]
        for other in others:
            loss = own - values[token, other]
            if loss < cost[expert, other] and loss <= LARGEST and not member[token, other]:
                cost[expert, other], owner[expert, other] = loss, token


def _lower_costs_of_arrays(
    values: np.ndarray, member: np.ndarray, token: int, cost: np.ndarray, owner: np.ndarray
) -> None:
    arcs = np.ix_(np.flatnonzero(member[token]), np.flatnonzero(~member[token]))
    loss = values[token, arcs[0]] - values[token, arcs[1]]
    cheaper = (loss < cost[arcs]) & (loss <= LARGEST)
    cost[arcs] = np.where(cheaper, loss, cost[arcs])
    owner[arcs] = np.where(cheaper, token, owner[arcs])


@compiled_or(_lower_costs_of_arrays)
def lower_costs(values: np.ndarray, member: np.ndarray, token: int, cost: np.ndarray, owner: np.ndarray) -> None:
    """Lower the costs of the moves that a token makes cheaper than they are."""
    for expert in range(values.shape[1]):
        if member[token, expert]:
            for other in range(values.shape[1]):
                loss = values[token, expert] - values[token, other]
                if loss < cost[expert, other] and loss <= LARGEST and not member[token, other]:
                    cost[expert, other], owner[expert, other] = loss, token
