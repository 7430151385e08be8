"""The input's messages in the engine's order."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Input
from spikeport.hw.engine.compiled.jit import compiled, widest_vectors
from spikeport.hw.records.stimulus import Stimulus


def input_messages(source: Input, stimulus: Stimulus, device: torch.device) -> torch.Tensor:
    """`(n, T or 1 if held, size)`, in bytes where they fit, else int32."""
    low, high = source.sent
    dtype = np.uint8 if low >= 0 and high < 256 else np.int32
    steps = 1 if stimulus.held else stimulus.timesteps
    channels, positions = source.shape[0], prod(source.shape[1:])
    made = np.empty((len(stimulus), steps, positions * channels), dtype)
    values = np.ascontiguousarray(stimulus.values)
    interleave(values.reshape(-1, channels, positions), made.reshape(-1, positions, channels))
    return torch.from_numpy(made).to(device)


@compiled
def interleave(x, out):
    """`(n, C, positions)` to `(n, positions, C)`, cast."""
    widest_vectors()
    for sample in range(len(x)):
        for channel in range(x.shape[1]):
            spread(x[sample, channel], out[sample, :, channel])


@compiled
def spread(x, out):
    """out = x, cast."""
    widest_vectors()
    for i in range(len(x)):
        out[i] = x[i]
