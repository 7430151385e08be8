"""Float networks that look like trained ones, and data for them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from support.stated import PER_STEP
from torch.nn import functional as F

from spikeport.export.floating.run import FloatModule
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Population
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool


def neuron(threshold: float = 1.0, **changes) -> FloatNeuron:
    return FloatNeuron(**{"alpha": 0.0, "beta": 0.5, "threshold": threshold, "bias": 0.0} | changes)


def readout(**changes) -> FloatNeuron:
    return neuron(spiking=False, **{"beta": 1.0} | changes)


def heavy_tailed(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Weights like trained ones: Student's t with 5 degrees of freedom, standard deviation of
    Kaiming's.
    """
    fan_in = int(np.prod(shape[1:]))
    return rng.standard_t(5, shape) * np.sqrt(1.2 / fan_in)


def conv_network(seed: int = 0, **hidden) -> FloatNetwork:
    """8C3-P2-16C3-10 on 8 x 8 images, T = 8, with biases, soft leak and an accumulating readout."""
    rng = np.random.default_rng(seed)
    bias = lambda n: rng.normal(0, 0.1, (n, 1, 1))  # noqa: E731
    populations = (
        Population("conv1", (8, 8, 8), neuron(bias=bias(8), **hidden)),
        Population("conv2", (16, 4, 4), neuron(bias=bias(16), **hidden)),
        Population("out", (10,), readout(bias=rng.normal(0, 0.1, 10))),
    )
    conv = lambda w: Conv(w, (1, 1), (1, 1), (1, 1))  # noqa: E731
    connections = (
        Connection("w1", "in", "conv1", conv(heavy_tailed(rng, 8, 1, 3, 3) * 3)),
        Connection("w2", "conv1", "conv2", conv(heavy_tailed(rng, 16, 8, 3, 3) / 2), Pool((2, 2), (2, 2), (0, 0))),
        Connection("w3", "conv2", "out", Dense(heavy_tailed(rng, 10, 256))),
    )
    return FloatNetwork(Input("in", (1, 8, 8)), populations, connections, "out", "accumulated_current", 8, **PER_STEP)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's scans `(1797, 1, 8, 8)` in 0..1, shuffled, and their labels."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return (data.images[order, None] / 16.0), data.target[order]


class ArctanSpike(torch.autograd.Function):
    """Hard threshold forward, 1 / (1 + (pi x)^2) backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + (torch.pi * x) ** 2)


def train(network: FloatNetwork, x: np.ndarray, y: np.ndarray, *, epochs: int, rate: float = 4e-3) -> FloatModule:
    """Plain STBP with Adam through the float module; returns the trained module."""
    torch.manual_seed(0)
    module = FloatModule(network, spike=ArctanSpike.apply)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    steps = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x))[: steps // epochs * 64].view(-1, 64):
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[batch], network.timesteps).mean(0), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return module
