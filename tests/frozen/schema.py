"""The JSON Schema of results, derived from their classes: what `to_json` writes and `from_json` reads."""

import dataclasses
import importlib
import pkgutil
import re
import typing

from infimum.proof import answers
from infimum.proof.certificate import Rigour
from infimum.proof.result import JSON_VERSION, STORED, Result

ARRAY = {"$ref": "#/$defs/array"}
TYPES = {
    "Array": ARRAY,
    "np.ndarray": ARRAY,
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Any": {},
}
OPTIONAL = {("lowrank.interpolative", "columns"), ("lowrank.interpolative", "rows")}  # None, said in words only


def schema():
    """Return the schema of all results of this version."""
    classes = sorted(result_classes(), key=lambda item: item.problem)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Result of infimum",
        "description": "An answer with its certificate, as result.to_json() and the option --json write it. "
        "Other keys may stand beside the four: readers ignore them.",
        "type": "object",
        "required": ["infimum", "problem", "answer", "certificate"],
        "properties": {
            "infimum": {"const": JSON_VERSION, "description": "version of the form"},
            "problem": {"enum": [item.problem for item in classes]},
            "certificate": {"$ref": "#/$defs/certificate"},
            "names": {
                "description": "names of the rows and columns that the answer points to, by its fields; written by the "
                "command line where the input has them",
                "type": "object",
                "additionalProperties": {"type": "array"},
            },
        },
        "oneOf": [{"$ref": f"#/$defs/{item.problem}"} for item in classes],
        "$defs": {"array": array(), "certificate": certificate(), **{item.problem: answer(item) for item in classes}},
    }


def result_classes():
    """Return the classes of all answers."""
    modules = [importlib.import_module(m.name) for m in pkgutil.iter_modules(answers.__path__, f"{answers.__name__}.")]
    owned = (item for module in modules for item in vars(module).values() if hasattr(item, "problem"))
    return {item for item in owned if isinstance(item, type) and issubclass(item, Result)}


def array():
    return {
        "description": "All numbers of an array, nested by its axes; the digits read back to the same bits. Complex "
        "numbers are pairs, along one more axis.",
        "type": "object",
        "required": ["dtype", "shape", "data"],
        "additionalProperties": False,
        "properties": {
            "dtype": {"enum": list(STORED)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": ["array", "number", "boolean"]},
        },
    }


def certificate():
    return {
        "description": "lower_bound <= optimum <= value; whole numbers where both are exact.",
        "type": "object",
        "required": ["value", "lower_bound", "theorem", "rigour", "confidence", "witness"],
        "additionalProperties": False,
        "properties": {
            "value": {"type": "number"},
            "lower_bound": {"type": "number"},
            "theorem": {"type": "string", "description": "the page docs/theorems/THEOREM of the documentation"},
            "rigour": {"enum": list(typing.get_args(Rigour))},
            "confidence": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "witness": {"type": "object", "description": "what a checker needs besides input and answer"},
        },
    }


def answer(item):
    """Return the schema of the answer of one problem."""
    fields = {field.name: field.type for field in dataclasses.fields(item) if field.name != "certificate"}
    properties = {name: of_type(str(text), (item.problem, name) in OPTIONAL) for name, text in fields.items()}
    return {
        "properties": {
            "problem": {"const": item.problem},
            "answer": {
                "type": "object",
                "required": list(fields),
                "additionalProperties": False,
                "properties": properties,
            },
        }
    }


def of_type(text, optional=False):
    """Return the schema of an annotation."""
    parts = [part.strip() for part in re.split(r"\|(?![^\[]*\])", text)] + (["None"] if optional else [])
    if len(parts) > 1:
        return {"anyOf": [of_type(part) for part in parts]}
    return {"type": "array"} if text.startswith("tuple[") else TYPES[text]
