"""Training: data, spiking layers, methods and the trainer."""
