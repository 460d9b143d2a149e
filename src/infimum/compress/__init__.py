"""Compression of transformer checkpoints, with a certificate for each layer and one for the whole budget.

``plan(folder, remove=0.2).save("out")``, then ``load("out")`` and ``verify("out")``.
"""

from infimum._arguments import optional

for _module in ("torch", "transformers", "safetensors"):
    optional(_module, "compress")

from infimum.compress.calibration import Tokens, tokenize  # noqa: E402  (after the check for the extra)
from infimum.compress.checkpoint import Checkpoint, open_checkpoint  # noqa: E402
from infimum.compress.evaluate import Similarity, embeddings, similarity  # noqa: E402
from infimum.compress.moments import Moments  # noqa: E402
from infimum.compress.plan import LayerPlan, Plan, Settings, calibrate, plan  # noqa: E402
from infimum.compress.storage import load  # noqa: E402
from infimum.compress.verification import verify  # noqa: E402

__all__ = [
    "Checkpoint",
    "LayerPlan",
    "Moments",
    "Plan",
    "Settings",
    "Similarity",
    "Tokens",
    "calibrate",
    "embeddings",
    "load",
    "open_checkpoint",
    "plan",
    "similarity",
    "tokenize",
    "verify",
]
