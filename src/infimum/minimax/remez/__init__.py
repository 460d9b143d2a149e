"""The exchange algorithm: searches for best polynomials and rational functions."""
