"""The neuron's timestep on the CPU: one pass over memory, compiled, 32-bit, time inside a block of neurons.

Only for populations whose every intermediate value is proven to fit 32 bits (`StateBound.int32_exact`). A block stays in the
first-level cache for all its timesteps; each stage below is a plain loop over the block that the compiler vectorises.
Casts to int32 undo numba's widening of every sum to int64, which would halve the vector width.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from spikeport.export import registers as reg
from spikeport.export.noise import MULTIPLIERS, SHIFTS

BLOCK = 1024
"""Neurons per block: potentials, currents and seven registers of 4 bytes each fit a first-level cache of 32 KiB or nearly so."""
COUNT_LIMIT = (1 << 31) // BLOCK
"""Fan-outs below this can be summed over a block in 32 bits."""

L = np.int32(reg.STATE_LIMIT)
TOP = np.int32(reg.STATE_LIMIT - 1)
SHIFT = reg.STATE_SHIFT
LOW_BITS = np.int32(reg.DECAY_UNITY - 1)
M0, M1 = (np.uint32(m) for m in MULTIPLIERS)
S0, S1, S2 = (np.uint32(s) for s in SHIFTS)

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
inlined = numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")


class Registers(NamedTuple):
    """Per neuron, int32 `(size,)`, in the engine's order; fan_out `(connections, size)` int32 or int64.

    keep_u, keep_v: 4096ths kept per step. reset: added after firing to `v & subtract`. neuron: the noise generator's number.
    """

    keep_u: np.ndarray
    keep_v: np.ndarray
    threshold: np.ndarray
    bias: np.ndarray
    reset: np.ndarray
    neuron: np.ndarray
    fan_out: np.ndarray


class Switches(NamedTuple):
    """What this population's neurons do.

    memory: the current u is kept or may wrap. leaky: v decays. checked: v may saturate. subtract: -1 to reset by subtraction,
    else 0. spiking: firing is no overflow. gaussian: kind of noise.
    """

    memory: bool
    leaky: bool
    checked: bool
    subtract: np.int32
    spiking: bool
    gaussian: bool
    amplitude: int


@inlined
def decay(x, keep):
    """x * keep / 4096 rounded toward zero, without 64-bit products: x = 4096 h + l."""
    toward_zero = np.int32((x >> np.int32(31)) & LOW_BITS)
    low = np.int32(np.int32(np.int32(x & LOW_BITS) * keep) + toward_zero)
    return np.int32(np.int32(np.int32(x >> np.int32(12)) * keep) + np.int32(low >> np.int32(12)))


@compiled
def load_current(total, exponent, current):
    """current = total * 2**exponent, rounded down, in state units."""
    if exponent >= 0:
        for i in range(len(current)):
            current[i] = np.int32(np.int32(total[i]) << np.int32(exponent + SHIFT))
    else:
        for i in range(len(current)):
            current[i] = np.int32(np.int32(np.int32(total[i]) >> np.int32(-exponent)) << np.int32(SHIFT))


@compiled
def remember_current(u, keep, current, lost):
    """u = keep * u + current, wrapped once at 24 bits; leaves u in current and marks what wrapped in lost."""
    for i in range(len(current)):
        raw = np.int32(decay(u[i], keep[i]) + current[i])
        lost[i] = np.uint8((raw >= L) | (raw <= -L))
        wrapped = np.int32(raw - 2 * L) if raw > L else raw
        wrapped = np.int32(raw + 2 * L) if raw <= -L else wrapped
        u[i] = wrapped
        current[i] = wrapped


@compiled
def decay_potential(v, keep):
    """v = keep * v."""
    for i in range(len(v)):
        v[i] = decay(v[i], keep[i])


@compiled
def mix(x):
    """The noise generator's mixer on 32-bit integers; see `spikeport.export.noise`."""
    x = np.uint32(x ^ (x >> S0))
    x = np.uint32(x * M0)
    x = np.uint32(x ^ (x >> S1))
    x = np.uint32(x * M1)
    return np.uint32(x ^ (x >> S2))


@compiled
def add_noise(key, neuron, bias, gaussian, amplitude, drive):
    """drive = bias + noise of one sample and step, whose part of the generator's key is given."""
    for i in range(len(drive)):
        bits = mix(np.uint32(key ^ np.uint32(neuron[i])))
        r = np.int64(bits >> np.uint32(16)) - 32768
        if gaussian:
            r = 64 * (np.int64((bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + (bits >> 24)) - 510)
        drive[i] = np.int32(bias[i] + ((r * amplitude) >> reg.NOISE_FRACTION_BITS))


@compiled
def fire(v, current, drive, threshold, reset, subtract, spikes):
    """v = v + u + bias, spike, reset; for populations proven never to saturate. Returns the number of spikes."""
    count = np.int32(0)
    for i in range(len(v)):
        moved = np.int32(np.int32(v[i] + current[i]) + drive[i])
        spike = moved > threshold[i]
        after = min(np.int32(np.int32(moved & subtract) + reset[i]), TOP)
        v[i] = after if spike else moved
        spikes[i] = spike
        count = np.int32(count + np.int32(spike))
    return count


@compiled
def fire_checked(v, current, drive, threshold, reset, subtract, spiking, lost, spikes):
    """As `fire`, saturating; marks in lost what saturated, or fired where nothing may fire."""
    count = np.int32(0)
    for i in range(len(v)):
        ideal = np.int32(np.int32(v[i] + current[i]) + drive[i])
        moved = np.int32(min(max(ideal, -TOP), TOP))
        spike = moved > threshold[i]
        lost[i] |= np.uint8((moved != ideal) | (spike & (not spiking)))
        after = min(np.int32(np.int32(moved & subtract) + reset[i]), TOP)
        v[i] = after if spike else moved
        spikes[i] = spike
        count = np.int32(count + np.int32(spike))
    return count


@compiled
def count_events(spikes, fan_out):
    """Synapses reached by the spikes of a block."""
    events = fan_out.dtype.type(0)
    for i in range(len(spikes)):
        events += fan_out[i] if spikes[i] else fan_out.dtype.type(0)
    return events


@compiled
def neuron_steps(total, start, exponent, first, last, u, v, registers, switches, keys, spikes, potentials, counts, events):
    """Advance a population from timestep first to last; returns the number of overflows.

    total: `(samples, steps, size)`, the incoming sums; index 0 holds timestep `start`, or every timestep if there is one only.
    u, v: int32 `(samples, size)`, updated. keys: uint32 `(samples, T)` or empty, the noise. spikes: uint8
    `(samples, T, size)`; potentials: int32, the same or empty; counts `(samples, T)`; events `(connections, samples, T)`.
    """
    overflows = 0
    size = v.shape[1]
    current, noisy = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    lost = np.zeros(BLOCK, np.uint8)
    watched = switches.memory or switches.checked or not switches.spiking
    for sample in range(len(v)):
        for begin in range(0, size, BLOCK):
            part = slice(begin, min(begin + BLOCK, size))
            block = slice(0, part.stop - begin)
            potential = v[sample, part]
            for t in range(first, last):
                row = t - start if total.shape[1] > 1 else 0
                load_current(total[sample, row, part], exponent, current[block])
                if switches.memory:
                    remember_current(u[sample, part], registers.keep_u[part], current[block], lost[block])
                if switches.leaky:
                    decay_potential(potential, registers.keep_v[part])
                drive = registers.bias[part]
                if keys.size:
                    add_noise(keys[sample, t], registers.neuron[part], drive, switches.gaussian, switches.amplitude, noisy[block])
                    drive = noisy[block]
                fired = spikes[sample, t, part]
                threshold, reset = registers.threshold[part], registers.reset[part]
                if watched:
                    counts[sample, t] += fire_checked(
                        potential, current[block], drive, threshold, reset, switches.subtract, switches.spiking, lost[block], fired
                    )
                    overflows += lost[block].sum()
                    lost[block] = 0
                else:
                    counts[sample, t] += fire(potential, current[block], drive, threshold, reset, switches.subtract, fired)
                if potentials.size:
                    potentials[sample, t, part] = potential
                for k in range(len(events)):
                    events[k, sample, t] += count_events(fired, registers.fan_out[k, part])
    return overflows


@compiled
def add_channel(total, start, exponent, first, current):
    """current[:, t - first] += total at t, shifted; total is indexed as in `neuron_steps`, silent before start and after its end."""
    held = total.shape[1] == 1
    for sample in range(len(total)):
        for t in range(max(first, start), first + current.shape[1]):
            row = 0 if held else t - start
            for i in range(total.shape[2]):
                value = np.int32(total[sample, row, i])
                current[sample, t - first, i] += value << np.int32(exponent) if exponent >= 0 else value >> np.int32(-exponent)


@compiled
def sum_pool(x, kernel, stride, padding, out):
    """Channels-last sum pooling: `(images, H, W, C)` into out `(images, H', W', C)`, which starts at zero."""
    for image in range(len(x)):
        for oy in range(out.shape[1]):
            for ky in range(kernel[0]):
                y = oy * stride[0] + ky - padding[0]
                if 0 <= y < x.shape[1]:
                    pool_row(x[image, y], kernel[1], stride[1], padding[1], out[image, oy])


@inlined
def pool_row(x, kernel, stride, padding, out):
    """Add the windows of one row `(W, C)` to one output row `(W', C)`."""
    for ox in range(len(out)):
        for kx in range(kernel):
            at = ox * stride + kx - padding
            if 0 <= at < len(x):
                for c in range(out.shape[1]):
                    out[ox, c] += x[at, c]
