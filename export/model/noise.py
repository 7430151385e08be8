"""Counter-based random integers, for noise and for rate codes: the same in every backend, batch,
order or restart. Imports numpy only.

`r(seed, sample, step, neuron) = mix(mix(mix(mix(seed) ^ sample) ^ step) ^ neuron)` with the 32-bit
mixer of C. Wellons' hash prospector (constants 0x21f0aaad, 0x735a2d97), chosen because every
product fits a signed 64-bit integer, so that ONNX, numba and NumPy agree without tricks.
"""

from __future__ import annotations

import numpy as np

from spikeport.export.model.neuron import Noise
from spikeport.export.model.registers import NOISE_FRACTION_BITS, RATE_BITS

MULTIPLIERS = (0x21F0AAAD, 0x735A2D97)
SHIFTS = (16, 15, 15)
MASK = 0xFFFFFFFF
BELL_CENTRE = 510
"""Mean of the sum of four uniform bytes."""


def mix(x: np.ndarray) -> np.ndarray:
    """Scramble 32-bit integers held in int64."""
    x = x ^ (x >> SHIFTS[0])
    x = (x * MULTIPLIERS[0]) & MASK
    x = x ^ (x >> SHIFTS[1])
    x = (x * MULTIPLIERS[1]) & MASK
    return x ^ (x >> SHIFTS[2])


def random_bits(seed: int, samples: np.ndarray, step: int, size: int) -> np.ndarray:
    """r of the module's docstring, unsigned 32 bits, int64 `(len(samples), size)`, for absolute
    sample numbers at one timestep.
    """
    key = mix(mix(np.int64(seed & MASK) ^ np.zeros(1, np.int64)) ^ np.asarray(samples, np.int64))
    return mix(mix(key ^ step)[:, None] ^ np.arange(size, dtype=np.int64))


def rate_draws(seed: int, samples: np.ndarray, step: int, size: int) -> np.ndarray:
    """What intensities of a rate code are compared with, int64 `(len(samples), size)` in 0..65535:
    a spike where the intensity is larger.
    """
    return random_bits(seed, samples, step, size) >> (32 - RATE_BITS)


def sample_noise(noise: Noise, samples: np.ndarray, step: int, size: int) -> np.ndarray:
    """Signed 16-bit integers r, int64 `(len(samples), size)`, for the given absolute sample numbers
    at one timestep.
    """
    bits = random_bits(noise.seed, samples, step, size)
    if noise.kind == "uniform":
        return (bits >> 16) - 32768
    byte_sum = (bits & 0xFF) + (bits >> 8 & 0xFF) + (bits >> 16 & 0xFF) + (bits >> 24)
    return 64 * (byte_sum - BELL_CENTRE)


def integer_noise(noise: Noise, samples: np.ndarray, step: int, size: int) -> np.ndarray:
    """Noise in state units, int64 `(len(samples), size)`: `(r * amplitude) >> 15`, rounded down."""
    return (sample_noise(noise, samples, step, size) * int(noise.amplitude)) >> NOISE_FRACTION_BITS
