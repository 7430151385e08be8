"""One connection's sums for many samples at once, samples last: a matrix product in PyTorch, exact
in floating point.

With samples last, pooling and the cutting of windows copy long runs whatever the kernel, and a
layer is one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import torch

from spikeport.export.model.synapse import Connection, Conv, Dense, Pool, Shape
from spikeport.hw.semantics.bounds import SumBound

Sums = Callable[[np.ndarray], np.ndarray]
"""`(inputs, lanes)` integer messages to `(outputs, lanes)` sums before the exponent, whole numbers
in floating point.
"""
WINDOW_BYTES = 1 << 20
"""Windows of a convolution that are laid out at a time; with the weights they stay in a
second-level cache.
"""


def make_sums(connection: Connection, source: Shape, bound: SumBound) -> Sums:
    """The connection's sums, pooling ahead of the weights."""
    dtype = np.dtype(np.float32 if bound.float32_exact else np.float64)
    shape = connection.pooled_shape(source)
    weigh = _weighing(connection, shape, dtype)
    if not connection.pool:
        return lambda x: weigh(x.reshape(*source, -1).astype(dtype))
    pool = connection.pool
    return lambda x: weigh(sum_windows(x.reshape(*source, -1), pool, shape, dtype))


def _weighing(connection: Connection, source: Shape, dtype: np.dtype) -> Sums:
    op = connection.op
    if isinstance(op, Conv):
        return Convolution(op, source, dtype)
    if isinstance(op, Dense):
        weight = torch.from_numpy(op.weight.astype(dtype))
        return lambda x: torch.mm(weight, torch.from_numpy(x.reshape(prod(source), -1))).numpy()
    factors = np.broadcast_to(op.weight, source).astype(dtype).reshape(-1, 1)
    return lambda x: factors * x.reshape(len(factors), -1)


def sum_windows(x: np.ndarray, pool: Pool, pooled: Shape, dtype: np.dtype) -> np.ndarray:
    """Sum pooling of `(channels, *spatial, lanes)`; spikes are added up as bytes where the window
    is small enough.
    """
    if x.dtype == np.bool_:
        x = x.view(np.uint8)
    total = np.zeros((*pooled, x.shape[-1]), np.uint8 if x.dtype == np.uint8 and pool.area < 256 else dtype)
    x = padded(x, pool.padding)
    for offset in np.ndindex(*pool.kernel):
        total += x[window(offset, pooled[1:], pool.stride)]
    return total.astype(dtype)


def padded(x: np.ndarray, padding: Shape) -> np.ndarray:
    """Zeros around the spatial axes of `(channels, *spatial, lanes)`."""
    return np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)]) if any(padding) else x


def window(start: Shape, outputs: Shape, stride: Shape) -> tuple[slice, ...]:
    """Every channel, and the positions that one tap of a kernel sees for so many outputs."""
    return (slice(None), *(slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(start, outputs, stride)))


class Convolution:
    """A convolution as products of the kernels with windows, some output rows at a time."""

    def __init__(self, conv: Conv, source: Shape, dtype: np.dtype) -> None:
        self.conv, self.outputs = conv, conv.output_shape(source)[1:]
        self.weight = torch.from_numpy(conv.weight.astype(dtype).reshape(conv.groups, len(conv.weight) // conv.groups, -1))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        conv, lanes = self.conv, x.shape[-1]
        x = padded(x, conv.padding).reshape(conv.groups, -1, *(n + 2 * p for n, p in zip(x.shape[1:], conv.padding)), lanes)
        total = np.empty((*self.weight.shape[:2], *self.outputs, lanes), x.dtype)
        rest, taps = self.outputs[1:], self.weight.shape[2]
        rows = max(1, WINDOW_BYTES // (taps * prod(rest) * lanes * x.itemsize))
        for group, top in np.ndindex(conv.groups, -(-self.outputs[0] // rows)):
            part = total[group, :, top * rows : (top + 1) * rows]
            windows = torch.from_numpy(self._windows(x[group], top * rows, part.shape[1:]).reshape(taps, -1))
            part[...] = torch.mm(self.weight[group], windows).numpy().reshape(part.shape)
        return total.reshape(-1, lanes)

    def _windows(self, x: np.ndarray, top: int, size: Shape) -> np.ndarray:
        """What each tap sees for output rows from `top` on: `(channels, *kernel, *size)`, size with
        the lanes.
        """
        conv = self.conv
        laid = np.empty((len(x), *conv.kernel, *size), x.dtype)
        for tap in np.ndindex(*conv.kernel):
            start = [t * d for t, d in zip(tap, conv.dilation)]
            start[0] += top * conv.stride[0]
            place: tuple[slice | int, ...] = (slice(None), *tap)
            laid[place] = x[window(tuple(start), size[:-1], conv.stride)]
        return laid
