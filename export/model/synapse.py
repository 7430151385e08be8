"""Synapse geometry: how the spikes of one population become the current of another.

Imports numpy only.

Shapes: a population's shape has no batch and no time axis: `(features,)`, `(channels, length)` or
`(channels, height, width)`. Weights keep PyTorch's layout and its meaning (cross-correlation,
kernels are not flipped).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.frozen import frozen_array

Shape: TypeAlias = "tuple[int, ...]"


def windows_along(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many places a sliding window takes along one axis (PyTorch's floor rule)."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True)
class Pool:
    """Sum pooling ahead of the weights: `y[c, i] = sum_k x[c, i*stride + k - padding]`.

    Average pooling is sum pooling with the factor 1/prod(kernel) moved into the weights, which is
    exact.
    """

    kernel: Shape
    stride: Shape
    padding: Shape

    def __post_init__(self) -> None:
        if not len(self.kernel) == len(self.stride) == len(self.padding):
            raise InputError(f"pooling kernel {self.kernel}, stride {self.stride} and padding {self.padding} differ in length")
        if min(self.kernel + self.stride, default=0) < 1 or min(self.padding) < 0:
            raise InputError(f"pooling needs kernel and stride >= 1 and padding >= 0, got {self}")

    @property
    def area(self) -> int:
        """Number of inputs in a window."""
        return prod(self.kernel)

    def output_shape(self, source: Shape) -> Shape:
        """Shape of the pooled map."""
        if len(source) != 1 + len(self.kernel):
            raise InputError(f"pooling over {len(self.kernel)} axes cannot read a population of shape {source}")
        sizes = tuple(map(windows_along, source[1:], self.kernel, self.stride, self.padding))
        if min(sizes) < 1:
            raise InputError(f"pooling window {self.kernel} is larger than its input of shape {source}")
        return (source[0], *sizes)


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all: `a = weight @ flatten(x)`; weight `(out_features, in_features)`."""

    weight: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_array(self.weight))
        if self.weight.ndim != 2:
            raise InputError(f"a dense weight has 2 axes (out, in), got shape {self.weight.shape}")

    def output_shape(self, source: Shape) -> Shape:
        """`(out_features,)`."""
        if prod(source) != self.weight.shape[1]:
            raise InputError(f"a dense weight of shape {self.weight.shape} cannot read {prod(source)} neurons of shape {source}")
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution in PyTorch's sense over one or two axes; weight `(C_out, C_in / groups,
    *kernel)`, zero padding.
    """

    weight: np.ndarray
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_array(self.weight))
        axes = self.weight.ndim - 2
        if axes not in (1, 2):
            raise InputError(f"a convolution weight has 3 or 4 axes, got shape {self.weight.shape}")
        if not len(self.stride) == len(self.padding) == len(self.dilation) == axes:
            raise InputError(f"stride {self.stride}, padding {self.padding}, dilation {self.dilation} need {axes} entries each")
        if min(self.stride + self.dilation) < 1 or min(self.padding) < 0:
            raise InputError("a convolution needs stride and dilation >= 1 and padding >= 0")
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise InputError(f"{self.weight.shape[0]} output channels do not divide into {self.groups} groups")

    @property
    def kernel(self) -> Shape:
        """Kernel size along each spatial axis."""
        return self.weight.shape[2:]

    def output_shape(self, source: Shape) -> Shape:
        """`(C_out, *spatial)`."""
        channels = self.weight.shape[1] * self.groups
        if len(source) != 1 + len(self.kernel) or source[0] != channels:
            raise InputError(f"a convolution of {channels} channels and kernel {self.kernel} cannot read a population of shape {source}")
        sizes = tuple(map(windows_along, source[1:], self.kernel, self.stride, self.padding, self.dilation))
        if min(sizes) < 1:
            raise InputError(f"kernel {self.kernel} is larger than its padded input of shape {source}")
        return (self.weight.shape[0], *sizes)


@dataclass(frozen=True, eq=False)
class Elementwise:
    """One to one: `a = weight * x`; weight broadcasts against the source (a scalar, `(C, 1, 1)`, or
    the full shape).
    """

    weight: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_array(self.weight))

    def output_shape(self, source: Shape) -> Shape:
        """The source's shape."""
        try:
            shape = np.broadcast_shapes(self.weight.shape, source)
        except ValueError:
            shape = None
        if shape != source:
            raise InputError(f"an elementwise weight of shape {self.weight.shape} does not fit a population of shape {source}")
        return source


Op: TypeAlias = "Dense | Conv | Elementwise"


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses from one population to another.

    At timestep t the target receives `shift(op(pool(x[t - delay])), exponent)` where x are the
    source's spikes and `shift(a, e) = a * 2**e`, in integers rounded down (floor, after the sum)
    for negative e, as Lava does. A delay of 0 means within the same timestep; a loop needs a delay
    of at least 1. Weights of a float network are float64 with exponent 0; weights of a quantized
    network are int8.
    """

    name: str
    source: str
    target: str
    op: Op
    pool: Pool | None = None
    delay: int = 0
    exponent: int = 0

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise InputError(f"connection {self.name}: delay {self.delay} is negative; it counts timesteps, 0 or more")

    @property
    def weight(self) -> np.ndarray:
        """The weights of the op."""
        return self.op.weight

    def pooled_shape(self, source: Shape) -> Shape:
        """Shape that the weights read, for a source of this shape."""
        return self.pool.output_shape(source) if self.pool else source

    def output_shape(self, source: Shape) -> Shape:
        """Shape of the current for a source of this shape, before the target's own shape (a flatten
        is a reshape).
        """
        return self.op.output_shape(self.pooled_shape(source))
