"""spikeport: take a spiking neural network from PyTorch to neuromorphic hardware, with proof."""

__version__ = "0.1.0"
