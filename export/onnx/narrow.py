"""A population's timestep in 32 bits, its sums in float32, where the weights prove both exact:
several times faster in ONNX Runtime on CPUs.

Only for what is run here at once: on other processors float32 convolutions may be transformed or
rounded to fewer bits, so a model that is written to a file keeps to integers.
"""

from __future__ import annotations

from math import prod

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool, Shape
from spikeport.export.onnx.ops import Ops, Value
from spikeport.export.onnx.synapse import Signal, geometry_of, reach

FLOAT32_EXACT = 1 << 24
"""Sums of whole numbers up to this are exact in float32, in any order."""
STATE_TOP = np.int32(reg.STATE_LIMIT - 1)


def narrow_bound(network: QuantizedNetwork, population: Population[IntegerNeuron]) -> int | None:
    """Largest sum in state units where it, and every part of it, is exact in float32, so that 32
    bits hold the rest; None elsewhere.
    """
    total = 0
    for c in network.incoming(population.name):
        low, high = network.messages(c.source)
        bound = max(-low, high) * (c.pool.area if c.pool else 1) * reach(c)
        if bound >= FLOAT32_EXACT:
            return None
        total += bound << max(c.exponent, 0)  # a negative exponent leaves less
    bound = total << reg.STATE_SHIFT
    return bound if population.neuron.noise is None and bound <= FLOAT32_EXACT else None


def narrow_channel(ops: Ops, c: Connection, signal: Signal, target: Shape) -> str:
    """What the connection delivers in state units, whole numbers in float32 `(samples, *target)`."""
    x, shape = ops.cast(signal.name, np.float32), signal.shape
    if c.pool:
        x, shape = _pooled(ops, c.pool, x, shape), c.pool.output_shape(shape)
    scale = 2.0 ** (c.exponent + reg.STATE_SHIFT) if c.exponent >= 0 else 1.0
    weight = (c.weight * scale).astype(np.float32)
    if isinstance(c.op, Conv):
        total = ops("Conv", x, weight, **geometry_of(c.op))
    elif isinstance(c.op, Dense):
        total = ops("MatMul", ops.reshape(x, prod(shape)), np.ascontiguousarray(weight.T))
    else:
        total = ops("Mul", x, weight)
    if c.exponent < 0:
        rounded = ops("Floor", ops("Mul", total, np.float32(2.0**c.exponent)))
        total = ops("Mul", rounded, np.float32(1 << reg.STATE_SHIFT))
    return ops.reshape(total, *target)


def _pooled(ops: Ops, pool: Pool, x: str, shape: Shape) -> str:
    """Sum over windows, as a convolution with ones in each channel."""
    ones = Conv(np.ones((shape[0], 1, *pool.kernel), np.int8), pool.stride, pool.padding, (1,) * len(pool.kernel), shape[0])
    return ops("Conv", x, ones.weight.astype(np.float32), **geometry_of(ones))


def narrow_step(ops: Ops, neuron: IntegerNeuron, u: str, v: str, a: Value) -> tuple[str, str, str]:
    """New u, new v (int32) and spikes (bool) from the state (int32) and the sum of the channels
    (float32).
    """
    current = raw = ops.cast(a.name, np.int32)
    if neuron.remembers_current:
        raw = ops("Add", _decayed(ops, u, neuron.keep_current), current)
    if neuron.remembers_current or a.bound >= reg.STATE_LIMIT:
        span = np.int32(2 * reg.STATE_LIMIT)
        high = ops("Where", ops("Greater", raw, np.int32(reg.STATE_LIMIT)), ops("Sub", raw, span), raw)
        current = ops("Where", ops("LessOrEqual", high, np.int32(-reg.STATE_LIMIT)), ops("Add", raw, span), high)
    moved = ops("Add", _decayed(ops, v, neuron.keep_potential), current)
    if neuron.bias_mantissa.any():
        moved = ops("Add", moved, neuron.bias.astype(np.int32))
    v = ops("Clip", moved, -STATE_TOP, STATE_TOP)
    spikes = ops("Greater", v, (neuron.threshold << reg.STATE_SHIFT).astype(np.int32))
    return current, _reset(ops, neuron, v, spikes), spikes


def _decayed(ops: Ops, state: str, keep: np.ndarray) -> str:
    """`state * keep / 4096`: exact in float64, and made an integer toward zero."""
    if (keep == reg.DECAY_UNITY).all():
        return state
    return ops.cast(ops("Mul", ops.cast(state, np.float64), keep / reg.DECAY_UNITY), np.int32)


def _reset(ops: Ops, neuron: IntegerNeuron, v: str, spikes: str) -> str:
    if neuron.reset == "zero":  # by products, which ONNX Runtime does on vectors
        return ops("Sub", v, ops("Mul", v, ops.cast(spikes, np.int32)))
    value = (neuron.reset_value << reg.STATE_SHIFT).astype(np.int32)
    return ops("Where", spikes, ops("Clip", ops("Sub", v, value), -STATE_TOP, STATE_TOP) if neuron.reset == "subtract" else value, v)
