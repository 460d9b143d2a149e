"""The base of all results: an answer, its certificate, and a JSON form that keeps every bit."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Self

import numpy as np

from infimum._arrays import Array, is_array, to_numpy
from infimum.errors import FileFormatError
from infimum.proof.certificate import Certificate

JSON_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Result:
    """Abstract base: a frozen dataclass of answer fields and `certificate`.

    A concrete result names its problem (``"room.function"``, the register's name) and draws itself.
    """

    problem: ClassVar[str]
    certificate: Certificate = dataclasses.field(kw_only=True)

    def plot(self, ax: Any = None) -> Any:
        """Draw the answer and its certificate on matplotlib axes (new ones by default) and return the axes."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is drawn")

    def recheck(self, *inputs: Any) -> Certificate:
        """Derive the certificate again from the inputs, the answer and the witness alone (see `infimum.verify`)."""
        raise NotImplementedError(f"{type(self).__name__} must say how its certificate is derived")

    def to_json(self) -> str:
        """Return the answer and its certificate as JSON text; every number is kept exactly."""
        answer = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "certificate"}
        certificate = {f.name: getattr(self.certificate, f.name) for f in dataclasses.fields(self.certificate)}
        document = {"infimum": JSON_VERSION, "problem": self.problem, "answer": answer, "certificate": certificate}
        return json.dumps(_encode(document), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` wrote. Arrays come back as NumPy arrays, whatever library they came from."""
        document = _decode(json.loads(text))
        if not isinstance(document, dict) or document.get("infimum") != JSON_VERSION:
            raise FileFormatError(f"expected infimum JSON of version {JSON_VERSION}, got something else")
        if document["problem"] != cls.problem:
            raise FileFormatError(f"expected a result of {cls.problem}, got one of {document['problem']}")
        return cls(**document["answer"], certificate=Certificate(**document["certificate"]))


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
    # float() of a 16-, 32- or 64-bit float is exact and Python prints the shortest digits that read back the same
    return {"dtype": str(values.dtype), "shape": list(values.shape), "data": parts.tolist()}


def _decode(item: Any) -> Any:
    if isinstance(item, dict):
        if item.keys() == {"dtype", "shape", "data"}:
            return _decode_array(item)
        return {key: _decode(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_decode(entry) for entry in item]
    return item


def _decode_array(item: dict[str, Any]) -> np.ndarray[Any, Any]:
    dtype = np.dtype(item["dtype"])
    if dtype.kind == "c":
        parts = np.asarray(item["data"], dtype=np.float64).reshape(*item["shape"], 2)
        return np.asarray(parts[..., 0] + 1j * parts[..., 1], dtype=dtype)
    return np.asarray(item["data"], dtype=dtype).reshape(item["shape"])
