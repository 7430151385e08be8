"""Compiled kernels for the neurons' loops over time, and the choice among them."""
