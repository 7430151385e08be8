"""Populations onto cores: how synapses are stored, and what limits."""
