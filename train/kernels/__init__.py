"""Compiled kernels for the neurons' loops over time; `train.neurons.dispatch` chooses among them."""
