"""The neuron's timestep on the CPU: one pass over memory, compiled, 32-bit, time inside a block of
neurons.

Only for populations whose every intermediate value is proven to fit 32 bits
(`StateBound.int32_exact`). A block stays in the first-level cache for all its timesteps; each stage
below is a plain loop over the block that the compiler vectorises. Casts to int32 undo numba's
widening of every sum to int64, which would halve the vector width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.noise import BELL_CENTRE, MULTIPLIERS, SHIFTS
from spikeport.hw.engine.compiled.jit import compiled, widest_vectors

BLOCK = 1024
"""Neurons per block: potentials, currents and seven registers of 4 bytes each fit a first-level
cache of 32 KiB or nearly so.
"""
COUNT_LIMIT = (1 << 31) // BLOCK
"""Fan-outs below this can be summed over a block in 32 bits."""

L = np.int32(reg.STATE_LIMIT)
TOP = np.int32(reg.STATE_LIMIT - 1)
SHIFT = reg.STATE_SHIFT
LOW_BITS = np.int32(reg.DECAY_UNITY - 1)
M0, M1 = (np.uint32(m) for m in MULTIPLIERS)
S0, S1, S2 = (np.uint32(s) for s in SHIFTS)

KEEP_U, KEEP_V, THRESHOLD, BIAS, RESET, NEURON = range(6)
"""Rows of a population's registers, int32 `(6, size)` in the engine's order: 4096ths of u and v
kept per step, threshold and bias in state units, what is added after firing to `v & subtract`, and
the neuron's number for the noise generator.
"""


class Switches(NamedTuple):
    """What this population's neurons do.

    memory: the current u is kept or may wrap.  checked: v may saturate. subtract: -1 to reset by
    subtraction,
    else 0. spiking: firing is no overflow. gaussian: kind of noise.
    """

    memory: bool
    checked: bool
    subtract: np.int32
    spiking: bool
    gaussian: bool
    amplitude: int


@compiled
def decay(x, keep):
    """x * keep / 4096 rounded toward zero, without 64-bit products: x = 4096 h + l."""
    toward_zero = np.int32((x >> np.int32(31)) & LOW_BITS)
    low = np.int32(np.int32(np.int32(x & LOW_BITS) * keep) + toward_zero)
    return np.int32(np.int32(np.int32(x >> np.int32(12)) * keep) + np.int32(low >> np.int32(12)))


@compiled
def load_current(total, down, up, current):
    """current = (total >> down) * up, which is total * 2**exponent, rounded down, in state units."""
    widest_vectors()
    for i in range(len(current)):
        current[i] = np.int32(np.int32(np.int32(total[i]) >> np.int32(down & 31)) * up)


@compiled
def remember_current(u, keep, current, lost):
    """u = keep * u + current, wrapped once at 24 bits; leaves u in current and marks what wrapped
    in lost.
    """
    widest_vectors()
    for i in range(len(current)):
        raw = np.int32(decay(u[i], keep[i]) + current[i])
        lost[i] = np.uint8((raw >= L) | (raw <= -L))
        wrapped = np.int32(raw - 2 * L) if raw > L else raw
        wrapped = np.int32(raw + 2 * L) if raw <= -L else wrapped
        u[i] = wrapped
        current[i] = wrapped


@compiled
def mix(x):
    """The noise generator's mixer on 32-bit integers; see `spikeport.export.model.noise`."""
    x = np.uint32(x ^ (x >> S0))
    x = np.uint32(x * M0)
    x = np.uint32(x ^ (x >> S1))
    x = np.uint32(x * M1)
    return np.uint32(x ^ (x >> S2))


@compiled
def add_noise(key, neuron, bias, gaussian, amplitude, drive):
    """drive = bias + noise of one sample and step, whose part of the generator's key is given."""
    widest_vectors()
    for i in range(len(drive)):
        bits = mix(np.uint32(key ^ np.uint32(neuron[i])))
        r = np.int64(bits >> np.uint32(16)) - 32768
        if gaussian:
            r = 64 * (np.int64((bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + (bits >> 24)) - BELL_CENTRE)
        drive[i] = np.int32(bias[i] + ((r * amplitude) >> reg.NOISE_FRACTION_BITS))


@compiled
def fire(v, keep, current, drive, threshold, reset, subtract, spikes):
    """v = keep * v + u + bias, spike, reset; for populations proven never to saturate.

    Returns the number of spikes.
    """
    widest_vectors()
    count = np.int32(0)
    for i in range(len(v)):
        moved = np.int32(np.int32(decay(v[i], keep[i]) + current[i]) + drive[i])
        spike = moved > threshold[i]
        after = min(np.int32(np.int32(moved & subtract) + reset[i]), TOP)
        v[i] = after if spike else moved
        spikes[i] = spike
        count = np.int32(count + np.int32(spike))
    return count


@compiled
def fire_checked(v, keep, current, drive, threshold, reset, subtract, spiking, lost, spikes):
    """As `fire`, saturating.

    Returns the number of spikes, and of neurons that lost something: already marked in lost,
    saturated, or fired where nothing may fire.
    """
    widest_vectors()
    count, overflows = np.int32(0), np.int32(0)
    for i in range(len(v)):
        ideal = np.int32(np.int32(decay(v[i], keep[i]) + current[i]) + drive[i])
        moved = np.int32(min(max(ideal, -TOP), TOP))
        spike = moved > threshold[i]
        after = min(np.int32(np.int32(moved & subtract) + reset[i]), TOP)
        v[i] = after if spike else moved
        spikes[i] = spike
        count = np.int32(count + np.int32(spike))
        overflows = np.int32(overflows + np.int32((lost[i] != 0) | (moved != ideal) | (spike & (not spiking))))
    return count, overflows


@compiled
def count_events(spikes, fan_out):
    """Synapses reached by the spikes of a block."""
    widest_vectors()
    events = np.int32(0)
    for i in range(len(spikes)):
        events = np.int32(events + np.int32(np.int32(fan_out[i]) * np.int32(spikes[i])))
    return events


@compiled
def copy(source, target):
    """target = source; a slice assignment would compile numba's error messages, which takes longer
    than all the rest.
    """
    widest_vectors()
    for i in range(len(source)):
        target[i] = source[i]


@compiled
def neuron_steps(total, start, scale, first, last, u, v, registers, fan_out, switches, keys, spikes, potentials, counts, events):
    """Advance a population from timestep first to last; returns the number of overflows.

    total: `(samples, steps, size)`, the incoming sums; index 0 holds timestep `start`, or every
    timestep if there is one only.
    scale: of the sums, as `load_current` takes it.
    u, v: int32 `(samples, size)`, at rest before timestep 0; u is not touched without memory. keys:
    uint32 `(samples, T)` or empty, the noise. spikes: uint8 `(samples, T, size)`; potentials:
    int32, the same or empty; counts `(samples, T)`; events `(connections, samples, T)`.
    """
    widest_vectors()
    overflows = 0
    size = v.shape[1]
    currents, drives, losses = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.zeros(BLOCK, np.uint8)
    changing = total.shape[1] > 1 or switches.memory
    watched = switches.memory or switches.checked or not switches.spiking
    for sample in range(len(v)):
        for begin in range(0, size, BLOCK):
            part = slice(begin, min(begin + BLOCK, size))
            block = slice(0, part.stop - begin)
            current, lost, potential = currents[block], losses[block], v[sample, part]
            keep, bias = registers[KEEP_V, part], registers[BIAS, part]
            threshold, reset = registers[THRESHOLD, part], registers[RESET, part]
            drive = drives[block] if keys.size else bias
            if first == 0:
                potential[:] = 0
                if switches.memory:
                    u[sample, part] = 0
            for t in range(first, last):
                if changing or t == first:
                    load_current(total[sample, t - start if total.shape[1] > 1 else 0, part], scale[0], scale[1], current)
                if switches.memory:
                    remember_current(u[sample, part], registers[KEEP_U, part], current, lost)
                if keys.size:
                    add_noise(keys[sample, t], registers[NEURON, part], bias, switches.gaussian, switches.amplitude, drive)
                fired = spikes[sample, t, part]
                if watched:
                    count, lossy = fire_checked(
                        potential, keep, current, drive, threshold, reset, switches.subtract, switches.spiking, lost, fired
                    )
                    counts[sample, t] += count
                    overflows += lossy
                else:
                    counts[sample, t] += fire(potential, keep, current, drive, threshold, reset, switches.subtract, fired)
                if potentials.size:
                    copy(potential, potentials[sample, t, part])
                for k in range(len(events)):
                    events[k, sample, t] += count_events(fired, fan_out[k, part])
    return overflows


@compiled
def add_delivery(total, start, exponent, first, current):
    """current[:, t - first] += total at t, shifted; total is indexed as in `neuron_steps`, silent
    before start and after its end.
    """
    widest_vectors()
    held = total.shape[1] == 1
    for sample in range(len(total)):
        for t in range(max(first, start), first + current.shape[1]):
            row = 0 if held else t - start
            for i in range(total.shape[2]):
                value = np.int32(total[sample, row, i])
                current[sample, t - first, i] += value << np.int32(exponent) if exponent >= 0 else value >> np.int32(-exponent)
