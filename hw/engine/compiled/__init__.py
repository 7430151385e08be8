"""Loops that Numba compiles to vectors: neurons, counting, messages."""
