"""The moments of a model's layers on a text."""
