"""What an honest result must stand: `verify` accepts it, and derives at least what it claims."""

from typing import Any

import infimum


def accepted(result: infimum.Result, *inputs: Any) -> None:
    """Verify a result, and compare the claim with what is derived."""
    claimed, derived = result.certificate, infimum.verify(result, *inputs)
    assert claimed.lower_bound <= derived.lower_bound <= derived.value <= claimed.value
    assert (claimed.theorem, claimed.rigour) == (derived.theorem, derived.rigour)
