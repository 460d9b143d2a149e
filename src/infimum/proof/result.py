"""The base of all results: an answer, its certificate, and a JSON form that keeps every bit."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import math
import pkgutil
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from infimum._arrays import Array, is_array, like_array, namespace, to_numpy
from infimum._display import Shown
from infimum._spread import at_hand, in_chunks, settled
from infimum.errors import FileFormatError
from infimum.proof import strict_json
from infimum.proof.certificate import Certificate, is_finite
from infimum.proof.evidence import shown

JSON_VERSION = 1
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
STORED = ("bool", *INTEGERS, "bfloat16", "float16", "float32", "float64", "complex64", "complex128")  # dtypes in JSON

# NumPy has no bfloat16: such an array is read as float32, which holds its numbers, and its dtype says what it was
BFLOAT16 = np.dtype("float32", metadata={"stored": "bfloat16"})

_classes: dict[str, type[Result]] = {}


@dataclasses.dataclass(frozen=True)
class Result(Shown):
    """Abstract base: a frozen dataclass of answer fields and `certificate`.

    A concrete result names its problem (``"room.function"``, the register's name) and the inputs of the problem, says
    how its certificate is derived, and draws itself.
    """

    problem: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    certificate: Certificate = dataclasses.field(kw_only=True)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__eq__ = cls.__eq__  # type: ignore[method-assign]  # else a dataclass would write one that knows no arrays
        if "problem" in cls.__dict__:
            _classes[cls.problem] = cls

    def __eq__(self, other: object) -> bool:
        """Tell whether the answers are of one kind and hold the same numbers, in the same types of one library."""
        if type(other) is not type(self):
            return NotImplemented
        compared = [field.name for field in dataclasses.fields(self) if field.compare]
        return all(_same(getattr(self, name), getattr(other, name)) for name in compared)

    def __post_init__(self) -> None:
        own: Any = type(self)
        for name in _of_tuples(own):  # JSON brings lists
            object.__setattr__(self, name, _tuples(getattr(self, name)))

    def plot(self, ax: Any = None) -> Any:
        """Draw the answer and its certificate on matplotlib axes (new ones by default) and return the axes."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is drawn")

    def recheck(self, *inputs: Any, **drawn: Any) -> Certificate:
        """Derive the certificate again from the inputs, the answer and the witness alone (see `infimum.verify`).

        Where a random draw takes part in the proof, a keyword `rng` draws anew.
        """
        raise NotImplementedError(f"{type(self).__name__} must say how its certificate is derived")

    def brought_to(self, inputs: tuple[Any, ...]) -> Self:
        """Return the result with its NumPy arrays in the library and on the device of the inputs.

        A result read from JSON holds NumPy arrays; one that holds arrays of another library stays as it is. Arrays in
        chunks are computed once, so that every look finds the same: where they are if the input lies in chunks as well.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        chunked = [name for name, item in fields.items() if in_chunks(item)]
        if chunked:
            stay = any(in_chunks(getattr(item, "source", None)) for item in inputs)
            found = [a if stay else at_hand(a) for a in settled(*(fields[name] for name in chunked))]
            return dataclasses.replace(self, **dict(zip(chunked, found, strict=True)))
        like = next((item for item in inputs if is_array(item) and not isinstance(item, np.ndarray)), None)
        if like is None or any(is_array(item) and not isinstance(item, np.ndarray) for item in fields.values()):
            return self
        moved = {name: _moved(item, like) for name, item in fields.items() if isinstance(item, np.ndarray)}
        return dataclasses.replace(self, **moved)

    def to_json(self) -> str:
        """Return the answer and its certificate as JSON text; every number is kept exactly."""
        answer = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "certificate"}
        certificate = {f.name: getattr(self.certificate, f.name) for f in dataclasses.fields(self.certificate)}
        document = {"infimum": JSON_VERSION, "problem": self.problem, "answer": answer, "certificate": certificate}
        return json.dumps(_encode(document), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` wrote. Arrays come back as NumPy arrays, whatever library they came from."""
        return cls._from_document(_document(text))

    @classmethod
    def _from_document(cls, document: Mapping[str, Any]) -> Self:
        if document["problem"] != cls.problem:
            raise FileFormatError(f"expected a result of {cls.problem}, got one of {shown(document['problem'])}")
        try:
            answer, claims = _decode(document["answer"]), _decode(document["certificate"])
            _require_claims(claims)
            return cls(**answer, certificate=Certificate(**claims))
        except Exception as error:  # whatever is wrong with the text of a file is the file's fault
            raise FileFormatError(
                f"this is no result of {cls.problem} as to_json writes it: {shown(str(error))}"
            ) from error


def from_json(text: str) -> Result:
    """Read a result of any problem back from what its `to_json` wrote."""
    document = _document(text)
    return class_of(document["problem"])._from_document(document)


def class_of(problem: str) -> type[Result]:
    """Return the class of the answers to a problem."""
    if problem not in _classes:
        answers = importlib.import_module("infimum.proof.answers")
        for module in pkgutil.iter_modules(answers.__path__, f"{answers.__name__}."):
            importlib.import_module(module.name)
    if problem not in _classes:
        raise FileFormatError(f"problem must be one of {', '.join(sorted(_classes))}, got {shown(problem)}")
    return _classes[problem]


def _document(text: str) -> dict[str, Any]:
    """Parse the outer form of a result, strictly: no NaN, no key twice, no endless number."""
    try:
        document: dict[str, Any] = strict_json.parse(text)
    except FileFormatError as error:
        raise FileFormatError(f"expected the JSON of an infimum result: {error}") from error
    version = document.get("infimum") if isinstance(document, dict) else None
    if type(version) is not int or version != JSON_VERSION:
        raise FileFormatError(f"expected infimum JSON of version {JSON_VERSION}, got something else")
    if not {"problem", "answer", "certificate"} <= document.keys() or not isinstance(document["problem"], str):
        raise FileFormatError("expected the JSON of an infimum result, with 'problem', 'answer' and 'certificate'")
    return dict(document)


def _require_claims(claims: dict[str, Any]) -> None:
    """Ask what a file says of a certificate, so that a false one is the file's fault and not a solver's."""
    names = {field.name for field in dataclasses.fields(Certificate)}
    if claims.keys() != names:
        raise FileFormatError(f"a certificate has {', '.join(sorted(names))}, and nothing else")
    if not isinstance(claims["witness"], dict) or not isinstance(claims["theorem"], str):
        raise FileFormatError("a witness is an object, and a theorem a name")
    value, bound = claims["value"], claims["lower_bound"]
    if claims["rigour"] != "exact" and any(isinstance(item, int) and abs(item) > 2**53 for item in (value, bound)):
        raise FileFormatError(f"value and lower bound must be floats, got {shown(value)} and {shown(bound)}")
    if all(isinstance(item, int | float) and is_finite(item) for item in (value, bound)) and bound <= value:
        return
    raise FileFormatError(f"value and lower bound must be finite and ordered, got {shown(value)} and {shown(bound)}")


def _encode(item: Any) -> Any:
    if is_array(item):
        return _encode_array(item)
    if isinstance(item, dict) or hasattr(item, "keys"):
        return {str(key): _encode(item[key]) for key in item}
    if isinstance(item, list | tuple):
        return [_encode(entry) for entry in item]
    return item


def _encode_array(array: Array) -> dict[str, Any]:
    values = to_numpy(array)
    parts = np.stack([values.real, values.imag], axis=-1) if np.iscomplexobj(values) else values
    dtype = "bfloat16" if "bfloat16" in str(array.dtype) else str(values.dtype)
    # float() of a 16-, 32- or 64-bit float is exact and Python prints the shortest digits that read back the same
    return {"dtype": dtype, "shape": list(values.shape), "data": parts.tolist()}


def _decode(item: Any) -> Any:
    if isinstance(item, dict):
        if item.keys() == {"dtype", "shape", "data"}:
            return _decode_array(item)
        return {key: _decode(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_decode(entry) for entry in item]
    return item


def _decode_array(item: dict[str, Any]) -> np.ndarray[Any, Any]:
    name, shape = item["dtype"], item["shape"]
    if name not in STORED:
        raise FileFormatError(f"the dtype of an array must be one of {', '.join(STORED)}, got {shown(name)}")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise FileFormatError(f"the shape of an array must be a list of whole numbers, got {shown(shape)}")
    dtype = BFLOAT16 if name == "bfloat16" else np.dtype(name)
    read = np.asarray(item["data"])
    expected = (*shape, 2) if dtype.kind == "c" else tuple(shape)
    if read.shape != expected and not (read.size == 0 == math.prod(expected)):
        raise FileFormatError(f"an array of shape {shown(shape)} and dtype {name} holds data of shape {read.shape}")
    if read.size and read.dtype.kind not in {"b": "b", "i": "iu", "u": "iu"}.get(dtype.kind, "iuf"):
        raise FileFormatError(f"an array of dtype {name} holds something else: {read.dtype}")
    with np.errstate(over="ignore"):
        values = read[..., 0] + 1j * read[..., 1] if dtype.kind == "c" and read.size else read
        array = np.asarray(values, dtype=dtype).reshape(shape)
    if not np.all(np.isfinite(array)) or (dtype.kind in "iu" and not np.array_equal(array, values.reshape(shape))):
        raise FileFormatError(f"a number does not fit the dtype {name} of its array")
    return array


@functools.cache
def _of_tuples(answer: Any) -> list[str]:
    """Return the names of the fields that hold tuples."""
    return [field.name for field in dataclasses.fields(answer) if str(field.type).startswith("tuple")]


def _tuples(item: Any) -> Any:
    """Return lists, and those inside of them, as tuples; anything else as it is."""
    return tuple(_tuples(entry) for entry in item) if isinstance(item, list | tuple) else item


def _same(one: Any, other: Any) -> bool:
    """Compare values, arrays entry by entry."""
    if is_array(one) and is_array(other):
        alike = type(one) is type(other) and one.dtype == other.dtype and tuple(one.shape) == tuple(other.shape)
        return alike and bool(namespace(one=one, other=other).all(one == other))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return not is_array(one) and not is_array(other) and bool(one == other)


def _moved(array: np.ndarray, like: Array) -> Array:
    """Move a host array to where `like` is; what was stored as bfloat16 becomes itself again."""
    moved = like_array(array, like)
    if array.dtype.metadata == BFLOAT16.metadata and "bfloat16" in str(like.dtype):
        return namespace(moved=moved).astype(moved, like.dtype)
    return moved
