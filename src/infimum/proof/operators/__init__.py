"""Inputs of every kind, seen as matrices: losses and norms in which rounding is accounted for."""
