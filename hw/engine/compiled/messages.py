"""The input's messages in the engine's order."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Input
from spikeport.hw.engine.compiled.jit import compiled, widest_vectors
from spikeport.hw.records.stimulus import Stimulus, sent_type

WORD = 8
"""Channels of a byte each that are put into one word and written together."""


def input_messages(source: Input, stimulus: Stimulus, device: torch.device) -> torch.Tensor:
    """`(n, T or 1 if held, size)`, in bytes where they fit, else int32."""
    steps = 1 if stimulus.held else stimulus.timesteps
    channels, positions = source.shape[0], prod(source.shape[1:])
    made = np.empty((len(stimulus), steps, positions * channels), sent_type(source))
    values = np.ascontiguousarray(stimulus.values).reshape(-1, channels, positions)
    images = made.reshape(-1, positions, channels)
    if made.dtype == np.uint8 and not channels % WORD:
        interleave_words(values, images.view(np.uint64))
    else:
        interleave(values, images)
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


@compiled
def interleave_words(x, out):
    """`(n, C, positions)` of bytes to words `(n, positions, C / 8)`, which are `(n, positions, C)`
    in memory.
    """
    widest_vectors()
    packed = np.empty(x.shape[2], np.uint64)
    for sample in range(len(x)):
        for word in range(out.shape[2]):
            c = WORD * word
            low, high = x[sample, c : c + 4], x[sample, c + 4 : c + 8]
            pack(low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3], packed)
            spread(packed, out[sample, :, word])


@compiled
def pack(a, b, c, d, e, f, g, h, out):
    """Eight rows of bytes into words, the first lowest, as little-endian processors keep them."""
    widest_vectors()
    for i in range(len(out)):
        out[i] = np.uint64(four(a[i], b[i], c[i], d[i])) | np.uint64(np.uint64(four(e[i], f[i], g[i], h[i])) << np.uint64(32))


@compiled
def four(a, b, c, d):
    """Four bytes as 32 bits, which vectors hold twice as many of as of 64."""
    low = np.uint32(np.uint32(np.uint8(a)) | np.uint32(np.uint32(np.uint8(b)) << np.uint32(8)))
    high = np.uint32(np.uint32(np.uint8(c)) | np.uint32(np.uint32(np.uint8(d)) << np.uint32(8)))
    return np.uint32(low | np.uint32(high << np.uint32(16)))
