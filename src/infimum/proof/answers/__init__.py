"""What the problems answer: a class each, with its loss, and how its certificate is derived again."""
