"""What a compressed folder says about itself, and how its claims are compared with what is derived.

Reading and comparing needs no model: PyTorch and transformers are not imported here. What `infimum verify FOLDER` runs
beside this is listed in `infimum.compress.verify.TRUSTED`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infimum._display import Shown
from infimum.errors import CheckpointError, FileFormatError, VerificationError
from infimum.proof import strict_json
from infimum.proof.evidence import array, flag, number, shown, whole
from infimum.proof.folder import DESCRIPTION

TEXT, CHANNELS = "calibration.safetensors", "channels.safetensors"
SCHEMA = 4
VERSIONS = ("python", "infimum", "numpy", "scipy", "torch", "transformers", "safetensors")  # that are written down
VERSION = re.compile(r"[0-9A-Za-z.+!_-]{1,64}")
LONGEST = 2**26  # bytes of a description that are read: far more than 10,000 layers need
LARGEST = 2**53
SEEDS = 2**63
PROJECTIONS = 256  # as many can be measured, and no more are verified: each is a pass over the text

PLANNED = ("settings", "budget", "multiplier", "certificate", "layers", "notes")
KEYS = ("schema", "original", "calibration", *PLANNED, "adapter", "peak_memory", "versions", "files")
CALIBRATION = ("paragraphs", "tokens", "sha256", "goal", "seed", "projections", "split")


@dataclass(frozen=True)
class LayerPlan(Shown):
    """What becomes of one layer.

    `kept` are the outputs and inputs that are left; what the removal of channels loses is an error of the layer that
    read them. Form "channels" is a smaller matrix of full rank.
    `cost` and `dense_cost` count numbers, `cost` those of the settings' form (form "plain" stores the product of its
    factors, as many numbers as before); `error` is measured on the numbers as stored, `lower_bound` holds for every
    matrix of that rank (form "plain": and for those as near to one as its rounding left it); `share` is the part of
    the total error. Form "bits" has integers of so many `bits`, a scale for each `group` of columns, and as its
    cost as many numbers of the layer's dtype as take its bytes; "bit-factors" are two such matrices. Their
    `lower_bound` is for the half of the text that judges: it holds for every rounding to the grid, for every matrix of
    the rank ("bit-factors"), or for every matrix that reads the inputs that are kept.
    """

    name: str
    tensor: str
    shape: tuple[int, int]
    kept: tuple[int, int]
    form: str
    rank: int
    cost: int
    dense_cost: int
    error: float
    lower_bound: float
    share: float
    note: str = ""
    bits: int = 0
    group: int = 0

    @property
    def gap(self) -> float:
        """``error - lower_bound``: what another matrix of the same rank could gain at most."""
        return self.error - self.lower_bound

    @classmethod
    def read(cls, item: Any) -> LayerPlan:
        """Read a row of a description: every part of its kind and in its range."""
        row = mapping("a row of 'layers'", item, [field.name for field in dataclasses.fields(cls)])
        name = text("the name of a layer", row["name"])
        parts: dict[str, Any] = {p: text(f"{name}: {p}", row[p]) for p in ("name", "tensor", "form", "note")}
        parts |= {p: _pair(f"{name}: {p}", row[p]) for p in ("shape", "kept")}
        parts |= {p: whole(f"{name}: {p}", row[p], least=1, most=LARGEST) for p in ("rank", "cost", "dense_cost")}
        parts |= {p: whole(f"{name}: {p}", row[p], least=0, most=LARGEST) for p in ("bits", "group")}
        parts |= {p: number(f"{name}: {p}", row[p], least=0.0) for p in ("error", "lower_bound", "share")}
        read = cls(**parts)
        _ordered(name, read.error, read.lower_bound)
        return read


@dataclass(frozen=True)
class Description:
    """What `infimum.json` says, every part of its kind and in its range; what must be derived is not yet."""

    original: str
    original_hashes: Mapping[str, str]
    settings: Mapping[str, Any]
    calibration: Mapping[str, Any]
    budget: int
    multiplier: float
    value: float
    lower_bound: float
    layers: tuple[LayerPlan, ...]
    notes: tuple[str, ...]
    adapter: Mapping[str, Any] | None
    files: Mapping[str, str]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Description:
        """Read a description; unknown and absent keys are refused."""
        mapping(DESCRIPTION, document, KEYS)
        original = mapping("'original'", document["original"], ("path", "sha256"))
        certificate = mapping("'certificate'", document["certificate"], ("value", "lower_bound"))
        value, bound = (number(name, certificate[name], least=0.0) for name in ("value", "lower_bound"))
        _ordered("certificate", value, bound)
        whole("peak_memory", document["peak_memory"], least=0, most=LARGEST)
        for name, version in mapping("'versions'", document["versions"], VERSIONS).items():
            if not VERSION.fullmatch(text(f"version of {name}", version)):
                raise VerificationError(f"version of {name}: a version number was expected, got {shown(version)}")
        return cls(
            text("the path of the original", original["path"]),
            _texts("the hashes of the original", original["sha256"]),
            mapping("'settings'", document["settings"], None),
            mapping("'calibration'", document["calibration"], CALIBRATION),
            whole("budget", document["budget"], least=0, most=LARGEST),
            number("multiplier", document["multiplier"], least=0.0),
            value,
            bound,
            tuple(map(LayerPlan.read, listed("layers", document["layers"]))),
            tuple(text("a note", note) for note in listed("notes", document["notes"])),
            None if document["adapter"] is None else mapping("'adapter'", document["adapter"], ("rank", "value")),
            _texts("files", document["files"]),
        )


def read_description(out: Path) -> Description:
    """Read `infimum.json` of a compressed checkpoint."""
    path = out / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{out} has no {DESCRIPTION}; give a folder that infimum.compress wrote")
    if path.stat().st_size > LONGEST:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes, at most {LONGEST} are read; it is damaged")
    try:
        document = strict_json.parse(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, FileFormatError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); the folder is damaged") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, bool) or schema != SCHEMA:
        raise CheckpointError(f"{path} has schema {shown(schema)}, this version reads {SCHEMA}")
    return Description.read(document)


def check_tokens(ids: Any, mask: Any) -> None:
    """Ask that stored tokens are rows of ids, padded behind."""
    rows, length = array("ids", ids, (None, None), "integer").shape
    array("mask", mask, (rows, length), "integer")
    if ids.dtype != np.int64 or mask.dtype != np.int64:
        raise VerificationError(f"ids and mask in {TEXT} must be int64, got {ids.dtype} and {mask.dtype}")
    lengths = mask.sum(axis=1)
    if rows == 0 or not np.array_equal(mask, np.arange(length) < lengths[:, None]) or int(lengths.min()) < 1:
        raise VerificationError(f"the mask in {TEXT} must be ones and then zeros, with a token in every row")
    if int(ids.min()) < 0:
        raise VerificationError(f"token ids must not be negative, got {int(ids.min())}")


def check_inputs(inputs: Mapping[str, Any]) -> None:
    """Ask that stored inputs of other kinds are finite arrays with one number of rows."""
    if not inputs or any(value.ndim == 0 for value in inputs.values()):
        raise VerificationError(f"{TEXT} must hold arrays whose first axis are rows")
    for name, value in inputs.items():
        if value.dtype not in (np.int64, np.float32, np.bool_) or not np.all(np.isfinite(value)):
            raise VerificationError(
                f"{TEXT}: {shown(name)} must be finite, in int64, float32 or bool, got {value.dtype}"
            )
    if len(rows := {len(value) for value in inputs.values()}) != 1 or rows == {0}:
        raise VerificationError(f"all inputs in {TEXT} must have one number of rows, got {sorted(rows)}")


def check_calibration(claimed: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
    """Compare what is said about the calibration with what is derived from the stored inputs and from the model."""
    for name, value in derived.items():
        same(f"calibration: {name}", claimed[name], value)
    whole("calibration: seed", claimed["seed"], least=0, most=SEEDS - 1)
    whole("calibration: projections", claimed["projections"], least=1, most=PROJECTIONS)
    flag("calibration: split", claimed["split"])


def check_totals(described: Description, error: float, bound: float) -> None:
    """Ask that the certificate follows from the derived total error and bound, and the shares from the claimed rows."""
    follows("total error", described.value, error, 1)
    follows("total lower bound", described.lower_bound, bound, -1)
    for row, share in zip(described.layers, shares([row.error for row in described.layers]), strict=True):
        same(f"{row.name}: share", row.share, share)


def check_row(claimed: LayerPlan, derived: LayerPlan) -> None:
    """Ask that the claims of a row follow from what is derived."""
    for name in ("tensor", "shape", "kept", "form", "rank", "cost", "dense_cost", "note", "bits", "group"):
        same(f"{derived.name}: {name}", getattr(claimed, name), getattr(derived, name))
    follows(f"{derived.name}: error", claimed.error, derived.error, 1)
    follows(f"{derived.name}: lower bound", claimed.lower_bound, derived.lower_bound, -1)


def total(errors: Sequence[float]) -> float:
    """Sum of errors, rounded upwards."""
    return math.nextafter(math.fsum(errors), math.inf) if any(errors) else 0.0


def shares(errors: Sequence[float]) -> list[float]:
    """Part of each error in their sum."""
    whole_error = math.fsum(errors)
    return [error / whole_error if whole_error else 0.0 for error in errors]


def follows(what: str, claimed: float, derived: float, sign: int) -> None:
    """Ask that a claimed error is not below the derived one (sign 1), or a claimed bound not above it (sign -1)."""
    if sign * claimed < sign * derived:
        raise VerificationError(f"{what}: claimed {claimed!r}, derived {derived!r}; the claim does not follow")


def same(what: str, claimed: Any, derived: Any) -> None:
    """Ask that a claim is what is derived, in kind and value."""
    if type(claimed) is not type(derived) or claimed != derived:
        raise VerificationError(f"{what}: claimed {shown(claimed)}, derived {shown(derived)}")


def mapping(name: str, item: Any, keys: Sequence[str] | None) -> Mapping[str, Any]:
    """Return a JSON object that has exactly these keys (None: any)."""
    if not isinstance(item, dict):
        raise VerificationError(f"{name} must be an object, got {shown(item)}")
    if keys is not None and item.keys() != set(keys):
        odd = sorted(item.keys() ^ set(keys))
        raise VerificationError(f"{name} must have the keys {', '.join(keys)}; unknown or absent: {shown(odd)}")
    return item


def text(name: str, item: Any) -> str:
    """Return a string."""
    if not isinstance(item, str):
        raise VerificationError(f"{name} must be a string, got {shown(item)}")
    return item


def listed(name: str, item: Any) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(item, list):
        raise VerificationError(f"'{name}' must be a list, got {shown(item)}")
    return item


def _texts(name: str, item: Any) -> dict[str, str]:
    return {key: text(f"{name}: {key}", value) for key, value in mapping(name, item, None).items()}


def _pair(name: str, item: Any) -> tuple[int, int]:
    if not isinstance(item, list) or len(item) != 2:
        raise VerificationError(f"{name} must be two numbers, got {shown(item)}")
    first, second = (whole(name, part, least=1, most=LARGEST) for part in item)
    return first, second


def _ordered(name: str, value: float, bound: float) -> None:
    if bound > value:
        raise VerificationError(f"{name}: the bound {bound!r} lies above the error {value!r}")
