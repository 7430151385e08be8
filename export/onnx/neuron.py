"""One timestep of a population in ONNX's integers: the same operations as
`spikeport.hw.semantics.reference.neuron_step`, in int64.
"""

from __future__ import annotations

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import IntegerNeuron, Noise
from spikeport.export.model.noise import BELL_CENTRE, MASK, MULTIPLIERS, SHIFTS, mix
from spikeport.export.model.synapse import Shape
from spikeport.export.onnx.ops import Ops, Value

STATE_TOP = reg.STATE_LIMIT - 1


def neuron_step(ops: Ops, neuron: IntegerNeuron, u: str, v: str, a: Value, eta: str | None) -> tuple[str, str, str]:
    """New u, new v (int64) and spikes (bool) from the state (int64), the summed channels and the
    noise.
    """
    u = _current(ops, neuron, u, a)
    moved = ops("Add", _decayed(ops, v, neuron.keep_potential), u)
    if neuron.bias_mantissa.any():
        moved = ops("Add", moved, neuron.bias.astype(np.int64))
    v = ops.clip(ops("Add", moved, eta) if eta else moved, STATE_TOP)
    spikes = ops("Greater", v, neuron.threshold.astype(np.int64) << reg.STATE_SHIFT)
    return u, ops("Where", spikes, _after_reset(ops, neuron, v), v), spikes


def _current(ops: Ops, neuron: IntegerNeuron, u: str, a: Value) -> str:
    """Decay, add the input, wrap to 32 bits, then Lava's one correction towards 24 bits."""
    raw = ops.wrap(ops.shift(ops.wrap(a, 32), reg.STATE_SHIFT), 32)
    span = 2 * reg.STATE_LIMIT
    if neuron.remembers_current:
        kept = reg.STATE_LIMIT if raw.bound <= span else 1 << 31  # one correction a step brings back no more than a span
        raw = ops.wrap(Value(ops("Add", _decayed(ops, u, neuron.keep_current), raw.name), raw.bound + kept), 32)
    if raw.bound < reg.STATE_LIMIT:
        return raw.name
    high = ops("Where", ops("Greater", raw.name, reg.STATE_LIMIT), ops("Sub", raw.name, span), raw.name)
    return ops("Where", ops("LessOrEqual", high, -reg.STATE_LIMIT), ops("Add", raw.name, span), high)


def _decayed(ops: Ops, state: str, keep: np.ndarray) -> str:
    """`state * keep / 4096`, rounded toward zero, as ONNX Runtime divides integers."""
    if (keep == reg.DECAY_UNITY).all():
        return state
    return ops("Div", ops("Mul", state, keep), reg.DECAY_UNITY)


def _after_reset(ops: Ops, neuron: IntegerNeuron, v: str) -> str | np.ndarray:
    value = neuron.reset_value.astype(np.int64) << reg.STATE_SHIFT
    if neuron.reset == "subtract":
        return ops.clip(ops("Sub", v, value), STATE_TOP)
    return value if neuron.reset == "value" else np.zeros((), np.int64)


def noise_key(ops: Ops, noise: Noise, samples: str) -> str:
    """What the noise of each sample starts from, int64 `(samples,)`; the same at every timestep."""
    return _mixed(ops, ops("BitwiseXor", samples, mix(np.array(noise.seed & MASK))))


def noise_at(ops: Ops, noise: Noise, key: str, step: str, shape: Shape) -> str:
    """Noise of one timestep in state units, int64 `(samples, *shape)`;
    `spikeport.export.model.noise.integer_noise` in ONNX.
    """
    per_sample = ops.reshape(_mixed(ops, ops("BitwiseXor", key, step)), 1)
    bits = _mixed(ops, ops("BitwiseXor", per_sample, np.arange(int(np.prod(shape)), dtype=np.int64)))
    if noise.kind == "uniform":
        r = ops("Sub", ops("Div", bits, 1 << 16), 1 << 15)
    else:
        r = ops("Mul", ops("Sub", _byte_sum(ops, bits), BELL_CENTRE), 64)
    scaled = Value(ops("Mul", r, int(noise.amplitude)), int(noise.amplitude) << 16)
    return ops.reshape(ops.shift(scaled, -reg.NOISE_FRACTION_BITS).name, *shape)


def _byte_sum(ops: Ops, bits: str) -> str:
    total = ops("BitwiseAnd", bits, 0xFF)
    for shift in (8, 16, 24):
        total = ops("Add", total, ops("BitwiseAnd", ops("Div", bits, 1 << shift), 0xFF))
    return total


def _mixed(ops: Ops, x: str) -> str:
    """`spikeport.export.model.noise.mix`; nonnegative, so that division shifts right."""
    for shift, multiplier in zip(SHIFTS, (*MULTIPLIERS, None)):
        x = ops("BitwiseXor", x, ops("Div", x, 1 << shift))
        if multiplier:
            x = ops("BitwiseAnd", ops("Mul", x, multiplier), MASK)
    return x
