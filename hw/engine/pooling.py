"""Sum pooling ahead of the weights, channels last."""

from __future__ import annotations

from itertools import product
from math import gcd

import numpy as np
import torch
from torch.nn import functional

from spikeport.export.model.network import Pool, Shape
from spikeport.hw.engine.compiled.jit import compiled, widest_vectors
from spikeport.hw.engine.layout import grid, two_axes

WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@compiled
def sum_pool(x, kernel, stride, padding, out):
    """Channels-last sum pooling: `(images, H, W, C)` into out `(images, H', W', C)`.

    Kernel rows are added over the whole row of the map, then kernel columns, as the row shifted by
    so many channels; what lies at the windows is picked last. So all loops but the last are long.
    """
    widest_vectors()
    images, height, width, channels = x.shape
    rows, picked = x.reshape(images, height, width * channels), out.reshape(images, out.shape[1], out.shape[2] * channels)
    padded = np.zeros((width + 2 * padding[1]) * channels, out.dtype)
    inner = padded[padding[1] * channels : (padding[1] + width) * channels]
    windows = np.empty(len(padded) - (kernel[1] - 1) * channels, out.dtype)
    for image in range(images):
        for oy in range(out.shape[1]):
            top = oy * stride[0] - padding[0]
            clear(inner)
            for y in range(max(0, top), min(height, top + kernel[0])):
                add_row(rows[image, y], inner)
            clear(windows)
            for shift in range(kernel[1]):
                add_row(padded[shift * channels : shift * channels + len(windows)], windows)
            pick(windows, stride[1] * channels, channels, picked[image, oy])


@compiled
def clear(row):
    """row = 0."""
    widest_vectors()
    for i in range(len(row)):
        row[i] = 0


@compiled
def add_row(source, target):
    """target += source."""
    widest_vectors()
    for i in range(len(target)):
        target[i] += source[i]


@compiled
def pick(windows, step, channels, out):
    """Every so many entries, `channels` of them in a row."""
    for at in range(len(out) // channels):
        for c in range(channels):
            out[at * channels + c] = windows[at * step + c]


class SumPool:
    """Sums over windows; compiled on the CPU, else strided slices added in PyTorch."""

    def __init__(self, pool: Pool, source: Shape, low: int, high: int, compiled: bool) -> None:
        self.kernel, self.stride = two_axes(pool.kernel, 1), two_axes(pool.stride, 1)
        self.padding = two_axes(pool.padding, 0)
        self.source, self.target = grid(source), grid(pool.output_shape(source))
        self.dtype = torch.uint8 if low >= 0 and high < 256 else torch.int32
        self.compiled = compiled

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, T, size)` to `(n, T, pooled size)`."""
        images = x.reshape(-1, *self.source)
        pooled = (self._compiled if self.compiled else self._sliced)(images)
        return pooled.reshape(*x.shape[:2], -1)

    def _compiled(self, images: torch.Tensor) -> torch.Tensor:
        out = torch.empty(len(images), *self.target, dtype=self.dtype)
        same = images.dtype == self.dtype == torch.uint8
        word = WORDS[gcd(self.source[2], 8)] if same else None  # sums stay below 256, so bytes can be added side by side
        source, target = (array.numpy().view(word) if word else array.numpy() for array in (images, out))
        sum_pool(source, self.kernel, self.stride, self.padding, target)
        return out

    def _sliced(self, images: torch.Tensor) -> torch.Tensor:
        (top, left), (rows, columns) = self.padding, self.target[:2]
        padded = functional.pad(images.to(torch.int32), (0, 0, left, left, top, top))
        windows = (
            padded[:, y : y + (rows - 1) * self.stride[0] + 1 : self.stride[0], x : x + (columns - 1) * self.stride[1] + 1 : self.stride[1]]
            for y, x in product(range(self.kernel[0]), range(self.kernel[1]))
        )
        return sum(windows, torch.zeros((), dtype=torch.int32, device=images.device))
