"""A connection in ONNX: bytes times bytes, summed in 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.ranges import per_output
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool, Shape
from spikeport.export.onnx.ops import Ops, Value, planes

WEIGHT_ZERO = np.uint8(128)
"""int8 weights are stored as unsigned bytes around this."""


@dataclass(frozen=True)
class Signal:
    """Messages of a population or of the input, `(samples, *shape)` of integers `low..high`."""

    name: str
    shape: Shape
    low: int
    high: int


def channel(ops: Ops, connection: Connection, signal: Signal, target: Shape) -> Value:
    """The connection's current for its target, int64 `(samples, *target)`, shifted and wrapped as
    Lava does.
    """
    if connection.pool:
        signal = _pooled(ops, connection.pool, signal)
    total = _weighted(ops, connection, signal)
    shifted = ops.shift(Value(ops.reshape(total.name, *target), total.bound), connection.exponent)
    return ops.wrap(shifted, reg.STATE_BITS if isinstance(connection.op, Conv) else 32)


def _weighted(ops: Ops, connection: Connection, signal: Signal) -> Value:
    op, weight = connection.op, connection.weight
    top = max(abs(signal.low), signal.high)
    if isinstance(op, Conv):
        return Value(_convolved(ops, op, signal), top * reach(connection))
    if isinstance(op, Dense):
        flat = ops.reshape(signal.name, prod(signal.shape))
        stored = ops.constant(_stored(weight.T))
        matmul = lambda x, zero: ops("MatMulInteger", x, stored, np.uint8(zero), WEIGHT_ZERO)  # noqa: E731
        return Value(_summed(ops, matmul, flat, signal, weight.shape[1]), top * reach(connection))
    product = ops("Mul", ops.cast(signal.name, np.int64), weight.astype(np.int64))
    return Value(product, top * reach(connection))


def reach(connection: Connection) -> int:
    """Largest sum of absolute weights into one neuron."""
    return int(per_output(connection, np.abs(connection.weight.astype(np.int64))).max(initial=0))


def _stored(weight: np.ndarray) -> np.ndarray:
    return (weight.astype(np.int16) + int(WEIGHT_ZERO)).astype(np.uint8)


def geometry_of(conv: Conv) -> dict[str, Any]:
    """Attributes of ONNX's convolutions."""
    return {
        "kernel_shape": conv.kernel,
        "strides": conv.stride,
        "pads": (*conv.padding, *conv.padding),
        "dilations": conv.dilation,
        "group": conv.groups,
    }


def _convolved(ops: Ops, conv: Conv, signal: Signal) -> str:
    """int64 `(samples, C_out, *spatial)`."""
    stored = ops.constant(_stored(conv.weight))
    geometry = geometry_of(conv)
    convolve = lambda x, zero: ops("ConvInteger", x, stored, np.uint8(zero), WEIGHT_ZERO, **geometry)  # noqa: E731
    return _summed(ops, convolve, signal.name, signal, prod(conv.weight.shape[1:]))


def _summed(ops: Ops, multiply: Callable[[str, int], str], x: str, signal: Signal, fan_in: int) -> str:
    """Multiply byte by byte and add up in int64."""
    parts = planes(ops, x, signal.low, signal.high)
    largest = signal.high - signal.low if len(parts) == 1 else 255
    if fan_in * largest * 128 >= 1 << 31:
        raise InputError(f"{fan_in} inputs of 8 bits per neuron overflow ONNX's 32-bit sums; use another backend")
    total = None
    for byte, zero, factor in parts:
        product = ops.cast(multiply(byte, zero), np.int64)
        scaled = product if factor == 1 else ops("Mul", product, factor)
        total = ops("Add", total, scaled) if total else scaled
    assert total
    return total


def _pooled(ops: Ops, pool: Pool, signal: Signal) -> Signal:
    """Sum over windows, as a convolution with ones in each channel."""
    dilation = (1,) * len(pool.kernel)
    ones = Conv(np.ones((signal.shape[0], 1, *pool.kernel), np.int8), pool.stride, pool.padding, dilation, signal.shape[0])
    return Signal(_convolved(ops, ones, signal), pool.output_shape(signal.shape), signal.low * pool.area, signal.high * pool.area)
