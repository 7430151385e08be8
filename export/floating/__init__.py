"""The meaning of a network in physical units, as PyTorch runs it."""
