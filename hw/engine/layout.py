"""The engine's order of neurons: channels last, so that the weights of one input touch neighbours
in memory.

Legend of array suffixes and shapes: n samples, T timesteps, H rows, W columns, C channels; a
population is a row of H * W * C neurons. One spatial axis is a single row of W columns, none is one
position of C features.
"""

from __future__ import annotations

from math import prod

import numpy as np

from spikeport.export.model.network import Shape


def grid(shape: Shape) -> tuple[int, int, int]:
    """`(H, W, C)` of a population of shape `(C,)`, `(C, W)` or `(C, H, W)`."""
    rows, columns = (1, 1, *shape[1:])[-2:]
    return rows, columns, shape[0]


def to_engine(array: np.ndarray, shape: Shape) -> np.ndarray:
    """`(..., *shape)` to `(..., size)` in the engine's order."""
    lead = array.shape[: array.ndim - len(shape)]
    return np.ascontiguousarray(np.moveaxis(array, len(lead), -1)).reshape(*lead, prod(shape))


def from_engine(array: np.ndarray, shape: Shape) -> np.ndarray:
    """`(..., size)` in the engine's order to `(..., *shape)`, a view."""
    lead = array.shape[:-1]
    return np.moveaxis(array.reshape(*lead, *shape[1:], shape[0]), -1, len(lead))


def order(shape: Shape) -> np.ndarray:
    """Number of each neuron in the network's own (row-major) order, int64 `(size,)`, listed in the
    engine's order.
    """
    return to_engine(np.arange(prod(shape)).reshape(shape), shape)


def per_neuron(values: np.ndarray, shape: Shape) -> np.ndarray:
    """A register that broadcasts against the population, unrolled to int32 `(size,)` in the
    engine's order.
    """
    return to_engine(np.broadcast_to(values, shape).astype(np.int32), shape)


def two_axes(values: Shape, missing: int) -> tuple[int, int]:
    """A kernel's, stride's or padding's value for rows and columns, `missing` for rows where there
    is one axis only.
    """
    rows, columns = (missing, *values)[-2:]
    return rows, columns
