"""Forged results: the JSON document of an honest one, with a few things changed by someone who knows what is in it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from infimum.proof.certificate import Certificate
from infimum.proof.result import from_json
from tests.attack.honest import Honest

Rng = np.random.Generator
Path = tuple[Any, ...]

FACTORS = (-1.0, 0.0, 2.0, 0.5, 10.0, 1e3, -1e-3, 1e-12, 1e30, 1e160, 1.0 + 1e-12, 1.0 - 1e-9, 1.001, 0.99)
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    0.0,
    -0.0,
    1.0,
    0.5,
    -1e-9,
    5e-324,
    -5e-324,
    1e-310,
    1e308,
    -1e308,
    2**53 + 1,
    2**62,
    2**63 - 1,
)
ODD: tuple[Any, ...] = (
    10**30,
    -(10**30),
    2**64,
    True,
    False,
    None,
    "1.0",
    "nan",
    "Infinity",
    [],
    [1.0],
    {},
    1e-30,
    64,
    10**12,
)
DTYPES = (
    "float16",
    "float32",
    "float64",
    "bfloat16",
    "int64",
    "int32",
    "uint64",
    "int8",
    "bool",
    "complex128",
    "complex64",
)
WORDS = {
    "system": ("full", "odd", "even", [0, 1], [1], [0, 2], ["1", "x"], ["exp(x)", "1"]),
    "weight": (None, "1", "x", "2", "1+x", "0.001", "exp(-x)"),
    "objective": ("tv", "ratio"),
    "decay_law": ("fixed", "proportional", "match_rms"),
    "theorem": ("eckart_young", "ritz_block", "column_subset", "gram", "unrolling", "profile_dual", "capped_filling"),
    "rigour": ("exact", "enclosed", "rounded", "probable", "sampled"),
}


class Forgery(NamedTuple):
    """A forged result for an input, as text."""

    inputs: tuple[Any, ...]
    text: str


def is_array(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"dtype", "shape", "data"}


def leaves(item: Any, path: Path = ()) -> list[Path]:
    """Paths to all arrays, numbers, words and lists of a document."""
    if is_array(item) or not isinstance(item, dict | list):
        return [path]
    entries = item.items() if isinstance(item, dict) else enumerate(item)
    found = [path] if isinstance(item, list) else []
    return found + [leaf for key, entry in entries for leaf in leaves(entry, (*path, key))]


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def put(document: Any, path: Path, item: Any) -> None:
    at(document, path[:-1])[path[-1]] = item


def pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


# ------------------------------------------------------------------ arrays


def values_of(item: dict[str, Any]) -> np.ndarray:
    data = np.asarray(item["data"])
    if item["dtype"].startswith("complex") and data.shape[-1:] == (2,):
        data = data[..., 0] + 1j * data[..., 1]
    return data if data.size else np.zeros(item["shape"])


def array_of(values: np.ndarray, dtype: str) -> dict[str, Any]:
    shown = np.stack([values.real, values.imag], axis=-1) if dtype.startswith("complex") else np.real(values)
    kind = np.dtype("float32" if dtype == "bfloat16" else dtype).kind
    if kind in "iu" and shown.dtype.kind in "fb":
        shown = np.clip(np.nan_to_num(np.rint(shown)), -(2.0**62), 2.0**62).astype(np.int64)
    if kind == "f":
        shown = np.asarray(shown, dtype=float)
    if kind == "b":
        shown = shown != 0
    return {"dtype": dtype, "shape": list(values.shape), "data": shown.tolist()}


def _scaled(values: np.ndarray, rng: Rng) -> np.ndarray:
    return values * pick(rng, FACTORS)


def _scaled_in_part(values: np.ndarray, rng: Rng) -> np.ndarray:
    if not values.size or not values.ndim:
        return values
    factors = np.ones(pick(rng, values.shape))
    factors[int(rng.integers(factors.size))] = pick(rng, FACTORS)
    fitting = [axis for axis in range(values.ndim) if values.shape[axis] == factors.size]
    return np.moveaxis(np.moveaxis(values, fitting[0], -1) * factors, -1, fitting[0])


def _one_entry(values: np.ndarray, rng: Rng) -> np.ndarray:
    changed = values.astype(object)
    if changed.size:
        k = int(rng.integers(changed.size))
        integer = values.dtype.kind in "iub"
        old = changed.flat[k]
        near = [int(old) + step for step in (-2, -1, 1, 2)] if integer else [old * pick(rng, FACTORS), -old]
        changed.flat[k] = pick(rng, near) if rng.random() < 0.6 else pick(rng, NUMBERS)
        if integer:
            changed.flat[k] = int(changed.flat[k]) if math.isfinite(changed.flat[k]) else 0
    kept = [item for item in changed.flat if isinstance(item, int)]
    if len(kept) == changed.size and all(abs(item) < 2**63 for item in kept):
        return changed.astype(np.int64)
    return changed.astype(complex if np.iscomplexobj(values) else float)


def _noisy(values: np.ndarray, rng: Rng) -> np.ndarray:
    size = 10.0 ** rng.integers(-14, 2)
    return values * (1.0 + size * rng.standard_normal(values.shape))


def _permuted(values: np.ndarray, rng: Rng) -> np.ndarray:
    return rng.permutation(values, axis=int(rng.integers(values.ndim))) if values.ndim else values


def _transposed(values: np.ndarray, rng: Rng) -> np.ndarray:
    return values.T


def _cut(values: np.ndarray, rng: Rng) -> np.ndarray:
    return values[
        tuple(slice(0, int(rng.integers(0, n + 1))) if rng.random() < 0.5 else slice(None) for n in values.shape)
    ]


def _narrowed(values: np.ndarray, rng: Rng) -> np.ndarray:
    """Length 1 along an axis: what would broadcast."""
    return values.take([0], axis=int(rng.integers(values.ndim))) if values.ndim and values.size else values


def _grown(values: np.ndarray, rng: Rng) -> np.ndarray:
    axis = int(rng.integers(values.ndim)) if values.ndim else 0
    return np.concatenate([values, values], axis=axis) if values.ndim else np.stack([values, values])


def _repeated(values: np.ndarray, rng: Rng) -> np.ndarray:
    if not values.ndim or not values.size:
        return values
    axis = int(rng.integers(values.ndim))
    order = np.arange(values.shape[axis])
    order[int(rng.integers(order.size))] = int(rng.integers(order.size))
    return values.take(order, axis=axis)


def _deeper(values: np.ndarray, rng: Rng) -> np.ndarray:
    return values[None] if rng.random() < 0.5 else values[..., None]


def _mirrored(values: np.ndarray, rng: Rng) -> np.ndarray:
    return -values if values.dtype.kind != "b" else ~values


ARRAY_MOVES: tuple[Callable[[np.ndarray, Rng], np.ndarray], ...] = (
    _scaled,
    _scaled_in_part,
    _one_entry,
    _one_entry,
    _noisy,
    _permuted,
    _transposed,
    _cut,
    _narrowed,
    _grown,
    _repeated,
    _deeper,
    _mirrored,
)


def changed_array(item: dict[str, Any], rng: Rng) -> dict[str, Any]:
    values, dtype = values_of(item), item["dtype"]
    with np.errstate(all="ignore"):
        if rng.random() < 0.2:
            dtype = pick(rng, DTYPES)
            if dtype.startswith("complex") and rng.random() < 0.7:
                values = values + 1j * pick(rng, (1.0, 1e6, 1e-9)) * rng.standard_normal(values.shape)
        else:
            values = pick(rng, ARRAY_MOVES)(values, rng)
            if dtype == "bool" and values.dtype.kind != "b":
                values = np.real(values) != 0
    return array_of(values, dtype)


def changed_item(item: Any, rng: Rng, name: Any = None) -> Any:
    """Change one array, number, word or list."""
    if name in WORDS and rng.random() < 0.8:
        return pick(rng, WORDS[name])
    if is_array(item):
        return changed_array(item, rng)
    if isinstance(item, bool):
        return not item if rng.random() < 0.7 else pick(rng, ODD)
    if isinstance(item, int) and rng.random() < 0.6:
        return item + pick(rng, (-2, -1, 1, 2, 10, item, -2 * item))
    if isinstance(item, float) and rng.random() < 0.6:
        return item * pick(rng, FACTORS)
    if isinstance(item, list) and item and rng.random() < 0.8:
        moves = [item[::-1], item[:-1], [*item, item[-1]], item[1:], [item[0]] * len(item)]
        return copy.deepcopy(pick(rng, moves))
    return pick(rng, NUMBERS) if rng.random() < 0.6 else copy.deepcopy(pick(rng, ODD))


# ------------------------------------------------------------------ documents


def _change_anything(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    part = "answer" if rng.random() < 0.5 else "certificate"
    path = (part, *pick(rng, leaves(document[part]) or [()]))
    if len(path) > 1:
        put(document, path, changed_item(at(document, path), rng, path[-1]))


def _change_witness(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    witness = document["certificate"]["witness"]
    paths = leaves(witness) if isinstance(witness, dict) else []
    if paths:
        path = pick(rng, paths)
        put(witness, path, changed_item(at(witness, path), rng, path[-1]))


def _swap(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    """Take a field, a part of the witness, the witness or the whole certificate from another result."""
    other = copy.deepcopy((kin if rng.random() < 0.8 else stranger).document)
    choice = rng.random()
    if choice < 0.4:
        name = pick(rng, sorted(other["answer"]))
        document["answer"][name if name in document["answer"] else pick(rng, sorted(document["answer"]))] = other[
            "answer"
        ][name]
    elif choice < 0.7 and other["certificate"]["witness"] and isinstance(document["certificate"]["witness"], dict):
        name = pick(rng, sorted(other["certificate"]["witness"]))
        document["certificate"]["witness"][name] = other["certificate"]["witness"][name]
    elif choice < 0.9:
        for name in ("witness", "theorem"):
            document["certificate"][name] = other["certificate"][name]
    else:
        document["answer"] = other["answer"]


def _swap_within(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    answer = document["answer"]
    one, two = pick(rng, sorted(answer)), pick(rng, sorted(answer))
    answer[one], answer[two] = answer[two], answer[one]


def _change_together(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    """Change all numbers and arrays of the answer, or two of them, by one factor: what cancels goes unseen."""
    answer, factor = document["answer"], pick(rng, FACTORS)
    arrays = [name for name in answer if is_array(answer[name]) and answer[name]["dtype"].startswith("float")]
    for name in [name for name in arrays if rng.random() < 0.6]:
        with np.errstate(all="ignore"):
            answer[name] = array_of(values_of(answer[name]) * factor, answer[name]["dtype"])


def _claim(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    """Raise the bound, lower the value, or shift both."""
    certificate = document["certificate"]
    value, bound = (certificate[name] for name in ("value", "lower_bound"))
    if not all(isinstance(item, int | float) for item in (value, bound)):
        return
    change = pick(rng, (1e-12, 1e-9, 1e-3, 0.1, 0.5))
    if isinstance(value, int):
        value, bound = (value - 1, min(bound, value - 1)) if rng.random() < 0.5 else (value, min(bound + 1, value))
    else:
        value *= pick(rng, (1.0, 1.0 - change))
        bound = min(bound * (1.0 + change) + pick(rng, (0.0, change)) * (value - bound), value)
    certificate.update(value=value, lower_bound=min(bound, value))


def _hold_the_probes(document: dict[str, Any], rng: Rng, kin: Honest, stranger: Honest) -> None:
    """Let a basis hold Gaussian vectors of a seed: the probes, if the prover could choose their seed."""
    witness = document["certificate"]["witness"]
    if not isinstance(witness, dict) or not is_array(witness.get("basis")):
        return
    rows, width = (*witness["basis"]["shape"], 1)[:2]
    seed = int(rng.integers(4))
    probes = np.random.default_rng(seed).standard_normal((rows, max(width, 1)))
    witness["basis"] = array_of(np.linalg.qr(probes)[0], "float64")
    witness.update({"seed": seed, "delta": pick(rng, (1e-12, 1e-3, 0.5))} if rng.random() < 0.5 else {})


MOVES = (
    _change_anything,
    _change_witness,
    _change_witness,
    _swap,
    _swap_within,
    _change_together,
    _hold_the_probes,
    _claim,
)


def derived(text: str, inputs: tuple[Any, ...]) -> Certificate | None:
    """What a checker would derive from a document, if it derives anything: the forger may look."""
    try:
        return from_json(text).recheck(*inputs)
    except Exception:  # the forger does not care why it failed; `infimum.verify` is asked later
        return None


def adopt(document: dict[str, Any], inputs: tuple[Any, ...]) -> None:
    """Claim just what a checker derives: then nothing but the hypotheses of its theorem can refuse it."""
    found = derived(json.dumps(document), inputs)
    if found is not None:
        document["certificate"].update({name: getattr(found, name) for name in ("theorem", "rigour", "confidence")})
        document["certificate"].update(value=found.value, lower_bound=found.lower_bound)


def climb(document: dict[str, Any], inputs: tuple[Any, ...], rng: Rng, steps: int = 6) -> None:
    """Change the witness greedily, and keep what raises the bound that a checker derives."""
    best = derived(json.dumps(document), inputs)
    for _ in range(steps):
        trial = copy.deepcopy(document)
        _change_witness(trial, rng, *([Honest("", (), {})] * 2))
        found = derived(json.dumps(trial), inputs)
        if found is not None and (best is None or found.lower_bound > best.lower_bound):
            best = found
            document["certificate"]["witness"] = trial["certificate"]["witness"]


def forge(rng: Rng, own: tuple[Honest, ...], others: tuple[Honest, ...]) -> Forgery:
    """Draw an honest result and change it one to four times; often claim what a checker derives from the outcome."""
    start = pick(rng, own)
    document = copy.deepcopy(start.document)
    for _ in range(int(rng.integers(1, 5))):
        pick(rng, MOVES)(document, rng, pick(rng, own), pick(rng, others))
    if rng.random() < 0.2:
        climb(document, start.inputs, rng)
    if rng.random() < 0.8:
        adopt(document, start.inputs)
    if rng.random() < 0.2:
        _claim(document, rng, start, start)
    text = json.dumps(document, allow_nan=True)
    return Forgery(start.inputs, damaged(text, rng) if rng.random() < 0.05 else text)


def damaged(text: str, rng: Rng) -> str:
    """Damage the text itself: characters lost, doubled or put in, numbers without end, nesting, a key twice."""
    k = int(rng.integers(1, len(text)))
    number = text.find("1", k)
    return pick(
        rng,
        (
            text[:k],
            text[:k] + text[k + 1 :],
            text[:k] + text[k - 1 :],
            text[:k] + pick(rng, ("0", "-", ",", "]", "}", '"', "NaN", "\x00", "\u2028")) + text[k:],
            text[:number] + "1" * pick(rng, (300, 5000, 100_000)) + text[number:],
            text[:number] + "[" * 100_000 + text[number:],
            text.replace('"value"', '"value": 0, "value"'),
            text.replace('"shape": [', '"shape": [1' + "0" * 30 + ", "),
        ),
    )
