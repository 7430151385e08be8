"""Spiking neurons, one training method per module."""
