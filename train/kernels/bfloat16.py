"""Numbers of compiled loops: float32 or bfloat16 (as uint16) in memory, float32 in between.
Importing it loads Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

_HALF, _16, _ONE_BIT = np.uint32(0x7FFF), np.uint32(16), np.uint32(1)


def loaded(source: Any, buffer: Any) -> Any:
    """Numbers as float32, in the buffer unless they are."""


@overload(loaded)
def _loaded(source: Any, buffer: Any) -> Any:
    if source.dtype == types.float32:

        def itself(source: Any, buffer: Any) -> Any:
            return source

        return itself

    def widened(source: Any, buffer: Any) -> Any:
        bits = buffer.view(np.uint32)
        for i in range(len(source)):
            bits[i] = np.uint32(source[i]) << _16
        return buffer[: len(source)]

    return widened


def store(values: Any, out: Any) -> None:
    """Write float32 numbers in the type of `out`, halves to even."""


@overload(store)
def _store(values: Any, out: Any) -> Any:
    if out.dtype == types.float32:

        def copied(values: Any, out: Any) -> None:
            for i in range(len(out)):
                out[i] = values[i]

        return copied

    def narrowed(values: Any, out: Any) -> None:
        bits = values.view(np.uint32)
        for i in range(len(out)):
            out[i] = np.uint32(bits[i] + _HALF + ((bits[i] >> _16) & _ONE_BIT)) >> _16

    return narrowed
