"""Sums with every weight multiplied, exactly: in int8 where the bounds and the processor or GPU
allow, else in floating point.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time_ns
from typing import Protocol

import numpy as np
import torch

from spikeport.export.model.network import Connection, Elementwise, Shape
from spikeport.hw.engine import matrix_unit
from spikeport.hw.engine.geometry import Geometry, engine_weight
from spikeport.hw.engine.int8 import Int8Product, fits, trustworthy
from spikeport.hw.engine.layout import to_engine
from spikeport.hw.semantics.bounds import SumBound

TIMED_MESSAGES, TIMED_IMAGES, TRIES = 1 << 18, 32, 7
"""A product is timed on as many images as hold so many messages, but on `TIMED_IMAGES` or more: on
few small ones the time of the call is all there is, and events look cheaper than they are.
"""


class Product(Protocol):
    """`(n, T, size)` messages to `(n, T, outputs)` sums of any number type, in the engine's order.
    kind: what it computes in.
    """

    kind: str

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


@contextmanager
def plain_sums() -> Iterator[None]:
    """Keep PyTorch to algorithms that only add products: no Winograd or Fourier transform, no TF32
    or bfloat16 inside.

    oneDNN convolves directly unless asked otherwise; NNPACK and cuDNN may transform, so they are
    switched off, and PyTorch's own CUDA convolutions are matrix products.
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


class FloatProduct:
    """A matrix product or convolution in float32, or float64 where float32 could round."""

    def __init__(self, geometry: Geometry, weight: np.ndarray, bound: SumBound, device: torch.device) -> None:
        self.geometry, self.dtype = geometry, float_type(bound)
        self.kind = str(self.dtype).removeprefix("torch.")
        layout = torch.contiguous_format if geometry.kernel is None else torch.channels_last
        self.weight = torch.from_numpy(weight).to(device, self.dtype).contiguous(memory_format=layout)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.geometry.sums(x.to(self.dtype).reshape(-1, x.shape[2]), self.weight).reshape(*x.shape[:2], -1)


class ElementwiseProduct:
    """One weight per message, in floating point."""

    def __init__(self, op: Elementwise, source: Shape, bound: SumBound, device: torch.device) -> None:
        self.dtype = float_type(bound)
        self.kind = str(self.dtype).removeprefix("torch.")
        weight = to_engine(np.broadcast_to(op.weight, source), source)
        self.weight = torch.from_numpy(weight.copy()).to(device, self.dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.dtype) * self.weight


def float_type(bound: SumBound) -> torch.dtype:
    """The narrowest floating-point type in which a sum is exact."""
    return torch.float32 if bound.float32_exact else torch.float64


def dense_product(
    connection: Connection, source: Shape, messages: tuple[int, int], bound: SumBound, device: torch.device, compiled: bool
) -> tuple[Product, str | None]:
    """The fastest exact product for messages `(low, high)` of a source's (pooled) shape, and a note
    where the processor kept it from int8.
    """
    op = connection.op
    if isinstance(op, Elementwise):
        return ElementwiseProduct(op, source, bound, device), None
    geometry, weight = Geometry.of(op, source), engine_weight(op, source)
    wanted = fits(op, *messages) if compiled else matrix_unit.fits(op, *messages, bound)
    if wanted and compiled and trustworthy(geometry, *messages):
        return Int8Product(geometry, weight, messages[0]), None
    if wanted and not compiled and matrix_unit.trustworthy(geometry, device):
        return matrix_unit.MatrixUnitProduct(geometry, weight, device), None
    product = FloatProduct(geometry, weight, bound, device)
    where = "this processor" if device.type == "cpu" else f"this device ({device})"
    what = f"int8 sums of messages {messages[0]}..{messages[1]} are not exact with {where} and PyTorch; {product.kind} instead"
    return product, what if wanted else None


def nanoseconds(product: Product, size: int) -> float:
    """Processor time of one image of so many messages on this machine, shortest of a few tries on
    one thread.
    """
    images = max(TIMED_IMAGES, TIMED_MESSAGES // size)
    x = torch.zeros(1, images, size, dtype=torch.uint8)
    tries = []
    with one_thread():
        for _ in range(TRIES):
            start = thread_time_ns()
            product(x)
            tries.append(thread_time_ns() - start)
    return min(tries) / images


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch without threads of its own meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
