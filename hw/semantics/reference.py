"""The definition of spikeport's integer semantics: one timestep after another, NumPy, no tricks.

Everything else (engine, Lava, ONNX) is compared with this. Source: Lava 0.10's fixed-point process
models, register for register, including how they wrap and saturate. It is slow on purpose; use the
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, Conv, Dense, IntegerNeuron, Pool, Population, QuantizedNetwork
from spikeport.export.model.noise import integer_noise
from spikeport.hw.records.record import RecordLevel, SpikeRecord, check_fits, join_records, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus

BLOCK = 1 << 20
"""Neuron-steps of a block of samples; up to 32 bytes each are needed beside the record that is
asked for.
"""
STATES = 16
"""A neuron's intermediate results during one step, in neuron-steps' worth of memory."""


def sum_pool(x: np.ndarray, pool: Pool) -> np.ndarray:
    """Sum over windows of the trailing axes of `(samples, channels, *spatial)`."""
    weight = np.ones((x.shape[1], 1, *pool.kernel), np.int64)
    return convolve(x, Conv(weight, pool.stride, pool.padding, (1,) * len(pool.kernel), groups=x.shape[1]))


def convolve(x: np.ndarray, conv: Conv) -> np.ndarray:
    """PyTorch's convolution in int64: `(samples, C_in, *spatial)` -> `(samples, C_out, *spatial)`."""
    groups = conv.groups
    out_shape = conv.output_shape(x.shape[1:])
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in conv.padding)]).astype(np.int64)
    grouped = padded.reshape(len(x), groups, -1, *padded.shape[2:])
    weight = conv.weight.astype(np.int64).reshape(groups, -1, *conv.weight.shape[1:])
    total = np.zeros((len(x), groups, weight.shape[1], *out_shape[1:]), np.int64)
    for offset in np.ndindex(*conv.kernel):
        window = tuple(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, s, n in zip(offset, conv.dilation, conv.stride, out_shape[1:]))
        taps = weight[(slice(None),) * 3 + offset]
        total += np.einsum("goi,ngi...->ngo...", taps, grouped[(slice(None),) * 3 + window])
    return total.reshape(len(x), *out_shape)


def synaptic_current(connection: Connection, x: np.ndarray) -> np.ndarray:
    """Unshifted sum of weights times messages, int64 `(samples, *output_shape)`."""
    if connection.pool:
        x = sum_pool(x, connection.pool)
    if isinstance(connection.op, Dense):
        return x.reshape(len(x), -1).astype(np.int64) @ connection.weight.T.astype(np.int64)
    if isinstance(connection.op, Conv):
        return convolve(x, connection.op)
    return connection.weight.astype(np.int64) * x


def shift(total: np.ndarray, exponent: int) -> np.ndarray:
    """`total * 2**exponent`, rounded down when the exponent is negative."""
    return total << exponent if exponent >= 0 else total >> -exponent


def wrap(x: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement wrap-around to a width, in int64."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def decayed(state: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """`state * keep / 4096`, rounded toward zero."""
    product = state * keep
    return np.sign(product) * (np.abs(product) >> reg.DECAY_SHIFT)


def neuron_step(
    neuron: IntegerNeuron, u: np.ndarray, v: np.ndarray, a: np.ndarray, noise: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One timestep of every neuron: returns `(u, v, spikes, overflow)`, all shaped like `a`; int64
    except the last two.
    """
    kept, arrived = decayed(u, neuron.keep_current), a << reg.STATE_SHIFT
    ideal, raw = kept + arrived, wrap(kept + wrap(arrived, 32), 32)
    u = np.where(raw > reg.STATE_LIMIT, raw - 2 * reg.STATE_LIMIT, raw)
    u = np.where(u <= -reg.STATE_LIMIT, raw + 2 * reg.STATE_LIMIT, u)
    moved = decayed(v, neuron.keep_potential) + u + neuron.bias + noise
    v = np.clip(moved, 1 - reg.STATE_LIMIT, reg.STATE_LIMIT - 1)
    overflow = (np.abs(ideal) >= reg.STATE_LIMIT) | (np.abs(moved) >= reg.STATE_LIMIT)
    threshold = neuron.threshold.astype(np.int64) << reg.STATE_SHIFT
    spikes = v > threshold
    v = np.where(spikes, after_reset(neuron, v), v)
    return u, v, spikes, overflow if neuron.spiking else overflow | spikes


def after_reset(neuron: IntegerNeuron, v: np.ndarray) -> np.ndarray:
    """Membrane potential of a neuron that has just fired."""
    value = neuron.reset_value.astype(np.int64) << reg.STATE_SHIFT
    if neuron.reset == "subtract":
        return np.clip(v - value, 1 - reg.STATE_LIMIT, reg.STATE_LIMIT - 1)
    return value if neuron.reset == "value" else np.zeros_like(value)


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
) -> SpikeRecord:
    """Run all samples from rest, block by block.

    See `SpikeRecord` for what comes back; its size is what memory is needed for.
    """
    check_fits(network, stimulus, record)
    per_sample = (prod(network.input.shape) + sum(p.size for p in network.populations)) * max(stimulus.timesteps, STATES)
    block = max(1, BLOCK // per_sample)

    def records() -> Iterator[SpikeRecord]:
        for first in range(0, max(1, len(stimulus)), block):
            part = stimulus[first : first + block]
            yield _run_block(network, part, record)
            if progress:
                progress(len(part))

    return join_records(records(), len(stimulus))


def _run_block(network: QuantizedNetwork, stimulus: Stimulus, record: RecordLevel) -> SpikeRecord:
    """Run a few samples, all of whose messages are held in memory."""
    samples, steps = len(stimulus), stimulus.timesteps
    state = {p.name: (np.zeros((samples, *p.shape), np.int64),) * 2 for p in network.populations}
    fired: dict[str, list[np.ndarray]] = {network.input.name: [stimulus.at(t) for t in range(steps)]}
    fired |= {p.name: [] for p in network.populations}
    kept = {p.name for p in network.populations if record == "potentials" or (p.name == network.output and not p.neuron.spiking)}
    potentials: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    overflows = {p.name: 0 for p in network.populations}

    for t in range(steps):
        for population in network.populations:
            name, shape = population.name, (samples, *population.shape)
            a, lost = _arriving(network, population, fired, t, shape)
            noise = population.neuron.noise
            eta = integer_noise(noise, stimulus.samples, t, population.size).reshape(shape) if noise else 0
            u, v, spikes, overflow = neuron_step(population.neuron, *state[name], a, eta)
            state[name] = (u, v)
            fired[name].append(spikes)
            if name in kept:
                potentials[name].append(v.astype(np.int32))
            overflows[name] += int((overflow | lost).sum())
    rasters = {name: np.stack(values, axis=1) for name, values in fired.items()}
    history = {name: np.stack(values, axis=1) for name, values in potentials.items()}
    return record_from_rasters(network, rasters, history, overflows, record)


def _arriving(
    network: QuantizedNetwork, population: Population, fired: Mapping[str, list[np.ndarray]], t: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over the connections into a population at step t, int64 wrapped to 32 bits, and where one
    of them left 24 bits.
    """
    a, lost = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for c in network.incoming(population.name):
        if t >= c.delay:
            delivered = shift(synaptic_current(c, fired[c.source][t - c.delay]), c.exponent).reshape(shape)
            lost |= np.abs(delivered) >= reg.STATE_LIMIT
            a += wrap(delivered, reg.STATE_BITS if isinstance(c.op, Conv) else 32)
    return wrap(a, 32), lost
