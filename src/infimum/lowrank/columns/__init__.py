"""How columns are chosen: strategies on a reduction of the matrix, and exchanges that improve a choice."""
