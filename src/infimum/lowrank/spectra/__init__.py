"""How `svd` searches: full decompositions, block Krylov spaces, subspace iteration."""
