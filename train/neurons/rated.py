"""Activity whose gradient has no time: values over all timesteps outside of autograd, beside one
timestep that stands in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Rated:
    """Spikes or currents. values: `(T, N, *shape)`, or `(1, N, *shape)` where they are held; spikes
    may come averaged over the windows that all who read them pool.

    rate: `(N, *shape)`, a carrier of gradients whose own values mean nothing. With L the loss and w
    a neuron's representation weights, which add up to 1, its gradient is sum(w dL/d values) for
    spikes, and dL/d values, the same at every timestep, for currents.
    """

    values: torch.Tensor
    rate: torch.Tensor

    @staticmethod
    def of_currents(currents: torch.Tensor, timesteps: int) -> Rated:
        """Currents of a graph with time, `(T, N, *shape)`, or held, `(1, N, *shape)`, which get the
        gradients of all timesteps. Their values may be overwritten.
        """
        return Rated(currents.detach(), _Alike.apply(currents, timesteps))

    def over_time(self, weights: list[float]) -> torch.Tensor:
        """Spikes back in a graph with time."""
        return _OverTime.apply(self.rate, self.values, weights)

    def plus(self, other: Rated) -> Rated:
        """Sum of currents."""
        return Rated(self.values + other.values, self.rate + other.rate)


def carrier(values: torch.Tensor, shape: torch.Size | None = None) -> torch.Tensor:
    """A rate for values `(T, N, *shape)` that takes no memory. shape: `(T, N, *shape)` before
    pooling, where values come pooled.
    """
    return values.new_zeros(()).expand((shape or values.shape)[1:])


def weighted_sum(weights: list[float], x: torch.Tensor) -> torch.Tensor:
    """sum(w x) along the first axis."""
    total = torch.mul(x[0], weights[0])
    for w, step in zip(weights[1:], x[1:]):
        total.add_(step, alpha=w)
    return total


class _Alike(torch.autograd.Function):
    """The carrier of currents, whose gradient is the same at every timestep."""

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        ctx.shape, ctx.each = currents.shape, timesteps / len(currents)
        return carrier(currents)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (grad if ctx.each == 1 else grad * ctx.each).expand(ctx.shape), None


class _OverTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rate: torch.Tensor, values: torch.Tensor, weights: list[float]) -> torch.Tensor:
        ctx.weights = weights
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return weighted_sum(ctx.weights, grad), None, None
