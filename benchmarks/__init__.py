"""Benchmarks against the peers: one module per room, each with ``comparisons()`` (see `benchmarks.harness`)."""
