"""Exact event counts, prices with sources, energy and latency."""
