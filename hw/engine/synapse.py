"""Sums of weight times message for a batch, exactly: dense in floating point where it is proven exact, by events where sparse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn import functional

from spikeport.export.model.network import Connection, Conv, Dense, QuantizedNetwork, Shape
from spikeport.hw.engine.events import EventSynapse
from spikeport.hw.engine.layout import grid, order, to_engine, two_axes
from spikeport.hw.engine.pooling import SumPool
from spikeport.hw.semantics.bounds import SumBound, message_interval


@contextmanager
def plain_sums() -> Iterator[None]:
    """Keep PyTorch to algorithms that only add products: no Winograd or Fourier transform, no TF32 or bfloat16 inside.

    oneDNN convolves directly unless asked otherwise; NNPACK and cuDNN may transform, so they are switched off, and PyTorch's
    own CUDA convolutions are matrix products.
    """
    precision, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.enabled
    (nnpack,) = torch.backends.nnpack.set_flags(False)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.nnpack.set_flags(nnpack)
        torch.backends.cudnn.enabled = cudnn


class DenseSynapse:
    """Every weight multiplied: a matrix product or convolution in float32, or float64 where float32 could round."""

    def __init__(self, connection: Connection, source: Shape, bound: SumBound, device: torch.device) -> None:
        self.op, self.grid = connection.op, grid(source)
        self.dtype = torch.float32 if bound.float32_exact else torch.float64
        self.weight = self._engine_weight(source).to(device, self.dtype)

    def _engine_weight(self, source: Shape) -> torch.Tensor:
        weight = self.op.weight
        if isinstance(self.op, Dense):
            return torch.from_numpy(weight[:, order(source)].T.copy())
        if isinstance(self.op, Conv):
            rows = weight.reshape(*weight.shape[:2], *two_axes(self.op.kernel, 1))
            return torch.from_numpy(rows.copy()).contiguous(memory_format=torch.channels_last)
        return torch.from_numpy(to_engine(np.broadcast_to(weight, source), source).copy())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, T, size)` messages to `(n, T, outputs)` sums, floating point."""
        values = x.to(self.dtype)
        if isinstance(self.op, Dense):
            return values @ self.weight
        if not isinstance(self.op, Conv):
            return values * self.weight
        images = values.reshape(-1, *self.grid).permute(0, 3, 1, 2)
        stride, padding, dilation = two_axes(self.op.stride, 1), two_axes(self.op.padding, 0), two_axes(self.op.dilation, 1)
        total = functional.conv2d(images, self.weight, None, stride, padding, dilation, self.op.groups)
        return total.permute(0, 2, 3, 1).reshape(*x.shape[:2], -1)


class Synapse:
    """One connection, from the messages of its source to the sums that its target receives, both in the engine's order."""

    def __init__(self, network: QuantizedNetwork, connection: Connection, bound: SumBound, device: torch.device, compiled: bool) -> None:
        shape = network.shape(connection.source)
        low, high = message_interval(network, connection)
        self.connection = connection
        self.pool = SumPool(connection.pool, shape, low, high, compiled) if connection.pool else None
        if connection.pool:
            shape = connection.pool.output_shape(shape)
        self.dense = DenseSynapse(connection, shape, bound, device)
        self.events = EventSynapse(connection, shape, high) if compiled and EventSynapse.fits(connection, low, high) else None
        self.rearranged = _rearrangement(connection.op.output_shape(shape), network.shape(connection.target))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, T, size)` messages to `(n, T, outputs)` sums of any number type."""
        if self.pool:
            x = self.pool(x)
        sparse = self.events if self.events and self.events.pays(_activity(x)) else None
        total = sparse(x) if sparse else self.dense(x)
        return total if self.rearranged is None else total[..., self.rearranged]


def _activity(x: torch.Tensor) -> float:
    """Mean message of the first few samples."""
    return float(x[:4].sum()) / max(1, x[:4].numel())


def _rearrangement(made: Shape, wanted: Shape) -> torch.Tensor | None:
    """Where each target neuron finds its sum, if the target flattens what the connection makes."""
    if made == wanted or np.array_equal(order(made), order(wanted)):
        return None
    position = np.empty(len(order(made)), np.int64)
    position[order(made)] = np.arange(len(position))
    return torch.from_numpy(position[order(wanted)])
