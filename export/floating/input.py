"""The input of a network in PyTorch: from values to what the first weights see."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.export.model.input import RATE_STEPS, Input
from spikeport.export.model.noise import rate_draws


class InputLayer(nn.Module):
    """`export.model.input.Input` in physical units and without rounding to levels; a rate code
    draws the very spikes that are sent.
    """

    offset: Tensor

    def __init__(self, source: Input) -> None:
        super().__init__()
        self.source = source
        self.register_buffer("offset", torch.tensor(source.offsets * source.scale, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor, timesteps: int, first: int) -> Tensor:
        """Values `(1 or T, N, *shape)` less their channel's offset, or spikes `(T, N, *shape)`.
        first: absolute number of the first sample.
        """
        x = self.drawn(x, timesteps, first)
        return x - self.offset.to(x.dtype) if self.source.offset else x

    def drawn(self, x: Tensor, timesteps: int, first: int) -> Tensor:
        """The spikes of a rate code, whose gradient is that of their mean; values of other codes as
        they are. Drawing from spikes gives them back.
        """
        if self.source.code != "rate":
            return x
        intensity = (x.detach() / self.source.scale * RATE_STEPS).round().clamp(0, RATE_STEPS)
        spikes = (self.draws(x, timesteps, first) < intensity).to(x.dtype) * self.source.scale
        return spikes + (x - x.detach()) if x.requires_grad else spikes

    def draws(self, x: Tensor, timesteps: int, first: int) -> Tensor:
        """What intensities are compared with, `(T, N, *shape)`."""
        samples, size = np.arange(first, first + x.shape[1]), prod(x.shape[2:])
        steps = [rate_draws(self.source.seed, samples, t, size) for t in range(timesteps)]
        return torch.from_numpy(np.stack(steps)).to(x).reshape(timesteps, *x.shape[1:])
