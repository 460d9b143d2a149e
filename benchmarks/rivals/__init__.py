"""What others do, for the benchmarks of models: one home for every rival.

`low_rank`, `rounding` and `sensitivity` are written anew from papers, `off_the_shelf` runs a published tool in an
environment of its own.
"""
