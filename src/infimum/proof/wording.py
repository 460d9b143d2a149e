"""How certificates, and the text of strangers, are put in words: one home for terminal, reports, plots and tables.

A value that is the largest of samples is never called the loss, and never stands in a chain of inequalities: only the
lower bound is proved then.
"""

from __future__ import annotations

import math

from infimum.proof.certificate import Certificate

RIGOUR = {
    "exact": "exact: integers, rationals or an identity, no rounding anywhere",
    "enclosed": "enclosed: every rounding was taken outwards (ball arithmetic)",
    "rounded": "rounded: a deterministic theorem in floating point, less a stated allowance for rounding",
    "probable": "probable: true with the stated confidence, over random draws that the prover could not choose",
    "sampled": "sampled: the lower bound is proved, the value is the largest of samples, others may exceed it",
}
VALUE = "value"
SAMPLED_VALUE = "value, largest of samples"


def number(value: float) -> str:
    """Six significant digits; whole numbers in full."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def ratio(certificate: Certificate) -> str:
    """Value over lower bound, with the distance from 1 where six digits do not show it."""
    excess = certificate.ratio - 1.0
    if math.isinf(excess):
        return "unbounded"
    return f"1 + {excess:.1e}" if 0.0 < excess < 1e-4 else f"{certificate.ratio:.6g}"


def rigour(certificate: Certificate) -> str:
    """Name the rigour of a certificate, with its confidence where that is below 1."""
    if certificate.confidence == 1.0:
        return certificate.rigour
    return f"{certificate.rigour}, confidence {_chance(certificate)}"


def value_label(certificate: Certificate) -> str:
    """Say what the value is, where it stands beside its number."""
    return SAMPLED_VALUE if certificate.rigour == "sampled" else VALUE


def gap_label(certificate: Certificate) -> str:
    """Say what the gap is, where it stands beside its number."""
    return "gap, to the largest of samples" if certificate.rigour == "sampled" else "gap"


def gap_text(certificate: Certificate) -> str:
    """Say what the gap is, in a line under its number."""
    if certificate.rigour == "sampled":
        return f"{gap_label(certificate)}: between them more may be lost"
    return "gap: what could still be gained at most"


def value_text(certificate: Certificate) -> str:
    """Say what the value is, in a line under its number."""
    if certificate.rigour == "sampled":
        return f"{SAMPLED_VALUE}: the loss of the answer may exceed it"
    return f"{VALUE}: the loss of the answer, measured"


def value_cell(certificate: Certificate) -> str:
    """Return the value for a table whose column is headed "value"."""
    return f"{number(certificate.value)}{' (sampled)' if certificate.rigour == 'sampled' else ''}"


def error_and_floor(certificate: Certificate, error: str = "error", floor: str = "floor") -> str:
    """Return value and bound for the title of a plot, in the words of its problem."""
    return f"{error_label(certificate, error)}, {floor} {certificate.lower_bound:.5g}"


def error_label(certificate: Certificate, error: str = "error") -> str:
    """Return the value for the legend of a plot, in the word of its problem."""
    sampled = " (largest of samples)" if certificate.rigour == "sampled" else ""
    return f"{error} {certificate.value:.5g}{sampled}"


def sentence(certificate: Certificate) -> str:
    """Say in one or two sentences what the certificate proves."""
    if certificate.rigour == "sampled":
        return _sampled_sentence(certificate)
    value, bound, gap = certificate.value, certificate.lower_bound, certificate.gap
    reached = f"The answer reaches {number(value)}."
    if gap == 0:
        return f"{reached} No admissible answer can be better: it is an optimum."
    if bound == 0:
        return f"{reached} No better lower bound than the trivial one, 0, could be proved."
    share = gap / abs(value)
    chance = "" if certificate.confidence == 1.0 else f"With probability {_chance(certificate)}, "
    nobody = f"{chance}{'no' if chance else 'No'} admissible answer can be better"
    if share < 1e-9 and isinstance(gap, float):
        return f"{reached} {nobody} by more than {share:.1e} of that: optimal up to rounding."
    return (
        f"{reached} {nobody} than {number(bound)}: "
        f"at most {number(gap)} ({100 * share:.3g} % of the value) could still be gained."
    )


def _sampled_sentence(certificate: Certificate) -> str:
    found = f"The largest error found in samples is {number(certificate.value)}; between them it may be larger."
    if certificate.lower_bound == 0:
        return f"{found} No better lower bound than the trivial one, 0, could be proved."
    return f"{found} Proved is that no admissible answer is better than {number(certificate.lower_bound)}."


def _chance(certificate: Certificate) -> str:
    return f"1 - {1.0 - certificate.confidence:.0e}"


def printable(text: str) -> str:
    """Show characters that steer a terminal, turn the direction of reading or cannot be encoded as escapes.

    They come from names of files, layers and functions. Line ends stay.
    """
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
