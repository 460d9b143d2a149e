"""Refitting: what is stored of each layer, made anew for the inputs that reach it in the compressed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infimum._display import Shown
from infimum.compress.load import load_any
from infimum.compress.measure.moments import BATCH
from infimum.compress.measure.progress import Progress
from infimum.compress.menu.forms import LowerForm, StoredForm
from infimum.compress.menu.task import Task
from infimum.compress.menu.written_output import WrittenOutput
from infimum.compress.rewritten import alternative_of, open_to_change, parts_of, with_forms
from infimum.compress.search.distance import Distance
from infimum.compress.search.refitting import Place, Refitting
from infimum.compress.search.tuning import JUDGED
from infimum.compress.write.folder import write_folder
from infimum.proof.certificate import Certificate


@dataclass(frozen=True)
class Refitted(Shown):
    """What refitting did: the answer of `refit`.

    Attributes
    ----------
    out : Path
        The new folder.
    before, after : float
        Mean distance to the original on the half of the text that made nothing: the divergence of the predictions, in
        nats (Kullback-Leibler); of numbers and embeddings the squared change. `after` is never above `before`.
    layers : int
        Layers that were made anew; 0 where the whole was no better for it and all is as it was.
    certificate : Certificate
        That of the new output, for the original's inputs. Its value has mostly risen: a layer makes up for what those
        before it have lost. Its bound is that of the output that was refitted, less what layers have gained.
    """

    out: Path
    before: float
    after: float
    layers: int
    certificate: Certificate


def refit(
    out: str | Path,
    target: str | Path,
    *,
    original: str | Path | None = None,
    on_progress: Progress | None = None,
) -> Refitted:
    """Make the layers of a compressed model anew for the inputs that reach them now, and write the result.

    Minimises, layer after layer, ``tr(G E E')``: E the change of the layer's output on the calibration text, when the
    original is given its own inputs and the compressed model those that the layers before have left; G the left moment
    of the gradient. There is no training: what is best without rounding has a closed form, and it is rounded, or made
    of lower rank, as the layer was. One half of the text makes; the other half chooses for every layer whether it
    becomes another, and in the end for all of them.

    Forms, sizes and widths stay: the files are as long as before, they load, verify, are served and `heal` alike.

    Parameters
    ----------
    out : path
        Folder that `Plan.save`, `refit` or `heal` wrote; it holds the calibration text.
    target : path
        New folder.
    original : path, optional
        Folder of the original checkpoint, if it is not where it was.
    on_progress : callable, optional
        Called with (what, done, of).

    Returns
    -------
    Refitted
        `out`, `before`, `after`, `layers`, `certificate`.

    Raises
    ------
    CheckpointError
        The output or the original is missing or incomplete; `target` exists.
    VerificationError
        The files are not those that were written, or the original is another.
    OptionError
        Nothing of the output can be made anew: its format is "gguf" or `plain`; or the model is no chain of blocks.

    Notes
    -----
    Layers outside of the blocks and experts, which see other tokens than in the original, stay as they are.

    References
    ----------
    .. [1] Y. Li et al., "GPTAQ: efficient finetuning-free quantization for asymmetric calibration", ICML 2025
       (inputs of the compressed model, answers of the original).
    .. [2] "AA-SVD", arXiv 2604.02119 (the same for matrices of lower rank).
    """
    out, target = Path(out), Path(target)
    output, forms = open_to_change(out, target, original)
    task = output.task(on_progress)
    refitting = Refitting(task, places_of(output, task, forms), forms)
    refitting.run(on_progress)
    answer = with_forms(output, task, refitting.forms)
    head, (_, judge) = output.checkpoint.head, task.moments.tokens.halves()
    batches = judge.sample(JUDGED, 0).batches(max(1, BATCH // judge.length))
    distance = Distance(output.checkpoint.load(), head)
    before = distance.mean(load_any(out), batches)
    after, layers = distance.mean(answer.apply(output.checkpoint.load()), batches), refitting.changed
    if after >= before:
        answer, after, layers = with_forms(output, task, forms), before, 0
    write_folder(answer, target)
    return Refitted(target, before, after, layers, answer.certificate)


def places_of(output: WrittenOutput, task: Task, forms: Mapping[str, StoredForm]) -> dict[str, Place]:
    """Return what is kept of the layers of some forms, and how they were rounded."""
    return {
        name: Place(part, row, None if isinstance(forms[name], LowerForm) else alternative_of(task, part, row))
        for name, (part, row) in parts_of(output, task).items()
        if name in forms
    }
