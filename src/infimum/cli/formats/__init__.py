"""One file for each kind of input file: each reads an array, and holds what a file declares against its size first."""
