"""How schedules are found. Nothing depends on its word: `infimum.proof` derives every certificate anew."""
