"""Forged results: what `infimum.verify` lets pass must be true, against losses and optima that know nothing of it."""

COUNTS: dict[str, tuple[int, int]] = {}  # of every problem: forged results refused, and accepted
