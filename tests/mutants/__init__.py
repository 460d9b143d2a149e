"""Mutants of the theorems: each small change of the trusted code must fail a test. Run by `make mutants`."""
