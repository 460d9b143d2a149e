"""Compression of transformer checkpoints, with a certificate for each layer and one for the whole budget.

``plan(folder, remove=0.2).save("out")``, then ``load("out")`` and ``verify("out")``.
"""

from infimum._arguments import optional

for _module in ("torch", "transformers", "safetensors"):
    optional(_module, "compress")

from infimum.compress.calibrate import calibrate, tokens_for  # noqa: E402
from infimum.compress.evaluate import (  # noqa: E402
    Agreement,
    Difference,
    Perplexity,
    Score,
    Similarity,
    agreement,
    difference,
    embeddings,
    perplexity,
    scorer,
    similarity,
)
from infimum.compress.heal import Healed, heal  # noqa: E402
from infimum.compress.load import load, load_any  # noqa: E402
from infimum.compress.lora import lora_config  # noqa: E402
from infimum.compress.measure.moments import Moments  # noqa: E402
from infimum.compress.measure.text import Tokens, tokenize  # noqa: E402
from infimum.compress.menu.settings import Settings  # noqa: E402
from infimum.compress.model.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from infimum.compress.plan import Plan, plan  # noqa: E402
from infimum.compress.preview import Preview  # noqa: E402
from infimum.compress.quantize import quantize  # noqa: E402
from infimum.compress.refit import Refitted, refit  # noqa: E402
from infimum.compress.search.allocation import knee  # noqa: E402  (after the check for the extra)
from infimum.compress.tasks import TaskScore, task_scores  # noqa: E402
from infimum.compress.verify import verify  # noqa: E402
from infimum.proof.answers.quantized_matrix import QuantizedMatrix  # noqa: E402
from infimum.proof.checkpoint import LayerPlan  # noqa: E402

__all__ = [
    "Agreement",
    "Checkpoint",
    "Difference",
    "Healed",
    "LayerPlan",
    "Moments",
    "Perplexity",
    "Plan",
    "Preview",
    "QuantizedMatrix",
    "Refitted",
    "Score",
    "Settings",
    "Similarity",
    "TaskScore",
    "Tokens",
    "agreement",
    "calibrate",
    "difference",
    "embeddings",
    "heal",
    "knee",
    "load",
    "load_any",
    "lora_config",
    "open_checkpoint",
    "perplexity",
    "plan",
    "quantize",
    "refit",
    "scorer",
    "similarity",
    "task_scores",
    "tokenize",
    "tokens_for",
    "verify",
]


def __dir__() -> list[str]:
    return __all__
