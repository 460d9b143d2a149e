"""Theorems, one file each: what follows from an input, an answer and a witness.

That is a lower bound, and where measuring a loss takes a theorem of its own (a trace norm, a largest error over an
interval, an unrolled schedule) the loss as well. Each asks for its hypotheses first. A theorem whose proof is that
every case was visited (columns, sums of two numbers) visits them here. No solver is imported.
"""
