"""The two kinds of layer that a float network is made of in PyTorch: neurons and synapses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeport.export.model.network import FloatNeuron, Population
from spikeport.export.model.noise import sample_noise
from spikeport.export.model.registers import NOISE_FRACTION_BITS
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool, Shape

SpikeFunction = Callable[[Tensor], Tensor]
"""Membrane potential minus threshold -> spikes (0 or 1), usually with a surrogate gradient."""


class Step(NamedTuple):
    """One timestep of a population, every tensor `(samples, *shape)`."""

    current: Tensor
    """u, the synaptic current."""
    membrane: Tensor
    """v before reset, what is compared with the threshold."""
    potential: Tensor
    """v after reset."""
    spikes: Tensor


class NeuronLayer(nn.Module):
    """A population's dynamics, `spikeport.export.model.network`, one timestep at a time.

    `bias` is trainable, the rest is fixed.
    """

    alpha: Tensor
    beta: Tensor
    threshold: Tensor
    reset_value: Tensor
    current_bias: Tensor

    def __init__(self, population: Population[FloatNeuron], spike: SpikeFunction | None, dtype: torch.dtype) -> None:
        super().__init__()
        neuron = population.neuron
        self.shape, self.spiking, self.reset, self.noise = population.shape, neuron.spiking, neuron.reset, neuron.noise
        self.bias = nn.Parameter(torch.tensor(neuron.bias, dtype=dtype))
        for name in ("alpha", "beta", "threshold", "reset_value", "current_bias"):
            self.register_buffer(name, torch.tensor(getattr(neuron, name), dtype=dtype))
        self.remembers_current = bool(neuron.alpha.any())
        self.has_current_bias = bool(neuron.current_bias.any())
        self.firing = neuron.firing
        self.spike = spike or (_above if neuron.strict else _at_least)

    def rest(self, samples: int) -> Step:
        """State before the first timestep: zero."""
        zero = self.bias.new_zeros(samples, *self.shape)
        return Step(zero, zero, zero, zero)

    def forward(self, before: Step, a: Tensor, eta: Tensor | float) -> Step:
        """Advance one timestep with synaptic input `a` and noise `eta`."""
        u = a + self.current_bias if self.has_current_bias else a
        if self.remembers_current:
            u = self.alpha * before.current + u
        v = self.beta * before.potential + u + self.bias + eta
        if not self.spiking:
            return Step(u, v, v, before.spikes)
        if self.firing == "refractory":
            v = v * (1 - before.spikes)
        s = self._fires(v, before)
        return Step(u, v, self._after_reset(v, s), s)

    def _fires(self, v: Tensor, before: Step) -> Tensor:
        """Spikes of one step, by the neuron's firing rule."""
        if self.firing == "multiple":
            return torch.floor(v / self.threshold).clamp(min=0)
        if self.firing == "deferred":
            return self.spike(v - self.threshold * (1 + _above(before.potential - self.threshold)))
        return self.spike(v - self.threshold)

    def _after_reset(self, v: Tensor, s: Tensor) -> Tensor:
        if self.reset == "subtract":
            return v - s * self.reset_value
        once = s.clamp(max=1) if self.firing == "multiple" else s
        kept = v * (1 - once)
        return kept + once * self.reset_value if self.reset == "value" else kept

    def noise_at(self, first: int, samples: int, step: int) -> Tensor | float:
        """Noise of one timestep, `(samples, *shape)`: the integer generator's r times amplitude /
        2**15.
        """
        if self.noise is None:
            return 0.0
        size = int(np.prod(self.shape))
        r = torch.from_numpy(sample_noise(self.noise, np.arange(first, first + samples), step, size)).to(self.bias)
        return (r * (self.noise.amplitude / (1 << NOISE_FRACTION_BITS))).reshape(samples, *self.shape)


class SynapseLayer(nn.Module):
    """A connection without its delay: pooling, then weights. Any leading axes are batch."""

    def __init__(self, connection: Connection, source: Shape, target: Shape, dtype: torch.dtype) -> None:
        super().__init__()
        self.connection, self.source, self.target = connection, source, target
        self.weight = nn.Parameter(torch.tensor(connection.weight, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """`(time, samples, *source)` -> currents `(time, samples, *target)`."""
        lead = x.shape[:2]
        x = self.pooled(x.reshape(-1, *self.source))
        op = self.connection.op
        if isinstance(op, Dense):
            y = F.linear(x.flatten(1), self.weight)
        elif isinstance(op, Conv):
            convolve = F.conv1d if len(op.kernel) == 1 else F.conv2d
            y = convolve(x, self.weight, None, op.stride, op.padding, op.dilation, op.groups)
        else:
            y = self.weight * x
        return y.reshape(*lead, *self.target)

    def pooled(self, x: Tensor) -> Tensor:
        """What the weights see of `(batch, *source)`."""
        return sum_pool(x, self.connection.pool) if self.connection.pool else x


def sum_pool(x: Tensor, pool: Pool) -> Tensor:
    """Sum over windows of the trailing axes of `(batch, channels, *spatial)`."""
    if len(pool.kernel) == 1:
        flat = Pool((1, *pool.kernel), (1, *pool.stride), (0, *pool.padding))
        return sum_pool(x.unsqueeze(-2), flat).squeeze(-2)
    high, wide = pool.padding
    return F.avg_pool2d(F.pad(x, (wide, wide, high, high)), pool.kernel, pool.stride, divisor_override=1)


def _above(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


def _at_least(x: Tensor) -> Tensor:
    return (x >= 0).to(x.dtype)
