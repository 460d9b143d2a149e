"""Tables of coefficients for the matrix sign that are in circulation: numbers, and where they were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """Coefficients (a, b, c) of every step as somebody published them.

    Attributes
    ----------
    name, source : str
        What it is called, and where it was found.
    rows : tuple of tuples
        One for each step, as applied, divided by the safety factor where the source does so.
    note : str
        What the numbers were made for, where that matters.
    """

    name: str
    source: str
    rows: Rows
    note: str = ""


def _scaled(table: Sequence[Sequence[float]], unit: float) -> Rows:
    return tuple(tuple(c / unit for c in row) for row in table)


def _safe(table: Sequence[Sequence[float]]) -> Rows:
    """Divide the argument of every step but the last by 1.01."""
    divided = [tuple(c / 1.01 ** (2 * k + 1) for k, c in enumerate(row)) for row in table[:-1]]
    return (*divided, tuple(table[-1]))


JORDAN = (3.4445, -4.7750, 2.0315)
_POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)

PUBLISHED = (
    PublishedTable(
        "Jordan, 5 steps",
        "K. Jordan, kellerjordan.github.io/posts/muon; torch.optim.Muon (default)",
        (JORDAN,) * 5,
    ),
    PublishedTable(
        "Su, one triple",
        "Scientific Spaces 10922",
        ((3.3748, -4.6969, 2.1433),) * 5,
    ),
    PublishedTable(
        "Su, 5 steps",
        "Scientific Spaces 10922",
        (
            (4.6182, -12.9582, 9.3299),
            (3.8496, -7.9585, 4.3052),
            (3.5204, -7.2918, 4.0606),
            (3.2067, -6.8243, 4.2802),
            (3.2978, -5.7848, 3.8917),
        ),
        "worst errors over [0, 1]",
    ),
    PublishedTable(
        "quintic, 5 steps",
        "modded-nanogpt (2025); microsoft/dion; NVIDIA Emerging-Optimizers, quintic",
        (
            (4.0848, -6.8946, 2.9270),
            (3.9505, -6.3029, 2.6377),
            (3.7418, -5.5913, 2.3037),
            (2.8769, -3.1427, 1.2046),
            (2.8366, -3.0525, 1.2012),
        ),
    ),
    PublishedTable(
        "nanochat",
        "karpathy/nanochat, optim.py, and modded-nanogpt",
        (
            (8.156554524902461, -22.48329292557795, 15.878769915207462),
            (4.042929935166739, -2.808917465908714, 0.5000178451051316),
            (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
            (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
            (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
        ),
        "Polar Express with cushion 0.02 and safety 1.02",
    ),
    PublishedTable(
        "CANS",
        "NVIDIA Emerging-Optimizers, cans, after arXiv:2506.10935",
        (
            (8.4703, -25.1081, 18.6293),
            (4.1828, -3.1087, 0.5806),
            (3.9619, -2.9541, 0.5630),
            (3.2866, -2.4647, 0.5074),
            (2.2737, -1.6447, 0.4162),
        ),
        "the optimum, to four decimals",
    ),
    PublishedTable(
        "cubic5",
        "NVIDIA Emerging-Optimizers, cubic5, after arXiv:2606.00371",
        (
            (3.3656576, -3.3420992),
            (2.5744352, -1.4957376),
            (2.5368962, -1.4312570),
            (2.4418906, -1.2764040),
            (2.2230472, -0.9630650),
        ),
        "cubic: two products a step; for values from 0.007 and results within 0.3 of 1",
    ),
    PublishedTable(
        "YouJiacheng, 6 steps",
        "x.com/YouJiacheng/status/1893704552689303901, by Scientific Spaces 10922; docs.modula.systems",
        _scaled(
            (
                (3955, -8306, 5008),
                (3735, -6681, 3463),
                (3799, -6499, 3211),
                (4019, -6385, 2906),
                (2677, -3029, 1162),
                (2172, -1833, 682),
            ),
            1024.0,
        ),
    ),
    PublishedTable(
        "Su, 6 steps (k = 50)",
        "Scientific Spaces 10922",
        _scaled(
            (
                (4140, -7553, 3571),
                (3892, -6637, 2973),
                (3668, -6456, 3021),
                (3248, -6211, 3292),
                (2792, -5759, 3796),
                (3176, -5507, 4048),
            ),
            1024.0,
        ),
        "worst errors over [0, 1]",
    ),
    PublishedTable(
        "Su, 6 steps (k = 200)",
        "Scientific Spaces 10922",
        _scaled(
            (
                (4059, -7178, 3279),
                (3809, -6501, 2925),
                (3488, -6308, 3063),
                (2924, -5982, 3514),
                (2439, -5439, 4261),
                (3148, -5464, 4095),
            ),
            1024.0,
        ),
        "worst errors over [0, 1]",
    ),
    PublishedTable(
        "Polar Express (paper)",
        "arXiv:2505.16932, listing; Scientific Spaces 10996",
        _safe(_POLAR_EXPRESS),
        "cushion 0.024, then safety 1.01",
    ),
    PublishedTable(
        "DeepSeek-V4",
        "NVIDIA Emerging-Optimizers, deepseekv4",
        (*(JORDAN,) * 8, *((2.0, -1.5, 0.5),) * 2),
        "10 steps",
    ),
)
