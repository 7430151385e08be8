"""The surrogate derivatives of `train.neurons.surrogates` for Triton kernels; formulas and sources
stand there.
"""

from __future__ import annotations

from math import pi, sqrt

import triton
import triton.language as tl

PI = tl.constexpr(pi)
INVERSE_SQRT_2PI = tl.constexpr(1 / sqrt(2 * pi))


@triton.jit
def surrogate(x, width, KIND: tl.constexpr):
    """ds/dx at x, potential minus threshold."""
    a = tl.abs(x) / width
    if KIND == "arctan":
        y = 1 / (1 + (PI * a) * (PI * a))
    elif KIND == "rectangle":
        y = tl.where(tl.abs(x) < width, 1.0, 0.0)
    elif KIND == "scaled_rectangle":
        y = tl.where(tl.abs(x) < width, 0.5 / width, 0.0)
    elif KIND == "triangle":
        y = tl.maximum(1 - a, 0.0)
    elif KIND == "fast_sigmoid":
        y = 1 / ((1 + a) * (1 + a))
    elif KIND == "sigmoid":
        e = tl.exp(-a)
        y = e / ((1 + e) * (1 + e) * width)
    elif KIND == "gaussian":
        y = tl.exp(-0.5 * a * a) * (INVERSE_SQRT_2PI / width)
    else:
        tl.static_assert(KIND == "exponential", "no such surrogate")
        y = tl.exp(-a) / width
    return y
