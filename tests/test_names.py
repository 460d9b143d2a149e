"""Names of options: literal types, what the docstrings list, and what the functions take are the same."""

import functools
import importlib
import inspect
import re
import types
import typing
from typing import Any

import numpy as np
import pytest
import torch
from numpydoc.docscrape import ClassDoc, FunctionDoc

from infimum import balance, compress, lowrank, memory, minimax, nn, optim
from infimum.errors import InfimumError, OptionError

ROOMS = ("lowrank", "minimax", "balance", "memory", "integers", "nn", "optim", "compress", "scale")
FREE = {("memory", "design", "target")}  # a word among arrays: any other word is refused as no target

M = np.arange(30.0).reshape(6, 5) % 7.0 + np.eye(6, 5)
K = np.eye(4) + 1.0
SCORES = np.random.default_rng(0).random((6, 4))
VECTOR = np.array([0.1, -0.2, 0.3, 0.0])


def router():
    return nn.BalancedRouter(4, 4, 2)


def kernel():
    return [torch.nn.Parameter(torch.ones(2, 2, 2))]  # a stack as well as a convolution


def settings(**option):
    """Return the choices of a plan."""
    given = {"of": "linear", "objective": "plain", "allocation": "global", "form": "pivot", **option}
    menu = (given.pop("menu", "ranks"),)
    return compress.Settings(remove=0.5, damping=0.1, plain=False, menu=menu, **given)


def encoder(**_given):
    return types.SimpleNamespace(last_hidden_state=torch.ones(2, 3, 4))


TOKENS = compress.Tokens(np.ones((2, 3), dtype=np.int64), np.ones((2, 3), dtype=np.int64), "two rows")
UNIT = torch.full((2, 4), 0.5)

# a call on a tiny input for every public function and class that takes names
CALLS: dict[tuple[str, str], Any] = {
    ("lowrank", "cr"): functools.partial(lowrank.cr, M, M.T, 2),
    ("lowrank", "cur"): functools.partial(lowrank.cur, M, 2),
    ("lowrank", "interpolative"): functools.partial(lowrank.interpolative, M, 2),
    ("lowrank", "nystrom"): functools.partial(lowrank.nystrom, K, 2),
    ("lowrank", "select_columns"): functools.partial(lowrank.select_columns, M, 2),
    ("lowrank", "svd"): functools.partial(lowrank.svd, M, 2),
    ("minimax", "check"): functools.partial(minimax.check, [1.0, 1.0], "exp(x)"),
    ("minimax", "degree_for"): functools.partial(minimax.degree_for, "exp(x)", 0.5),
    ("minimax", "polynomial"): functools.partial(minimax.polynomial, "exp(x)", 2),
    ("minimax", "rounded"): functools.partial(minimax.rounded, "exp(x)", 2),
    ("minimax", "sup_norm"): functools.partial(minimax.sup_norm, [1.0, 1.0], "exp(x)"),
    ("minimax", "total_error"): functools.partial(minimax.total_error, [1.0, 1.0], "exp(x)"),
    ("balance", "aux_loss"): functools.partial(balance.aux_loss, np.full((3, 2), 0.5), np.array([2, 1])),
    ("balance", "balanced_topk"): functools.partial(balance.balanced_topk, SCORES, 2),
    ("balance", "bias_precision"): functools.partial(balance.bias_precision, VECTOR),
    ("balance", "initial_threshold_bias"): functools.partial(balance.initial_threshold_bias, 4, 1.0),
    ("balance", "shared_expert_scale"): functools.partial(balance.shared_expert_scale, 8, 2, 1, samples=10),
    ("balance", "update_bias"): functools.partial(balance.update_bias, VECTOR, np.array([3, 2, 1, 2]), load=2.0),
    ("memory", "design"): functools.partial(memory.design, "uniform", 4, max_lr=0.1, weight_decay=1.0),
    ("memory", "gradient_target"): functools.partial(memory.gradient_target, steps=5, beta1=0.5),
    ("memory", "lr_table"): functools.partial(memory.lr_table, steps=5, peak=1.0),
    ("memory", "report"): functools.partial(memory.report, np.full(5, 0.1), 0.1),
    ("nn", "BalancedRouter"): functools.partial(nn.BalancedRouter, 4, 4, 2),
    ("nn", "BalancedVQ"): functools.partial(nn.BalancedVQ, 4, 4),
    ("nn", "ProductEmbedding"): functools.partial(nn.ProductEmbedding, 12, 4),
    ("nn", "balance_loss"): lambda **option: nn.balance_loss(router()(torch.ones(3, 4)), **option),
    ("optim", "BalanceController"): lambda **option: optim.BalanceController(router(), **option),
    ("optim", "Muon"): lambda **option: optim.Muon(kernel(), **option),
    ("optim", "MuonAdamW"): lambda **option: optim.MuonAdamW([{"params": kernel(), "algorithm": "muon"}], **option),
    ("compress", "embeddings"): functools.partial(compress.embeddings, encoder, TOKENS),
    ("compress", "similarity"): functools.partial(compress.similarity, UNIT, encoder, TOKENS),
    ("compress", "scorer"): functools.partial(compress.scorer, encoder, TOKENS),
    ("compress", "quantize"): functools.partial(compress.quantize, np.eye(4), group=4),
    ("compress", "Settings"): lambda **option: settings(**option),
}


def members(hint):
    """Return the words of the literal types in an annotation."""
    if typing.get_origin(hint) is typing.Literal:
        return [word for word in typing.get_args(hint) if isinstance(word, str)]
    nested = typing.get_origin(hint) is not None or isinstance(hint, types.UnionType)
    return [word for part in typing.get_args(hint) for word in members(part)] if nested else []


def documented(item):
    """Return the words in braces that a docstring lists for each parameter."""
    sections = (ClassDoc if inspect.isclass(item) else FunctionDoc)(item)["Parameters"]
    found = {}
    for entry in sections:
        braces = re.search(r"\{(.*?)\}", entry.type)
        if braces and '"' in braces.group(1):
            found.update(dict.fromkeys(re.split(r", *", entry.name), re.findall(r'"([^"]*)"', braces.group(1))))
    return found


def options():
    """Yield the parameters that take words: room, name, parameter, words, what is documented."""
    for room in ROOMS:
        module = importlib.import_module(f"infimum.{room}")
        for name in getattr(module, "__all__", ()):
            item = getattr(module, name)
            if not callable(item):
                continue
            try:
                hints = typing.get_type_hints(item.__init__ if inspect.isclass(item) else item)
            except NameError:  # a type that is imported for checkers only: a record, not a function with options
                continue
            listed = documented(item)
            for parameter in inspect.signature(item).parameters:
                words = members(hints.get(parameter))
                if (words or parameter in listed) and (room, name, parameter) not in FREE:
                    yield pytest.param(room, name, parameter, words, listed, id=f"{room}.{name} {parameter}")


OPTIONS = list(options())


@pytest.mark.parametrize(("room", "name", "parameter", "words", "listed"), OPTIONS)
def test_docstrings_list_the_literal_type(room, name, parameter, words, listed):
    assert words, f"{parameter} lists words in its docstring: annotate it with their literal type"
    assert len(set(words)) == len(words)
    if parameter in listed:
        assert set(listed[parameter]) == set(words)


@pytest.mark.parametrize(("room", "name", "parameter", "words", "listed"), OPTIONS)
def test_functions_take_the_literal_type_and_nothing_else(room, name, parameter, words, listed):
    if (room, name) not in CALLS:
        pytest.skip("a record of what a function was asked" if room == "compress" else "")
    call = CALLS[room, name]
    with pytest.raises(InfimumError) as caught:
        call(**{parameter: "no such word"})
    refused = re.findall(r"'([^']*)'", str(caught.value).split("got")[0])
    assert set(refused) == set(words) - ({"auto"} if name == "Settings" else set()), str(caught.value)
    unknown = []
    for word in words:
        try:
            call(**{parameter: word})
        except OptionError as error:  # another option may be missing for it
            unknown += [(word, str(error))] if "one of" in str(error) else []
    assert not unknown


def test_every_function_with_names_is_called():
    named = {(option.values[0], option.values[1]) for option in OPTIONS}
    assert named - set(CALLS) <= {("compress", "plan"), ("compress", "Moments")}
    assert set(CALLS) <= named
