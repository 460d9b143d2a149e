"""How `cr` chooses terms of a product, and searches for the witness of its bound."""
