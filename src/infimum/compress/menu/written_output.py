"""A folder that `Plan.save` wrote, read again: what it says, its tensors, and the checkpoint that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from infimum.compress.measure.collect import collect
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.samples import stored_inputs
from infimum.compress.menu.settings import Settings
from infimum.compress.menu.stored_tensors import OutputTensors, open_tensors
from infimum.compress.menu.task import Task
from infimum.compress.model.checkpoint import Checkpoint, open_checkpoint
from infimum.compress.model.tensor_files import read_all
from infimum.errors import VerificationError
from infimum.proof import checkpoint as proof
from infimum.proof import folder as files
from infimum.proof.checkpoint import CHANNELS, TEXT, Description


@dataclass(frozen=True)
class WrittenOutput:
    """What a folder holds, and whose compressed form it is."""

    path: Path
    described: Description
    checkpoint: Checkpoint
    settings: Settings
    tensors: OutputTensors

    @classmethod
    def open(cls, out: Path, original: str | Path | None) -> WrittenOutput:
        """Read what the folder says, and find the original; the files of both must be what they were."""
        described = proof.read_description(out)
        files.check_hashes(out, described.files)
        path = Path(original or described.original)
        files.check_outside(out, path)
        checkpoint = open_checkpoint(path)
        if checkpoint.sha256 != described.original_hashes:
            raise VerificationError(
                f"{checkpoint.path} is not the checkpoint that was compressed: its hashes differ; give its folder"
            )
        settings = Settings.read(described.settings)
        tensors = open_tensors(out, checkpoint, settings.format, described.layers)
        return cls(out, described, checkpoint, settings, tensors)

    def orders(self) -> dict[str, torch.Tensor]:
        """Return the orders in which channels were taken off, by the layers that read them."""
        return read_all(self.path / CHANNELS) if CHANNELS in self.described.files else {}

    def task(self, on_progress: Progress | None) -> Task:
        """Run the original on the stored inputs, and return what its layers were to become in these moments."""
        stored = {name: tensor.numpy() for name, tensor in read_all(self.path / TEXT).items()}
        if stored.keys() == {"ids", "mask"}:
            proof.check_tokens(stored["ids"], stored["mask"])
        else:
            proof.check_inputs(stored)
        tokens, goal = stored_inputs(stored, TEXT), self.checkpoint.head.goal
        derived = {"paragraphs": tokens.rows, "tokens": tokens.count, "sha256": tokens.sha256, "goal": goal}
        proof.check_calibration(self.described.calibration, derived)
        chosen = {name: self.described.calibration[name] for name in ("seed", "projections", "split")}
        if self.settings.rounds and not chosen["split"]:
            raise VerificationError("calibration: split must be true for few bits: one half judges what the other made")
        chosen["inputs"] = self.settings.objective == "activation"
        return Task(self.checkpoint, collect(self.checkpoint, tokens, **chosen, on_progress=on_progress), self.settings)
