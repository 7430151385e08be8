"""The neuron's timestep for many samples at once: the arithmetic of Lava's fixed-point LIF in one
pass over memory.

Registers are the same for all samples of a neuron, which lie side by side, so the inner loops are
vectors.
"""

from __future__ import annotations

import numba
import numpy as np

from spikeport.export.model import registers as reg

LIMIT, TOP = np.int32(reg.STATE_LIMIT), np.int64(reg.STATE_LIMIT - 1)
SPAN = np.int32(2 * reg.STATE_LIMIT)
LOW_BITS = np.int32(reg.DECAY_UNITY - 1)
SHIFT, DECAY_SHIFT = np.int32(reg.STATE_SHIFT), np.int32(reg.DECAY_SHIFT)
KEEP_U, KEEP_V, THRESHOLD, BIAS, RESET = range(5)
"""Rows of a population's registers: 4096ths of u and v that are kept, threshold, bias and reset
value in state units.
"""


@numba.njit
def decayed(x, keep):
    """`x * keep / 4096` rounded toward zero, the product taken apart so that 32 bits hold it."""
    size = np.int32(abs(x))
    kept = np.int32(np.int32(size >> DECAY_SHIFT) * keep + np.int32(np.int32(np.int32(size & LOW_BITS) * keep) >> DECAY_SHIFT))
    return np.int32(-kept) if x < 0 else kept


@numba.njit
def clipped(x):
    """Saturated at 24 bits."""
    return np.int32(min(max(x, -TOP), TOP))


@numba.njit("void(i4[:,::1], i4[:,::1], i4[:,::1], i4[:,::1], i4[:,::1], b1, b1[:,::1])", cache=True, nogil=True, error_model="numpy")
def advance(a, noise, registers, u, v, subtract, spikes):
    """One timestep. a, u, v, spikes: `(neurons, lanes)`, a in weight units. noise: likewise, or
    without lanes for none.
    """
    noisy = noise.shape[1] > 0
    for i in range(a.shape[0]):
        keep_u, keep_v, threshold = registers[KEEP_U, i], registers[KEEP_V, i], registers[THRESHOLD, i]
        bias, reset = registers[BIAS, i], registers[RESET, i]
        for j in range(a.shape[1]):
            raw = np.int32(np.int32(a[i, j] << SHIFT) + decayed(u[i, j], keep_u))
            current = np.int32(raw - SPAN) if raw > LIMIT else raw
            current = np.int32(raw + SPAN) if current <= -LIMIT else current
            u[i, j] = current
            eta = noise[i, j] if noisy else np.int32(0)
            moved = clipped(np.int64(decayed(v[i, j], keep_v)) + current + bias + eta)
            fires = moved > threshold
            after = clipped(np.int64(moved) - reset) if subtract else reset
            v[i, j] = after if fires else moved
            spikes[i, j] = fires


@numba.njit([f"void({f}[:,::1], i8, b1, i4[:,::1])" for f in ("f4", "f8")], cache=True, nogil=True, error_model="numpy")
def deliver(sums, exponent, wraps, arriving):
    """Add to arriving the sums times 2^exponent, rounded down; 24 bits of it where it wraps, as a
    convolution's.
    """
    up, down = max(exponent, 0), max(-exponent, 0)
    for i in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            shifted = (np.int64(sums[i, j]) << up) >> down
            if wraps:
                shifted = ((shifted + LIMIT) & (2 * np.int64(LIMIT) - 1)) - LIMIT
            arriving[i, j] += np.int32(shifted)
