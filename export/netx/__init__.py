"""Quantized networks as lava-dl's HDF5 description (`.net`), which its netx runs on Lava and on
Loihi.
"""
