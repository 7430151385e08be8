"""Trained axonal delays: every channel (or feature) of a source sends later by a whole number of
timesteps of its own.

Forward, r the trained delay rounded half to even, as it is deployed: y[t] = x[t - r], nothing
before the start. Backward, the gradient of r is that of a signal that moves in time, dy/dr = (y[t -
1] - y[t + 1]) / 2, with zeros beyond the ends (Shrestha and Orchard 2018, SLAYER, who take the same
derivative of time); the gradient of x is exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class AxonalDelays(nn.Module):
    """delay: `(channels,)`, drawn uniformly on 0..largest and kept there."""

    def __init__(self, channels: int, largest: int) -> None:
        super().__init__()
        self.largest = largest
        self.delay = nn.Parameter(torch.rand(channels) * largest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(T, N, channels, *rest)` in the same shape."""
        if self.training:
            with torch.no_grad():
                self.delay.clamp_(0, self.largest)
        return _Delayed.apply(x, self.delay, self.rounded())

    def rounded(self) -> torch.Tensor:
        """Delays in whole timesteps, int64 `(channels,)`."""
        return self.delay.detach().clamp(0, self.largest).round().long()


def moved(x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """x `(T, N, channels, ...)` later by so many steps for each channel, earlier where negative,
    with zeros at the ends.
    """
    out = torch.zeros_like(x)
    for step in steps.unique().tolist():
        here, kept = steps == step, max(len(x) - abs(step), 0)
        if step >= 0:
            out[len(x) - kept :, :, here] = x[:kept, :, here]
        else:
            out[:kept, :, here] = x[len(x) - kept :, :, here]
    return out


class _Delayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, delay: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        y = moved(x, steps)
        ctx.save_for_backward(y, steps)
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        y, steps = ctx.saved_tensors
        slope = torch.zeros_like(grad)
        slope[1:] += y[:-1]
        slope[:-1] -= y[1:]
        others = [axis for axis in range(grad.ndim) if axis != 2]
        return moved(grad, -steps), (grad * slope).sum(others) / 2, None
