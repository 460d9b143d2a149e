"""What was chosen, built and written as a model folder."""
