"""What every registered problem must satisfy: each check takes a problem and fails where it falls short.

The checks know nothing of a particular problem: a new entry in the register is picked up, and fails until complete.
"""

from __future__ import annotations

from tests.contract.arrays import (
    check_bad_arrays,
    check_complex_arrays,
    check_hostile_arrays,
    check_input_unchanged,
    check_library_kept,
    check_same_answer_everywhere,
)
from tests.contract.cases import LIBRARIES, answer_fields, converted, perturbed, solve, tiny
from tests.contract.entry import (
    check_benchmark,
    check_docs_pages,
    check_docstring,
    check_entry,
    check_tests,
    check_theorems,
)
from tests.contract.surface import check_command, check_plot, check_report_line, check_shown
from tests.contract.truth import (
    check_brute_force,
    check_json_round_trip,
    check_same_seed,
    check_verify_accepts,
    check_verify_refuses_answers,
    check_verify_refuses_claims,
    check_verify_refuses_witnesses,
    must_refuse,
)

__all__ = ["LIBRARIES", "answer_fields", "converted", "must_refuse", "perturbed", "solve", "tiny"]

CHECKS = (
    check_entry,
    check_docstring,
    check_brute_force,
    check_verify_accepts,
    check_verify_refuses_answers,
    check_verify_refuses_claims,
    check_verify_refuses_witnesses,
    check_json_round_trip,
    check_same_seed,
    check_plot,
    check_shown,
    check_command,
    check_report_line,
)
FILE_CHECKS = (check_docs_pages, check_theorems, check_tests, check_benchmark)  # what lies beside the code
ARRAY_CHECKS = (
    check_library_kept,
    check_same_answer_everywhere,
    check_input_unchanged,
    check_bad_arrays,
    check_hostile_arrays,
    check_complex_arrays,
)
