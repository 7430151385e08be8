"""Dense sums on a GPU's matrix units: signed bytes times int8 weights, added in 32 bits
(`torch._int_mm`).

Nothing is converted to floating point, so sums need only fit 32 bits. A convolution becomes a
matrix product over its windows. The operator is private to PyTorch and older GPUs have none, so
every geometry is tried out on the device before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np
import torch
from torch.nn import functional

from spikeport.export.model.network import Conv, Dense, Op
from spikeport.hw.engine.geometry import Geometry
from spikeport.hw.semantics.bounds import INT32_EXACT, SumBound

ROWS_MIN, MULTIPLE = 17, 8
"""cuBLAS wants at least so many rows, and inputs and outputs in multiples; zeros make up for what
is missing.
"""
TRIED_WEIGHTS = 1 << 16
"""Products that a trial adds up at most: 2^16 times 128 times 128 stays within 32 bits."""


def fits(op: Op, low: int, high: int, bound: SumBound) -> bool:
    """Whether messages in `low..high` are signed bytes whose sums are proven to fit 32 bits."""
    one_group = isinstance(op, Dense) or (isinstance(op, Conv) and op.groups == 1)
    return one_group and low >= -128 and high <= 127 and bound.partial < INT32_EXACT


class MatrixUnitProduct:
    """`(n, T, size)` messages to `(n, T, outputs)` sums in int32, in the engine's order."""

    kind = "int8"

    def __init__(self, geometry: Geometry, weight: np.ndarray, device: torch.device) -> None:
        self.geometry, self.outputs = geometry, len(weight)
        per_output = weight if geometry.kernel is None else weight.transpose(0, 2, 3, 1)
        flat = torch.from_numpy(np.ascontiguousarray(per_output).reshape(len(weight), -1))
        missing = (-flat.shape[1] % MULTIPLE, -flat.shape[0] % MULTIPLE)
        self.weight = functional.pad(flat, (0, missing[0], 0, missing[1])).to(device).T

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.to(torch.int8).reshape(-1, x.shape[2])
        rows = rows if self.geometry.kernel is None else self._windows(rows)
        missing = (0, self.weight.shape[0] - rows.shape[1], 0, max(0, ROWS_MIN - len(rows)))
        total = torch._int_mm(functional.pad(rows, missing), self.weight)
        return total[: len(rows), : self.outputs].reshape(*x.shape[:2], -1)

    def _windows(self, rows: torch.Tensor) -> torch.Tensor:
        """What each position of the map reads: `(n * positions, kernel rows * columns *
        channels)`.
        """
        g = self.geometry
        assert g.kernel is not None
        down, right = g.padding
        x = functional.pad(rows.reshape(-1, *g.grid), (0, 0, right, right, down, down))
        spans = [d * (k - 1) + 1 for k, d in zip(g.kernel, g.dilation)]
        places = [(size - span) // step + 1 for size, span, step in zip(x.shape[1:3], spans, g.stride)]
        n, row, column, channel = x.stride()
        steps = (row * g.stride[0], column * g.stride[1], row * g.dilation[0], column * g.dilation[1])
        windows = x.as_strided((len(x), *places, *g.kernel, g.grid[2]), (n, *steps, channel))
        return windows.reshape(len(x) * prod(places), -1)


@lru_cache(maxsize=1024)
def trustworthy(geometry: Geometry, device: torch.device) -> bool:
    """Whether the operator is there and gives exact sums for weights and messages at the ends of
    their ranges.
    """
    rng = np.random.default_rng(0)
    weight = rng.choice(np.array([-128, 127], np.int8), geometry.weight)
    weight.reshape(len(weight), -1)[:, TRIED_WEIGHTS:] = 0
    messages = torch.from_numpy(rng.choice(np.array([-128, 127], np.int8), (3, prod(geometry.grid))))

    def make() -> Callable[[torch.Tensor], torch.Tensor]:
        product = MatrixUnitProduct(geometry, weight, device)
        return lambda x: product(x.to(device))

    return geometry.exact(make, weight, messages)
