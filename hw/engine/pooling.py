"""Sum pooling ahead of the weights, channels last."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch.nn import functional

from spikeport.export.model.network import Pool, Shape
from spikeport.hw.engine.kernels import compiled
from spikeport.hw.engine.layout import grid, two_axes


@compiled
def sum_pool(x, kernel, stride, padding, out):
    """Channels-last sum pooling: `(images, H, W, C)` into out `(images, H', W', C)`; rows first, as they are contiguous."""
    row = np.empty((x.shape[2], x.shape[3]), out.dtype)
    for image in range(len(x)):
        for oy in range(out.shape[1]):
            row[:] = 0
            top = oy * stride[0] - padding[0]
            for y in range(max(0, top), min(x.shape[1], top + kernel[0])):
                add_row(x[image, y], row)
            pool_row(row, kernel[1], stride[1], padding[1], out[image, oy])


@compiled
def add_row(x, row):
    """row += x, both `(W, C)`."""
    source, target = x.ravel(), row.ravel()
    for i in range(len(target)):
        target[i] += source[i]


@compiled
def pool_row(row, kernel, stride, padding, out):
    """Sums over the windows of one row `(W, C)` into `(W', C)`."""
    out[:] = 0
    for ox in range(len(out)):
        left = ox * stride - padding
        for at in range(max(0, left), min(len(row), left + kernel)):
            for c in range(out.shape[1]):
                out[ox, c] += row[at, c]


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
        sum_pool(images.numpy(), self.kernel, self.stride, self.padding, out.numpy())
        return out

    def _sliced(self, images: torch.Tensor) -> torch.Tensor:
        (top, left), (rows, columns) = self.padding, self.target[:2]
        padded = functional.pad(images.to(torch.int32), (0, 0, left, left, top, top))
        windows = (
            padded[:, y : y + (rows - 1) * self.stride[0] + 1 : self.stride[0], x : x + (columns - 1) * self.stride[1] + 1 : self.stride[1]]
            for y, x in product(range(self.kernel[0]), range(self.kernel[1]))
        )
        return sum(windows, torch.zeros((), dtype=torch.int32, device=images.device))
