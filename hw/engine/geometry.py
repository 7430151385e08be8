"""A matrix product or convolution without its weights: what two layers of the same shape share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from spikeport.export.model.network import Conv, Dense, Shape
from spikeport.hw.engine.layout import grid, order, two_axes


class Geometry(NamedTuple):
    """What a dense product looks like without its weights. channels: `(out, in / groups)`; kernel
    None: a matrix over all of grid.

    grid: `(rows, columns, channels)` of what it reads.
    """

    channels: tuple[int, int]
    grid: tuple[int, int, int]
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @staticmethod
    def of(op: Conv | Dense, source: Shape) -> Geometry:
        """An operation's, on a population of this shape."""
        if isinstance(op, Dense):
            return Geometry((op.weight.shape[0], op.weight.shape[1]), grid(source))
        sides = two_axes(op.kernel, 1), two_axes(op.stride, 1), two_axes(op.padding, 0), two_axes(op.dilation, 1)
        return Geometry((op.weight.shape[0], op.weight.shape[1]), grid(source), *sides, op.groups)

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape of the weights in the engine's order of a matrix's inputs, PyTorch's order of a
        kernel.
        """
        return (*self.channels, *(self.kernel or ()))

    def sums(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Rows `(n, size)` to `(n, outputs)` in the number type of both."""
        if self.kernel is None:
            return x @ weight.T
        images = x.reshape(-1, *self.grid).permute(0, 3, 1, 2)
        total = functional.conv2d(images, weight, None, self.stride, self.padding, self.dilation, self.groups)
        return total.permute(0, 2, 3, 1).reshape(len(x), -1)

    def exact(self, make: Callable[[], Callable[[torch.Tensor], torch.Tensor]], weight: np.ndarray, messages: torch.Tensor) -> bool:
        """Whether the product that `make` makes of these weights is there, and gives the sums of
        messages `(n, size)` to the last unit.
        """
        try:
            made = make()(messages[None])[0].cpu()
        except (AttributeError, RuntimeError, NotImplementedError):  # a PyTorch without the operator, or no unit for it
            return False
        return torch.equal(made.to(torch.float64), self.sums(messages.to(torch.float64), torch.from_numpy(weight).to(torch.float64)))


def engine_weight(op: Conv | Dense, source: Shape) -> np.ndarray:
    """The weights in the shape of `Geometry.weight`."""
    if isinstance(op, Dense):
        return np.ascontiguousarray(op.weight[:, order(source)])
    return op.weight.reshape(*op.weight.shape[:2], *two_axes(op.kernel, 1)).copy()
