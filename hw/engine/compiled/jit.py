"""How the engine's loops are compiled: once, kept on disk, without Python's lock, on the widest
vectors that there are.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@intrinsic
def widest_vectors(typing: Any = None) -> Any:
    """Let the loops of the function that calls this first use vectors of 512 bits where the
    processor has them.

    LLVM keeps to 256 bits on many processors, for fear of lower clock rates, which is twice as slow
    for the loops here. Its function attribute that says otherwise is not among those that llvmlite
    lets pass by name.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), code
