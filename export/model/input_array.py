"""Check arrays that a user sends into a network, before anything runs. Imports numpy only."""

from __future__ import annotations

import numpy as np

from spikeport.export.common.arrays import blocks, native
from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import Input


def shape_input(target: Input, array: np.ndarray, timesteps: int) -> tuple[np.ndarray, bool]:
    """Check type, shape and finiteness of `(samples, *shape)` or `(samples, timesteps or more,
    *shape)`.

    Returns the array cut to `timesteps`, and whether it is held over time. Neither the check nor
    the cut copies the array, which may be larger than memory; its numbers stay in their byte order.

    Raises:
        InputError: wrong shape or type, no samples, NaN, integers beyond 24 bits, fewer than
            `timesteps` steps, or timesteps < 1.
    """
    if timesteps < 1:
        raise InputError(f"timesteps is {timesteps}; simulate at least 1")
    if array.dtype.kind not in "fiub":
        raise InputError(f"input has dtype {array.dtype}; expected integers, booleans or floats")
    held = array.shape[1:] == target.shape
    if not held and (array.ndim < 2 or array.shape[2:] != target.shape):
        raise InputError(
            f"input has shape {array.shape}; the network takes (samples, timesteps, *{target.shape}) or (samples, *{target.shape}) held over time"
        )
    if not len(array):
        raise InputError("input holds no samples")
    if not held and array.shape[1] < timesteps:
        raise InputError(f"input has {array.shape[1]} timesteps, {timesteps} were asked for; give a longer input or fewer --timesteps")
    array = array if held else array[:, :timesteps]
    if array.dtype.kind == "f":
        if not all(np.isfinite(native(block)).all() for block in blocks(array)):
            raise InputError("input holds NaN or infinity; every value must be finite")
    elif array.dtype.kind in "iu":
        limit = 1 << (reg.GRADED_BITS_MAX - 1)
        low, high = extent(array)
        if low < -limit or high >= limit:
            raise InputError(
                f"input holds integers {low}..{high}, beyond the {reg.GRADED_BITS_MAX} bits of a graded spike; send floats to have them scaled"
            )
    return array, held


def extent(array: np.ndarray) -> tuple[int, int]:
    """Smallest and largest of an array of integers or booleans, both 0 of an empty one."""
    ends = [(int(block.min()), int(block.max())) for block in blocks(array) if block.size]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0, 0)
