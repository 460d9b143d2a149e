"""The checkpoint that is compressed: its files, its layers, the channels between them, and how it runs."""
