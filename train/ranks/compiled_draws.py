"""The counter of `train.ranks.draws` on a CPU, each number in registers from key to result: an
eighth of the time that PyTorch's operators take, one pass over memory each. Importing it loads
Numba.

Arrays are unsigned 32 bits, `(rows, columns)` of one row's numbers after the other.
"""

from __future__ import annotations

import numba
import numpy as np

from spikeport.export.model.noise import BELL_CENTRE, MULTIPLIERS, SHIFTS

_FIRST, _SECOND = map(np.uint32, MULTIPLIERS)
_A, _B, _C = map(np.uint32, SHIFTS)
_BYTE, _8, _16, _24, _CENTRE = map(np.uint32, (0xFF, 8, 16, 24, BELL_CENTRE))


@numba.njit("void(u4[::1], i8, u4[:,::1])", cache=True, nogil=True)
def fill(keys: np.ndarray, first: int, out: np.ndarray) -> None:
    """`export.model.noise.mix(key ^ column)` of each row's key and the columns from `first` on."""
    for row in range(out.shape[0]):
        key = keys[row]
        for column in range(out.shape[1]):
            x = np.uint32(key ^ np.uint32(first + column))
            x = np.uint32(np.uint32(x ^ (x >> _A)) * _FIRST)
            x = np.uint32(np.uint32(x ^ (x >> _B)) * _SECOND)
            out[row, column] = np.uint32(x ^ (x >> _C))


@numba.njit("void(u4[:,::1])", cache=True, nogil=True)
def to_bell(words: np.ndarray) -> None:
    """In place, the centred sums of their four bytes; negative ones in two's complement."""
    for row in range(words.shape[0]):
        for column in range(words.shape[1]):
            x = words[row, column]
            total = (x & _BYTE) + ((x >> _8) & _BYTE) + ((x >> _16) & _BYTE) + (x >> _24)
            words[row, column] = np.uint32(total - _CENTRE)
