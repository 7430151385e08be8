"""The network that is trained: its notation, its stages, its layers, and how it is lowered."""
