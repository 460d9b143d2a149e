"""What a check derives must lie within the room that a claim leaves, and hardly inside it."""

import math

ROOM = 1e-12


def follows(claimed, derived):
    same = (claimed.theorem, claimed.rigour) == (derived.theorem, derived.rigour)
    value = derived.value <= claimed.value and math.isclose(derived.value, claimed.value, rel_tol=ROOM)
    bound = claimed.lower_bound <= derived.lower_bound
    return same and value and bound and math.isclose(derived.lower_bound, claimed.lower_bound, rel_tol=ROOM)
