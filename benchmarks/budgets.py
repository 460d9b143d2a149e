"""Every method of `benchmarks.few_bits`: from the bytes of a budget to a model that takes no more."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.rivals import off_the_shelf, sensitivity
from benchmarks.rivals.rounding import GGUF_TYPES, Width, gguf, gptq, round_to_nearest, widths
from infimum import compress
from infimum.compress.evaluate import embeddings
from infimum.compress.model.layer import Layer

TOKENS = 512  # on which the cost of noise is measured, once for each layer


@dataclass(frozen=True)
class Setting:
    """What all methods share."""

    checkpoint: compress.Checkpoint
    halves: compress.Moments
    cache: Path
    tool: Path | None
    seed: int

    @functools.cached_property
    def whole(self) -> compress.Moments:
        """Moments of the whole text, for methods that do not judge what they make."""
        return self.halves.joined()

    @functools.cached_property
    def layers(self) -> list[Layer]:
        """The layers that the output depends on."""
        return [layer for layer in self.checkpoint.layers if layer.name in self.halves.layers]

    @property
    def size(self) -> int:
        """Number of their weights."""
        return sum(layer.size for layer in self.layers)

    def weight(self, layer: Layer) -> np.ndarray:
        """Read a layer in float64."""
        W: np.ndarray = self.checkpoint.weight(layer).double().numpy()
        return W

    def remove(self, numbers: int) -> float:
        """Return the fraction of all linear weights whose removal leaves so many in these layers."""
        return max(0.0, (self.size - numbers) / sum(layer.size for layer in self.checkpoint.layers))


@dataclass(frozen=True)
class Answer:
    """A model, and the bits a weight that it takes."""

    model: Any
    bits: float
    detail: dict[str, Any] = field(default_factory=dict)


Answers: TypeAlias = Iterator[Answer | None]
Method: TypeAlias = Callable[[Setting, Sequence[float]], Answers]
RoundLayer: TypeAlias = Callable[[Setting, Layer, Width], np.ndarray]


def planned(setting: Setting, budgets: Sequence[float], *, item: int = 0, **options: Any) -> Answers:
    """Ours, one plan for all budgets; `item` are the bytes of a number where ranks are kept in another type."""
    item = item or setting.checkpoint.read(setting.layers[0].tensor).element_size()
    moments = setting.halves if "bits" in options["menu"] else setting.whole
    plan = None
    for bits in budgets:
        remove = setting.remove(int(bits * setting.size / (8 * item)))
        if plan is None:
            plan = compress.plan(setting.checkpoint, remove=remove, moments=moments, **options)
        else:
            plan = plan.with_budget(remove)
        rows = [row for row in plan.table if row.name in moments.layers]
        proof, forms = (
            plan.certificate,
            Counter(f"{row.form}, {row.bits} bits" if row.bits else row.form for row in rows),
        )
        detail = {"error": proof.value, "lower_bound": proof.lower_bound, "forms": dict(forms)}
        used = 8 * item * sum(row.cost for row in rows) / setting.size
        yield Answer(plan.apply(setting.checkpoint.load()), used, detail)


def low_rank(setting: Setting, budgets: Sequence[float]) -> Answers:
    """Ours without bits: numbers in 16 bits, fewer of them."""
    menu = ("ranks", "widths") if setting.checkpoint.is_language_model else ("ranks",)
    return planned(setting, budgets, item=2, menu=menu)


def uniform(setting: Setting, budgets: Sequence[float], round_layer: RoundLayer) -> Answers:
    """One width for all layers: the one that takes the most bytes within the budget."""
    for bits in budgets:
        width = _largest(setting, bits)
        yield None if width is None else _rounded(setting, {layer.name: width for layer in setting.layers}, round_layer)


def allocated(setting: Setting, budgets: Sequence[float], score: Callable[[Setting], list[np.ndarray]]) -> Answers:
    """GPTQ at the widths that a knapsack finds for the scores of all layers at all widths."""
    errors = score(setting)
    costs = [
        np.array([width.bytes(layer.shape) for width in widths(layer.shape[1])], dtype=np.float64)
        for layer in setting.layers
    ]
    for bits in budgets:
        found = sensitivity.share(errors, costs, bits * setting.size / 8)
        if found is None:
            yield None
            continue
        chosen = zip(setting.layers, found, strict=True)
        yield _rounded(setting, {layer.name: widths(layer.shape[1])[index] for layer, index in chosen}, _gptq)


def noise_scores(setting: Setting) -> list[np.ndarray]:
    """Return the cost of noise in each layer times the relative error of every width."""
    names = [layer.name for layer in setting.layers]
    model = setting.checkpoint.load()
    cost = sensitivity.by_noise(model, names, _distance(setting, model), setting.seed)
    return _scores(setting, lambda layer, W, Q: cost[layer.name] * sensitivity.relative_error(W, Q))


def gradient_scores(setting: Setting) -> list[np.ndarray]:
    """Return squared gradients times squared changes of the outputs, for every width of each layer."""
    moments = functools.lru_cache(maxsize=1)(setting.whole.layers.__getitem__)

    def score(layer: Layer, W: np.ndarray, Q: np.ndarray) -> float:
        found = moments(layer.name)
        return sensitivity.by_gradients(W, Q, found.right, found.left)

    return _scores(setting, score)


def tool(setting: Setting, budgets: Sequence[float]) -> Answers:
    """GPTQ of llm-compressor, one width for all layers."""
    for bits in budgets:
        width = _largest(setting, bits)
        if setting.tool is None or width is None:
            yield None
            continue
        folder, tokens = setting.checkpoint.path, setting.halves.tokens
        out = setting.cache / f"{folder.name}-{tokens.sha256[:12]}-{width.bits}-{width.group}.safetensors"
        weights = off_the_shelf.dequantised(setting.tool, folder, tokens, width.bits, width.group, out)
        model = setting.checkpoint.load()
        for layer in setting.layers:
            _put(model, layer, weights[layer.name])
        used = sum(width.bytes(layer.shape) for layer in setting.layers)
        yield Answer(model, 8 * used / setting.size, {"forms": {_words(width): len(setting.layers)}})


def blocks(setting: Setting, budgets: Sequence[float]) -> Answers:
    """Block types of GGUF by their own quantiser, one for all layers."""
    for bits in budgets:
        fitting = [kind for kind, size in GGUF_TYPES.items() if size <= bits]
        if not fitting or any(layer.shape[1] % 32 for layer in setting.layers):
            yield None
            continue
        model, kind = setting.checkpoint.load(), fitting[-1]
        for layer in setting.layers:
            _put(model, layer, gguf(setting.weight(layer), kind))
        yield Answer(model, GGUF_TYPES[kind], {"forms": {kind: len(setting.layers)}})


def _largest(setting: Setting, bits: float) -> Width | None:
    """Return the width that takes the most bytes within a budget, when all layers have it."""
    shared = set.intersection(*(set(widths(layer.shape[1])) for layer in setting.layers))
    sizes = {width: sum(width.bytes(layer.shape) for layer in setting.layers) for width in shared}
    fitting = [width for width in shared if sizes[width] <= bits * setting.size / 8]
    return max(fitting, key=lambda width: (sizes[width], width), default=None)


def _gptq(setting: Setting, layer: Layer, width: Width) -> np.ndarray:
    return gptq(setting.weight(layer), setting.whole.layers[layer.name].inputs, width)


def _nearest(setting: Setting, layer: Layer, width: Width) -> np.ndarray:
    return round_to_nearest(setting.weight(layer), width)


def _rounded(setting: Setting, chosen: dict[str, Width], round_layer: RoundLayer) -> Answer:
    model, size = setting.checkpoint.load(), 0
    for layer in setting.layers:
        width = chosen[layer.name]
        _put(model, layer, round_layer(setting, layer, width))
        size += width.bytes(layer.shape)
    return Answer(model, 8 * size / setting.size, {"forms": dict(Counter(map(_words, chosen.values())))})


def _words(width: Width) -> str:
    return f"{width.bits} bits, groups of {width.group}"


def _put(model: Any, layer: Layer, Q: np.ndarray | torch.Tensor) -> None:
    """Replace the weight of a layer, given as (outputs, inputs), in a loaded model."""
    module = model.get_submodule(layer.name)
    with torch.no_grad():
        module.weight.copy_(torch.as_tensor(Q))


def _scores(setting: Setting, score: Callable[[Layer, np.ndarray, np.ndarray], float]) -> list[np.ndarray]:
    """Score the nearest numbers of every layer at every width."""
    found = []
    for layer in setting.layers:
        W = setting.weight(layer)
        found.append(np.array([score(layer, W, round_to_nearest(W, width)) for width in widths(layer.shape[1])]))
    return found


def _distance(setting: Setting, model: Any) -> Callable[[Any], float]:
    """Return how far a model is from the original on a few tokens: of its predictions, or of its embeddings."""
    tokens = setting.halves.tokens.sample(TOKENS, seed=setting.seed)
    ids, mask = torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)

    def predictions(of: Any) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = of(input_ids=ids, attention_mask=mask, use_cache=False).logits
            return logits[mask.bool()].log_softmax(dim=-1)

    if setting.checkpoint.is_language_model:
        before = predictions(model)
        return lambda disturbed: float((before.exp() * (before - predictions(disturbed))).sum(dim=-1).mean())
    reference = embeddings(model, tokens)
    return lambda disturbed: float(((reference - embeddings(disturbed, tokens)) ** 2).sum(dim=-1).mean())


METHODS: dict[str, Method] = {
    "round to nearest": functools.partial(uniform, round_layer=_nearest),
    "GPTQ": functools.partial(uniform, round_layer=_gptq),
    "GPTQ, llm-compressor": tool,
    "GGUF blocks": blocks,
    "GPTQ, bits by noise (HIGGS)": functools.partial(allocated, score=noise_scores),
    "GPTQ, bits by gradients (AutoQuantize)": functools.partial(allocated, score=gradient_scores),
    "infimum: low rank": low_rank,
    "infimum: bits": functools.partial(planned, menu=("bits",)),
    "infimum: bits, ranks and widths": functools.partial(planned, menu=("bits", "ranks", "widths")),
}
