"""Healing: what is stored of a compressed model, tuned as a whole to what the original says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infimum._arguments import whole_number
from infimum._display import Shown
from infimum.compress.calibrate import Batches, tokens_for
from infimum.compress.load import load_any
from infimum.compress.measure.progress import Progress
from infimum.compress.measure.text import Text
from infimum.compress.rewritten import open_to_change, with_forms
from infimum.compress.search.tuning import Tuning
from infimum.compress.write.folder import write_folder
from infimum.errors import OptionError
from infimum.proof.certificate import Certificate


@dataclass(frozen=True)
class Healed(Shown):
    """What healing did: the answer of `heal`.

    Attributes
    ----------
    out : Path
        The new folder.
    before, after : float
        Mean distance to the original on the half of the text that was not trained on: the divergence of the
        predictions, in nats (Kullback-Leibler); of numbers and embeddings the squared change. `after` is that of the
        numbers as stored, and never above `before`.
    steps : int
        Steps that were taken.
    certificate : Certificate
        That of the new output. Its value, the summed error of the layers one by one, has mostly risen: healing spends
        it on what the layers make up for together. Its bound is that of the output that was healed, less what layers
        have gained one by one.
    """

    out: Path
    before: float
    after: float
    steps: int
    certificate: Certificate


def heal(
    out: str | Path,
    target: str | Path,
    *,
    minutes: float = 20.0,
    steps: int | None = None,
    text: Text | Batches = "pydoc",
    rate: float = 1e-3,
    seed: int = 0,
    original: str | Path | None = None,
    on_progress: Progress | None = None,
) -> Healed:
    """Tune the stored numbers of a compressed model to what the original says, and write the result to a new folder.

    Minimises the mean distance to the original's answers to a text (`Healed`) over the scales of integers, which stay
    themselves, and the entries of matrices of lower rank or of fewer channels. Nothing is added or stored otherwise:
    the files are as long as before, they load, verify and are served alike. The text is split: one half trains, what is
    kept is what was best on the other, which also ends the run. Nothing worse than what came is written.

    Parameters
    ----------
    out : path
        Folder that `Plan.save` or `heal` wrote.
    target : path
        New folder.
    minutes : float
        Time for the training, above 0; what is measured before and after comes on top.
    steps : int, optional
        Most steps, so that a run can be repeated exactly.
    text : "pydoc", path, list of str or array of int
        See `calibrate`.
    rate : float
        Learning rate: changes of scales relative to them, of matrices to their root mean square entry.
    seed : int
        Seed of the order of the text.
    original : path, optional
        Folder of the original checkpoint, if it is not where it was.
    on_progress : callable, optional
        Called with (what, done, of).

    Returns
    -------
    Healed
        `out`, `before`, `after`, `steps`, `certificate`.

    Raises
    ------
    CheckpointError
        The output or the original is missing or incomplete; `target` exists.
    VerificationError
        The files are not those that were written, or the original is another.
    OptionError
        `minutes` or `rate` is not above 0; or nothing of the output can be tuned: its format is "gguf" or `plain`, or
        the model has encoder and decoder.

    Notes
    -----
    `optim.MuonAdamW` on a certified table trains matrices by Muon and scales by AdamW; `optim.MemoryLR` sets the rate,
    which rises and then falls linearly, and the decay of the changes towards none.
    """
    out, target = Path(out), Path(target)
    for name, number in (("minutes", minutes), ("rate", rate)):
        if not (isinstance(number, int | float) and 0.0 < number < float("inf")):
            raise OptionError(f"{name} must be a number above 0, got {number!r}")
    if steps is not None:
        steps = whole_number("steps", steps, 1)
    output, forms = open_to_change(out, target, original)
    tuning = Tuning(
        output.checkpoint.load(),
        load_any(out),
        forms,
        output.checkpoint.head,
        tokens_for(output.checkpoint, text),
    )
    tuned = tuning.run(rate=rate, minutes=minutes, most=steps, seed=seed, on_progress=on_progress)
    answer = with_forms(output, output.task(on_progress), forms | tuning.forms)  # embeddings stay as they are
    write_folder(answer, target)
    return Healed(target, *tuned, answer.certificate)
