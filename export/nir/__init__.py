"""Quantized networks as `.nir` files, out and back bit for bit."""
