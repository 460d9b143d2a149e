"""The trusted core: everything that `infimum.verify` runs, and nothing that searches for an answer.

`certificate`, `result` and `verify` say what a claim is; `answers` has a class for each problem, with the loss of its
answer; `theorems` derive lower bounds from an input and a witness; `operators` are inputs of every kind; `enclosure`
is ball arithmetic, `uniform_error` the largest error of an approximation; `evidence` asks what a result brings along.
It imports the ground (`infimum._*` and `infimum.errors`) and no room.
"""
