"""What a compressed folder says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infimum.errors import CheckpointError

DESCRIPTION = "infimum.json"
TEXT, CHANNELS = "calibration.safetensors", "channels.safetensors"
SCHEMA = 1


def read_description(out: Path) -> dict[str, Any]:
    """Read `infimum.json` of a compressed checkpoint."""
    path = out / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{out} has no {DESCRIPTION}; give a folder that infimum.compress wrote")
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); the folder is damaged") from error
    if description.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} has schema {description.get('schema')}, this version reads {SCHEMA}")
    return description
