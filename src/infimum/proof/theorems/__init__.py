"""Theorems: lower bounds derived from an input and a witness, one file each. No solver is imported here."""
