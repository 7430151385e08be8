"""Arrays that nobody can change: what the frozen values of this package hold. Imports numpy only."""

from __future__ import annotations

import numpy as np

from spikeport.export.common.errors import InputError


def frozen_array(values: np.ndarray | float | int, dtype: np.dtype | type | None = None) -> np.ndarray:
    """An array that can be written through no name: not through this one, not through the array it
    was made of.

    A read-only flag on the caller's array is not enough, since the caller may hold a view of it or
    clear the flag. The numbers are therefore copied into `bytes`, which Python itself keeps
    constant. An array that lies in `bytes` already (a frozen one, or a part of it) is shared, so
    that a weight is copied once, however often its network is rebuilt.

    Args:
        values: an array or a number of any shape.
        dtype: type of the result, in this machine's byte order; None keeps the type of `values`.

    Raises:
        InputError: the values are no numbers.
    """
    array = np.asarray(values, dtype=dtype)
    if array.dtype.kind not in "biuf":
        raise InputError(f"an array of a network holds {array.dtype} values; give integers, floats or booleans")
    native = array.dtype.newbyteorder("=")
    if array.dtype == native and array.flags.c_contiguous and lies_in_bytes(array):
        return array
    array = array.astype(native, copy=False)
    return np.ndarray(array.shape, native, buffer=array.tobytes(order="C"))


def lies_in_bytes(array: np.ndarray) -> bool:
    """Whether an array's memory belongs to a `bytes` object."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, bytes)
