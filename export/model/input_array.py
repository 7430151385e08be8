"""Check arrays that a user sends into a network, before anything runs. Imports numpy only."""

from __future__ import annotations

import numpy as np

from spikeport.export.common.arrays import native
from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import Input


def shape_input(target: Input, array: np.ndarray, timesteps: int) -> tuple[np.ndarray, bool]:
    """Check type, shape and finiteness of `(samples, *shape)` or `(samples, timesteps or more,
    *shape)`.

    Returns the array cut to `timesteps`, its numbers in this machine's byte order, and whether it
    is held over time.

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
    array = native(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("input holds NaN or infinity; every value must be finite")
    limit = 1 << (reg.GRADED_BITS_MAX - 1)
    if array.dtype.kind in "iu" and (int(array.min(initial=0)) < -limit or int(array.max(initial=0)) >= limit):
        raise InputError(
            f"input holds integers {array.min()}..{array.max()}, beyond the {reg.GRADED_BITS_MAX} bits of a graded spike; send floats to have them scaled"
        )
    return (array if held else array[:, :timesteps]), held
