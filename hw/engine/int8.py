"""Dense sums on the processor's integer units: unsigned messages of 8 bits times int8 weights,
added in 32 bits by oneDNN.

Exact where two things hold. The sum must be exact in float32, in which it comes out; a message
range that reaches below zero is shifted up by a zero point first, which oneDNN may take out again
only after the conversion, so the sum of the shifted messages must be exact as well. And the
processor must not saturate: before VNNI, pairs of products were added in 16 bits, which holds for
messages up to 127. The operators are half private, so every geometry is tried out before it is used
(`trustworthy`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Conv, Dense, Op
from spikeport.hw.engine.geometry import Geometry
from spikeport.hw.semantics.bounds import FLOAT32_EXACT

MESSAGE_LIMIT = 256
"""Messages, shifted to start at 0, lie below this."""
NEVER_SATURATES = 127
"""Two products of a message up to this and an int8 weight add up to no more than 16 bits."""
COMMON = Geometry(channels=(32, 32), grid=(6, 6, 32), kernel=(3, 3))
IMAGES_HINT = 64
"""Images in a call, as oneDNN is told when it arranges the weights; any other number works."""


def fits(op: Op, low: int, high: int) -> bool:
    """Whether sums of these weights and messages in `low..high` are proven exact, on a processor
    that does not saturate.
    """
    if not isinstance(op, (Conv, Dense)):
        return False
    reach = high - min(low, 0)
    magnitude = np.abs(op.weight.astype(np.int64)).sum(tuple(range(1, op.weight.ndim)))
    return reach < MESSAGE_LIMIT and int(magnitude.max(initial=0)) * reach < FLOAT32_EXACT


class Int8Product:
    """`(n, T, size)` messages from `low` on to `(n, T, outputs)` sums in float32, in the engine's
    order.
    """

    kind = "int8"

    def __init__(self, geometry: Geometry, weight: np.ndarray, low: int) -> None:
        self.zero = -min(low, 0)
        make = _matrix if geometry.kernel is None else _convolution
        self.product = make(geometry, torch.from_numpy(weight), self.zero)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        shifted = (x + self.zero).to(torch.uint8) if self.zero else x.to(torch.uint8)
        return self.product(shifted.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1)


def _convolution(geometry: Geometry, weight: torch.Tensor, zero: int) -> Callable[[torch.Tensor], torch.Tensor]:
    rows, columns, channels = geometry.grid
    sides = list(geometry.stride), list(geometry.padding), list(geometry.dilation), geometry.groups
    ones, zeros = torch.ones(len(weight)), torch.zeros(len(weight), dtype=torch.int32)
    packed = torch.ops.onednn.qconv_prepack(weight, ones, 1.0, zero, *sides, [IMAGES_HINT, channels, rows, columns])
    convolve = torch.ops.onednn.qconv2d_pointwise

    def product(x: torch.Tensor) -> torch.Tensor:
        images = x.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
        total = convolve(images, 1.0, zero, packed, ones, zeros, None, *sides, 1.0, 0, torch.float32, "none", [], "")
        return total.permute(0, 2, 3, 1).reshape(len(x), -1)

    return product


def _matrix(geometry: Geometry, weight: torch.Tensor, zero: int) -> Callable[[torch.Tensor], torch.Tensor]:
    ones, zeros = torch.ones(len(weight)), torch.zeros(len(weight), dtype=torch.int32)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    multiply = torch.ops.onednn.qlinear_pointwise

    def product(x: torch.Tensor) -> torch.Tensor:
        return multiply(x, 1.0, zero, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], "")

    return product


def trustworthy(geometry: Geometry, low: int, high: int) -> bool:
    """Whether the operators of this processor and PyTorch give exact sums for any weights of a
    geometry and messages in `low..high`.

    A geometry may happen to be spared where others saturate, so a range beyond 7 bits also has to
    hold for a common one.
    """
    low = min(low, 0)
    return _tried(geometry, low, high) and (high - low <= NEVER_SATURATES or _tried(COMMON, low, high))


@lru_cache(maxsize=1024)
def _tried(geometry: Geometry, low: int, high: int) -> bool:
    """With weights at the ends of their range, as many side by side as the proof allows, so that
    adders that are too narrow saturate.
    """
    rng = np.random.default_rng(0)
    weight = _extreme_weights(rng, geometry, (FLOAT32_EXACT - 1) // (128 * max(1, high - low)))
    size = prod(geometry.grid)
    x = np.stack([np.full(size, high), np.full(size, low), rng.choice([low, high], size), rng.integers(low, high + 1, size)])
    return geometry.exact(lambda: Int8Product(geometry, weight, low), weight, torch.from_numpy(x))


def _extreme_weights(rng: np.random.Generator, geometry: Geometry, most: int) -> np.ndarray:
    """Outputs in turn all 127, all -128 and mixed; at most so many weights of each are not zero,
    neighbours in memory.
    """
    outputs, inputs = geometry.weight[0], prod(geometry.weight[1:])
    flat = np.full((outputs, inputs), 127, np.int8)
    flat[1::3] = -128
    flat[2::3] = rng.choice([-128, 127], flat[2::3].shape)
    flat[:, most:] = 0
    for row, shift in zip(flat, rng.integers(0, inputs, outputs)):
        row[:] = np.roll(row, shift)
    if geometry.kernel is None:
        return flat
    per_tap = flat.reshape(outputs, *geometry.kernel, geometry.weight[1])  # channels are neighbours, then columns, then rows
    return np.ascontiguousarray(per_tap.transpose(0, 3, 1, 2))
