"""Dropout of what a layer's weights receive, spikes or post-synaptic currents, the same at all
timesteps.

Where and what TSSL-BP's released code drops: ahead of every weight layer but the first, behind
pooling; one mask for each sample, of features of dense layers and of whole rows of each channel's
map (its layer merges channels and rows into the axis that feature dropout, in the torch of its
time, kept together).
"""

from __future__ import annotations

import torch
from torch import nn

from spikeport.train.ranks.draws import drawn

WORDS = 1 << 32
"""How many values a random word has."""


class HeldDropout(nn.Module):
    """probability: of a feature or a row of a map to be zero in training; what is left is divided
    by 1 - probability. Each sample draws its own (`train.ranks.draws`).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        """`(timesteps * N, C, H, W)` or `(timesteps * N, features)`, time first, in the same shape;
        as it is in evaluation.
        """
        if not self.training:
            return x
        over_time = x.unflatten(0, (timesteps, -1))
        return (over_time * self.mask(over_time[0])).flatten(0, 1)

    def mask(self, x: torch.Tensor) -> torch.Tensor:
        """What one timestep `(N, C, H, W)` or `(N, features)` is multiplied by in training, drawn
        anew.
        """
        kept = 1 - self.probability
        bound = min(round(kept * WORDS), WORDS - 1) - WORDS // 2
        rows = x.shape[1:3]
        mask = drawn(len(x), rows.numel(), lambda words: words < bound, x.dtype, x.device).div_(kept)
        return mask.view(len(x), *rows, *(1,) * (x.ndim - 3))

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
