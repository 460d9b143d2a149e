"""The search for the best choice: which channels go, and which width and rank each layer gets."""
