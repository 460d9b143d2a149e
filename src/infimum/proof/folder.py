"""The files of a model folder: which there are, which of them a compressed one must share, and their hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from infimum.errors import CheckpointError, VerificationError
from infimum.proof.evidence import shown

CONFIG, DESCRIPTION = "config.json", "infimum.json"
# what holds weights, in any of the formats that loaders look for, and the tables of contents of such files
WEIGHT_SUFFIXES = {".safetensors", ".bin", ".gguf", ".ggml", ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot"}
WEIGHT_SUFFIXES |= {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npz", ".npy", ".tflite", ".mlmodel", ".nemo"}
INDEX_SUFFIX = ".index.json"


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check_model_folder(path: Path) -> None:
    """Ask that a path is the folder of a model: one that holds its configuration."""
    if not path.is_dir():
        raise CheckpointError(
            f"a model folder was expected, got {path}; give the folder that holds {CONFIG}, or fetch a model of the "
            "Hugging Face Hub first: hf download NAME --local-dir FOLDER"
        )
    if not (path / CONFIG).is_file():
        raise CheckpointError(f"{path} has no {CONFIG}; give the folder of a transformers checkpoint")


def own_file(path: Path, folder: Path) -> Path:
    """Return a path if it is a file of that folder; refuse what is none, and links that lead out of it.

    A link may lead to another file of the folder. In the cache of the hub, ``snapshots/<revision>/x`` may be a link to
    ``blobs/<hash>`` of the same repository.
    """
    root = folder.resolve()
    target = path.resolve()
    hub = root.parent.name == "snapshots" and target.parent == root.parent.parent / "blobs"
    if not (target.is_relative_to(root) or hub):
        raise CheckpointError(
            f"{path} leads out of the folder, to {target}; put the file itself there, if it belongs to the model"
        )
    if not target.is_file():
        raise CheckpointError(f"{path} is no file that can be read; remove it, or put the file there")
    return path


def companions(folder: Path) -> dict[str, Path]:
    """Return tokenizer, configuration and the like, at any depth: files that are not hidden and hold no weights."""
    found = {}
    for where, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]  # not entered, so refused as files
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted((*files, *links)):
            path = Path(where) / name
            if not (name.startswith(".") or path.suffix in WEIGHT_SUFFIXES or name.endswith(INDEX_SUFFIX)):
                found[path.relative_to(folder).as_posix()] = own_file(path, folder)
    return found


def inventory(folder: Path) -> dict[str, Path]:
    """Return all files of a folder, hidden ones too, at any depth; refuse links and what is no file."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where) / name
            kind = path.lstat().st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise VerificationError(f"{path} must be a file or a folder, and is a link or something else")
            if stat.S_ISREG(kind):
                found[path.relative_to(folder).as_posix()] = path
    return found


def check_hashes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Ask that a folder holds exactly the files that its description names, with these hashes."""
    there = inventory(folder)
    there.pop(DESCRIPTION, None)
    if missing := sorted(hashes.keys() - there.keys()):
        raise CheckpointError(f"{shown(missing[0])} is missing from {folder}")
    if unknown := sorted(there.keys() - hashes.keys()):
        raise VerificationError(f"{shown(unknown[0])} is in {folder}, and {DESCRIPTION} does not name it")
    for name, expected in hashes.items():
        if file_hash(there[name]) != expected:
            raise VerificationError(f"{name} was changed after it was written: its hash differs")


def check_companions(folder: Path, original: Path, written: Mapping[str, str]) -> list[str]:
    """Compare tokenizer and the like with the original's, and what was `written` anew with its text; return names."""
    expected = companions(original)
    for name in sorted(expected.keys() | written.keys()):
        if not (folder / name).is_file():
            raise CheckpointError(f"{name} is missing from {folder}")
        if name in written:
            if (folder / name).read_bytes() != written[name].encode():
                raise VerificationError(f"{name} must be what this version of infimum writes for this model")
        elif file_hash(folder / name) != file_hash(expected[name]):
            raise VerificationError(f"{name} must be that of the original, {expected[name]}, and is not")
    return sorted(expected.keys() | written.keys())


def check_outside(folder: Path, original: Path) -> None:
    """Ask that the original is not a part of what it is compared with."""
    inside, outer = original.resolve(), folder.resolve()
    if inside == outer or inside.is_relative_to(outer):
        raise VerificationError(f"the original, {original}, lies inside {folder}: what is checked must not hold it")
